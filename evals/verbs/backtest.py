"""`dangercurve backtest`: held-out error of the forecaster and of every reference method on a plain table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from dangercurve._errors import DataError
from dangercurve.evals.verbs._common import emit, notes, output_options

if TYPE_CHECKING:
    from dangercurve.analysis.scores import ScoreTable


@click.command("backtest")
@click.argument("table", type=click.Path(path_type=Path))
@click.option(
    "--cut-flops",
    type=float,
    help="Train on models up to this training compute (FLOP) and predict every larger one.",
)
@click.option(
    "--time", "by_time", is_flag=True, help="Rolling origin over release dates of horizons instead."
)
@click.option(
    "--min-train",
    type=int,
    default=5,
    show_default=True,
    help="Training records before the first origin (--time).",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Same seed, same bytes.")
@click.option("--map", "mapping", multiple=True, metavar="NAME=COLUMN", help="Our column name = the table's.")
@output_options
def command(
    table: Path,
    cut_flops: float | None,
    by_time: bool,
    min_train: int,
    seed: int,
    mapping: tuple[str, ...],
    fmt: str,
    output: Path | None,
) -> None:
    """Score forecasts on models they have not seen.

    TABLE has model, model_family, benchmark, score and flops (or N and D), and may have chance, n_items; with
    --time: model, release_date, p50, p50_lo, p50_hi.

    Example: dangercurve backtest scores.csv --cut-flops 8.4e22 --seed 0 --format json
    """
    if by_time == (cut_flops is not None):
        raise click.UsageError("give either --cut-flops FLOP or --time")
    if seed < 0:
        raise click.UsageError(f"--seed must not be negative, got {seed}")
    from dangercurve.analysis.tables import parse_mapping, read_frame

    columns = parse_mapping(mapping)
    if by_time:
        from dangercurve.analysis.trend import backtest_time

        data = backtest_time(read_frame(table, columns), min_train, seed)
        flags = data["flags"]
        notes([str(flag) for flag in flags] if isinstance(flags, list) else [])
        emit(data, fmt, output, rows=_rows(data), title=f"held-out horizons, seed {seed}")
        return
    from dangercurve.analysis.backtest import backtest_compute
    from dangercurve.analysis.scores import read_scores

    assert cut_flops is not None
    scores = read_scores(table, columns)
    for flag in scores.flags:
        click.echo(f"note: {flag}", err=True)
    for row in scores.dropped[:10]:
        click.echo(f"dropped row {row.row} ({row.model}, {row.benchmark}): {row.reason}", err=True)
    if len(scores.dropped) > 10:
        click.echo(f"... and {len(scores.dropped) - 10} more; --format json lists all", err=True)
    outcome = backtest_compute(scores, cut_flops, seed)
    evaluated = sorted(outcome.cells["benchmark"].unique())
    for name, why in outcome.excluded.items():
        click.echo(f"not evaluated: {name} ({why})", err=True)
    flags = [f"{b}: {line}" for b in evaluated for line in _benchmark_flags(scores, b)]
    notes(flags)
    data = outcome.as_dict() | {
        "flags": [*scores.flags, *flags],
        "dropped": [vars(row) for row in scores.dropped],
    }
    n_benchmarks = len(evaluated)
    title = (
        f"{len(outcome.cells) // len(outcome.summary)} held-out cells of {n_benchmarks} benchmarks, "
        f"training compute above {cut_flops:g} FLOP, nominal 90 %, seed {seed}"
    )
    emit(data, fmt, output, rows=_rows(data), title=title)


def _benchmark_flags(scores: ScoreTable, benchmark: str) -> list[str]:
    """What a reader must know of one benchmark's data; also where it has no single chance floor."""
    from dangercurve.analysis.flags import table_flags
    from dangercurve.analysis.points import points_from_scores

    try:
        return table_flags(points_from_scores(scores, benchmark))
    except DataError as exc:
        return [str(exc)]


def _rows(data: dict[str, object]) -> list[dict[str, object]]:
    """The summary as a table, one row a method, with the paired difference of `dangercurve` to it."""
    summary, paired = data.get("summary"), data.get("paired")
    if not isinstance(summary, dict):
        return []
    rows = []
    for method, scores in summary.items():
        row: dict[str, object] = {"method": method}
        row |= {k: v for k, v in scores.items() if not isinstance(v, (dict, list))}
        differences = paired.get(method, {}) if isinstance(paired, dict) else {}
        for name, d in differences.items():
            row[name] = f"{d['est']:+.3f} ({d['lo']:+.3f} to {d['hi']:+.3f})"
        rows.append(row)
    return rows
