"""`dangercurve fit`: curves against compute, scaling laws, and the estimates of a run folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from dangercurve._errors import ConfigError
from dangercurve.evals.verbs._common import emit, notes, output_options


@click.command()
@click.argument("table", type=click.Path(path_type=Path))
@click.option("--benchmark", multiple=True, help="Only these benchmarks. Repeatable.")
@click.option(
    "--law", is_flag=True, help="Fit L = E + A/N^a + B/D^b (columns N, D, loss; or score as 1 - error)."
)
@click.option("--factor", is_flag=True, help="General capability, and each metric with it partialled out.")
@click.option("--metric", multiple=True, help="Only these metrics, with --factor. Repeatable.")
@click.option("--axes", is_flag=True, help="Tell training compute from test-time compute, scaffold, ...")
@click.option("--reference-scaffold", help="Scaffold that the others are compared with, with --axes.")
@click.option(
    "--where", multiple=True, metavar="COLUMN=VALUE", help="Condition of the estimates. Repeatable."
)
@click.option(
    "--budget", "budgets", multiple=True, type=float, help="FLOP budget for compute-optimal N and D."
)
@click.option("--bootstrap", type=int, default=1000, show_default=True, help="Refits of the law.")
@click.option(
    "--survival-at",
    multiple=True,
    metavar="CLOCK=EFFORT",
    help="Effort of a breach claim, for a run. Repeatable.",
)
@click.option("--alpha", type=float, default=0.05, show_default=True, help="One-sided level of estimates.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--map", "mapping", multiple=True, metavar="NAME=COLUMN", help="Our column name = the table's.")
@output_options
def command(
    table: Path, benchmark: tuple[str, ...], law: bool, factor: bool, metric: tuple[str, ...], axes: bool,
    reference_scaffold: str | None, where: tuple[str, ...], budgets: tuple[float, ...], bootstrap: int,
    survival_at: tuple[str, ...], alpha: float, seed: int, mapping: tuple[str, ...], fmt: str, output: Path | None,
) -> None:  # fmt: skip
    """Fit a TABLE of scores against compute, benchmark by benchmark; or estimate a run folder with a store.

    A folder gets estimates/estimates.parquet, one row a model, family, metric and condition.

    --factor reads general capability from all other benchmarks (or families) and shows a metric raw and with it
    partialled out. --axes needs one row a model and setting: score, flops and any of test_time_tokens, scaffold,
    context_length, N, D, modality, algorithmic_efficiency, data_quality. On a run folder whose study has two scaffolds
    it tells scaffold from model on the instances that all played, with the interaction of both, and shows what a doubling
    of the context is worth where a study swept it.

    Example: dangercurve fit losses.csv --law --budget 1e24 --format json
    """
    from dangercurve.analysis.tables import parse_mapping, read_frame
    from dangercurve.evals.fitting import fitting

    if bootstrap < 0 or not 0 < alpha < 1:
        raise ConfigError("give --bootstrap >= 0 and 0 < --alpha < 1")
    if seed < 0:
        raise ConfigError(f"--seed {seed}: give 0 or more")
    if law + factor + axes > 1:
        raise ConfigError("give one of --law, --factor and --axes")
    for used, owner, name in (
        (metric, factor, "--metric belongs to --factor"),
        (reference_scaffold, axes, "--reference-scaffold belongs to --axes"),
    ):
        if used and not owner:
            raise ConfigError(name)
    if factor:
        _factor(table, metric, benchmark, where, mapping, seed, fmt, output)
        return
    if where:
        raise ConfigError("--where selects among estimates, with --factor")
    if table.is_dir():
        if law:
            raise ConfigError("--law reads a table, not a run folder")
        if axes:
            _axes_of_run(table, alpha, fmt, output)
            return
        rows = fitting.fit_store(table, alpha=alpha, budgets=survival_at)
        emit(rows, fmt, output, columns=None if fmt == "json" else _shown(rows))
        return
    frame = read_frame(table, parse_mapping(mapping))
    if law:
        result = fitting.fit_law_table(
            frame, budgets=budgets, bootstrap=bootstrap, seed=seed, benchmarks=benchmark
        )
        notes((*result.flags, *result.dropped))
        emit(result.as_dict(), fmt, output, rows=result.rows(), title=result.title())
        return
    if budgets:
        raise ConfigError("--budget belongs to --law")
    if axes:
        from dangercurve.evals.fitting import axes as fit_axes

        found = fit_axes.fit_axes(frame, benchmark, reference_scaffold)
        notes(found.notes)
        title = "effects in logits of the score, 90 % intervals clustered by model family"
        emit(found.rows, fmt, output, columns=None if fmt == "json" else fit_axes.COLUMNS, title=title)
        return
    curves = fitting.fit_score_table(frame, benchmark, seed=seed)
    notes(curves.notes)
    emit(curves.rows, fmt, output, columns=None if fmt == "json" else fitting.CURVE_COLUMNS)


def _shown(rows: Sequence[Mapping[str, object]]) -> tuple[str, ...]:
    """Columns of the table of estimates; those of a safeguard's survival only where a row has them."""
    from dangercurve.evals.run_folder import text

    clocked = ("safeguard", "level", "clock", "at")
    there = [name for name in clocked if any(text(row.get(name)) is not None for row in rows)]
    bounds = ("estimate", "lcb", "ucb", "worst_case_ucb", "n_instances")
    return ("model", "family", "metric", *there, "twin", *bounds)


