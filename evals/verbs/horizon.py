"""`dangercurve horizon`: time horizons from a table of runs, or from a run folder."""

from __future__ import annotations

from pathlib import Path

import click

from dangercurve._errors import ConfigError
from dangercurve._text import printable
from dangercurve.evals.verbs._common import emit, output_options

_SHOWN = (
    "model", "p50", "p50_lo", "p50_hi", "p80", "p80_lo", "p80_hi", "ceiling", "floor", "p50_worst_case", "n_runs", "n_tasks",
)  # fmt: skip
_SUITE = (
    "model", "scope", "interface", "kappa", "elicitation", "h50", "h50_lo", "h50_hi", "h80", "h80_lo", "h80_hi", "ceiling",
    "lower_bound", "minutes50", "minutes50_lo", "minutes50_hi", "n_families", "n_instances", "n_excluded",
)  # fmt: skip


@click.command()
@click.argument("runs", type=click.Path(path_type=Path))
@click.option("--weights", type=click.Choice(["invsqrt", "task", "equal", "column"]), default="invsqrt",
              show_default=True, help="invsqrt: 1/(runs in task * sqrt(tasks in family)).")  # fmt: skip
@click.option("--penalty", type=float, default=1e-5, show_default=True, help="Lambda on the squared slope.")
@click.option("--asymptote", type=float, default=1.0, show_default=True, help="Success on the easiest tasks.")
@click.option("--bootstrap", type=int, default=1000, show_default=True, help="Replicates; 0 for none.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option(
    "--map", "mapping", multiple=True, metavar="NAME=COLUMN", help="Our column name = the table's own."
)
@click.option("--exclude", multiple=True, metavar="MODEL", help="Leave a model out (e.g. human). Repeatable.")
@output_options
def command(
    runs: Path, weights: str, penalty: float, asymptote: float, bootstrap: int, seed: int,
    mapping: tuple[str, ...], exclude: tuple[str, ...], fmt: str, output: Path | None,
) -> None:  # fmt: skip
    """Horizons of every model in RUNS with 95 % intervals: a table, in minutes, or a run folder, in oracle steps.

    Columns of a table (CSV, Parquet, JSON Lines): model, task_id, task_family, human_minutes, score, weight?, run_id?
    The options are for tables. A run folder gives h50 and h80 of the agentic families together and one by one, with
    minutes by the action-time model (an estimate whose error is carried) and, with --format json, under other times.

    Example: dangercurve horizon runs/first

    Example: dangercurve horizon runs.parquet --map model=alias --map score=score_binarized --exclude human
    """
    from dataclasses import asdict

    from dangercurve.analysis.horizon import estimate_horizons, with_worst_case
    from dangercurve.analysis.runs import dropped_lines, exclude_models, read_runs

    if runs.is_dir():
        _of_run(runs, fmt, output)
        return
    pairs = {}
    for item in mapping:
        name, separator, column = item.partition("=")
        if not separator or not column:
            raise ConfigError(f"--map {item}: write NAME=COLUMN, e.g. --map model=alias")
        pairs[name.strip()] = column.strip()
    table = exclude_models(read_runs(runs, pairs), exclude)
    for line in dropped_lines(table):
        click.echo(line, err=True)
    result = estimate_horizons(
        table, weights=weights, penalty=penalty, asymptote=asymptote, bootstrap=bootstrap, seed=seed
    )
    if any(reason == "no score" for reason in table.dropped):
        worst = exclude_models(read_runs(runs, pairs, missing_as=1.0), exclude)
        fitted = estimate_horizons(worst, weights=weights, penalty=penalty, asymptote=asymptote, bootstrap=0)
        result = with_worst_case(result, fitted)
    for row in result.models:
        if row.success_rate == 0:
            click.echo(
                f"{printable(row.model)}: no run succeeded: the horizon lies below the shortest tasks",
                err=True,
            )
        elif row.ceiling and row.lower_bound is not None:
            click.echo(
                f"{printable(row.model)}: beyond the longest well-covered tasks: at least {row.lower_bound:.3g} minutes",
                err=True,
            )
    title = f"horizons in minutes, 95 % intervals; weights {weights}, penalty {penalty:g}, seed {seed}"
    emit([asdict(row) for row in result.models], fmt, output, columns=_SHOWN, title=title)


def _of_run(folder: Path, fmt: str, output: Path | None) -> None:
    """The horizon of the suite from a run folder's observations."""
    from dataclasses import asdict

    from dangercurve.evals.suite_table import suite_table

    rows = suite_table(folder)
    marked = "SIMULATED: " if all(row.simulated for row in rows) else ""
    marked = marked or ("some rows SIMULATED: " if any(row.simulated for row in rows) else "")
    title = f"{marked}horizons in oracle steps, 95 % intervals; minutes are an estimate, a factor of 3 each way carried"
    columns = [*_SUITE, "simulated"] if marked.startswith("some") else _SUITE
    emit([asdict(row) for row in rows], fmt, output, columns=columns, title=title)
