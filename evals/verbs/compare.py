"""`dangercurve compare`: a paired comparison of two models."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from dangercurve._errors import ConfigError, DataError
from dangercurve.evals.verbs._common import emit, output_options

if TYPE_CHECKING:
    import pandas as pd


@click.command()
@click.argument("table", type=click.Path(path_type=Path))
@click.argument("model_a")
@click.argument("model_b")
@click.option("--value", default="success", show_default=True, help="success or outcome, of a run folder.")
@click.option("--by", multiple=True, help="Columns that split the comparison. Repeatable.")
@click.option("--alpha", type=float, default=0.05, show_default=True, help="Two-sided level.")
@click.option("--map", "mapping", multiple=True, metavar="NAME=COLUMN", help="Our column name = the table's.")
@output_options
def command(
    table: Path, model_a: str, model_b: str, value: str, by: tuple[str, ...], alpha: float,
    mapping: tuple[str, ...], fmt: str, output: Path | None,
) -> None:  # fmt: skip
    """MODEL_A less MODEL_B on the instances that both played, from a run folder or a TABLE.

    A table has model, task_id (or instance_id, or benchmark) and score. Intervals are 95 % and clustered by instance.

    Example: dangercurve compare runs.parquet o1 gpt-4o --map model=alias --map score=score_binarized
    """
    from dataclasses import asdict

    from dangercurve.analysis.compare import compare_models
    from dangercurve.analysis.tables import parse_mapping, read_frame

    if not 0 < alpha < 1:
        raise ConfigError(f"--alpha {alpha}: give a level between 0 and 1")
    if table.is_dir():
        frame, split = _observations(table, value, by)
    else:
        frame, split = _plain(read_frame(table, parse_mapping(mapping)), by)
    found = [asdict(row) for row in compare_models(frame, model_a, model_b, by=split, alpha=alpha)]
    simulated = "simulated" in frame and bool(frame["simulated"].astype("boolean").fillna(False).any())
    title = f"{'SIMULATED: ' if simulated else ''}{model_a} - {model_b}, {1 - alpha:.0%} two-sided, paired by instance"
    emit(found, fmt, output, title=title)


def _observations(folder: Path, value: str, by: tuple[str, ...]) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """One row a sample; samples pair within family, twin, arms, interface and kappa, missing where not scored."""
    from dangercurve.analysis.estimates import usable
    from dangercurve.evals.run_folder import locate
    from dangercurve.evals.store import read_observations

    frame = read_observations(locate(folder))
    if value not in ("success", "outcome"):
        raise ConfigError(f"--value {value}: give success or outcome")
    cell = [c for c in ("twin", "interface", "kappa", "elicitation") if c in frame]
    cell += [c for c in frame.columns if c.startswith(("arm_", "dose_"))]
    label = frame["instance_id"].astype(str)
    for column in cell:
        label = label + "|" + frame[column].astype(str)
    kept = frame[value].where(usable(frame, value))
    return frame.assign(instance=label, value=kept), by or ("family",)


def _plain(frame: pd.DataFrame, by: tuple[str, ...]) -> tuple[pd.DataFrame, tuple[str, ...]]:
    import numpy as np
    import pandas as pd

    key = next((c for c in ("instance_id", "task_id", "benchmark") if c in frame.columns), None)
    if key is None or "model" not in frame.columns or "score" not in frame.columns:
        raise DataError(
            "a table to compare needs model, score and one of instance_id, task_id, benchmark (--map)"
        )
    missing = [c for c in by if c not in frame.columns]
    if missing:
        raise ConfigError(f"--by {missing[0]}: the table has no such column")
    score = pd.to_numeric(frame["score"], errors="coerce")
    if np.isinf(score).any() or ((score < 0) | (score > 1)).any():
        raise DataError("scores must lie in [0, 1]; a missing one is an empty cell")
    return frame.assign(instance=frame[key].astype(str), value=score), by