def _factor(
    table: Path, metric: tuple[str, ...], benchmark: tuple[str, ...], where: tuple[str, ...],
    mapping: tuple[str, ...], seed: int, fmt: str, output: Path | None,
) -> None:  # fmt: skip
    from dangercurve.analysis.tables import parse_mapping, read_frame
    from dangercurve.evals.fitting import factor as fit_factor
    from dangercurve.evals.fitting.scale_study import select
    from dangercurve.evals.pipeline import compute_table, read_estimates

    wanted = (*metric, *benchmark)
    frame = read_estimates(table) if table.is_dir() else read_frame(table, parse_mapping(mapping))
    if {"metric", "estimate"} <= set(frame.columns):
        chosen = select(frame, where)
        compute = compute_table(sorted(chosen["model"].astype(str).unique()))
        found = fit_factor.factor_of_estimates(chosen, compute, wanted, seed)
    elif where:
        raise ConfigError("--where selects among estimates; a score table is selected by --metric")
    else:
        found = fit_factor.factor_of_scores(frame, wanted, seed)
    notes(found.notes)
    title = (
        "Spearman correlation of each metric with general capability (from the others), 90 % interval; per model "
        "the metric raw and partialled out: --format json"
    )
    emit(found.rows, fmt, output, columns=None if fmt == "json" else fit_factor.COLUMNS, title=title)


def _axes_of_run(folder: Path, alpha: float, fmt: str, output: Path | None) -> None:
    """Scaffold against model, and the slope of the context, from a run folder's observations."""
    from dangercurve._errors import DataError
    from dangercurve.evals.panels import scaffold as panel_scaffold
    from dangercurve.evals.run_folder import locate
    from dangercurve.evals.store import read_observations

    frame = read_observations(locate(folder))
    scaffolds = panel_scaffold.scaffold_panel(frame, alpha=alpha)
    contexts = panel_scaffold.context_panel(frame, alpha=alpha)
    if not scaffolds and not contexts:
        raise DataError(
            f"{folder} holds neither a model with two scaffolds (study key scaffold) nor a sweep of the context (dose every)"
        )
    notes([f"{e['family']}: {e['problem']}" for e in scaffolds if "problem" in e])
    marked = "SIMULATED: " if any(e.get("simulated") for e in scaffolds) else ""
    title = f"{marked}effects on success, {1 - alpha:.0%} two-sided intervals, paired by instance"
    rows = panel_scaffold.effect_rows(scaffolds, contexts)
    emit({"scaffolds": scaffolds, "contexts": contexts}, fmt, output, rows=rows, title=title)
