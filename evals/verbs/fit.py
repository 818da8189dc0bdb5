"""`dangercurve fit`: curves against compute, scaling laws, and the estimates of a run folder."""

from __future__ import annotations

from pathlib import Path

import click

from dangercurve._errors import ConfigError
from dangercurve.evals.verbs._common import emit, output_options


@click.command()
@click.argument("table", type=click.Path(path_type=Path))
@click.option("--benchmark", multiple=True, help="Only these benchmarks. Repeatable.")
@click.option(
    "--law", is_flag=True, help="Fit L = E + A/N^a + B/D^b (columns N, D, loss; or score as 1 - error)."
)
@click.option(
    "--budget", "budgets", multiple=True, type=float, help="FLOP budget for compute-optimal N and D."
)
@click.option("--bootstrap", type=int, default=1000, show_default=True, help="Refits of the law.")
@click.option("--alpha", type=float, default=0.05, show_default=True, help="One-sided level of estimates.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--map", "mapping", multiple=True, metavar="NAME=COLUMN", help="Our column name = the table's.")
@output_options
def command(
    table: Path, benchmark: tuple[str, ...], law: bool, budgets: tuple[float, ...], bootstrap: int,
    alpha: float, seed: int, mapping: tuple[str, ...], fmt: str, output: Path | None,
) -> None:  # fmt: skip
    """Fit a TABLE of scores against compute, benchmark by benchmark; or estimate a run folder with a store.

    A folder gets estimates/estimates.parquet, one row a model, family, metric and condition.

    Example: dangercurve fit losses.csv --law --budget 1e24 --format json
    """
    from dangercurve.analysis.tables import parse_mapping, read_frame
    from dangercurve.evals import fitting

    if bootstrap < 0 or not 0 < alpha < 1:
        raise ConfigError("give --bootstrap >= 0 and 0 < --alpha < 1")
    if table.is_dir():
        if law:
            raise ConfigError("--law reads a table with N, D and loss, not a run folder")
        rows = fitting.fit_store(table, alpha=alpha)
        shown = (
            "model",
            "family",
            "metric",
            "twin",
            "estimate",
            "lcb",
            "ucb",
            "worst_case_ucb",
            "n_instances",
        )
        emit(rows, fmt, output, columns=None if fmt == "json" else shown)
        return
    frame = read_frame(table, parse_mapping(mapping))
    if law:
        result = fitting.fit_law_table(frame, budgets=budgets, bootstrap=bootstrap, seed=seed)
        for line in result.dropped:
            click.echo(f"note: {line}", err=True)
        emit(result.as_dict(), fmt, output, rows=result.rows(), title=result.title())
        return
    if budgets:
        raise ConfigError("--budget belongs to --law")
    curves = fitting.fit_score_table(frame, benchmark, seed=seed)
    for line in curves.notes:
        click.echo(f"note: {line}", err=True)
    emit(curves.rows, fmt, output, columns=None if fmt == "json" else fitting.CURVE_COLUMNS)
