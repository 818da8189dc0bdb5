"""`dangercurve compare`: a paired comparison of two models."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from dangercurve._errors import ConfigError, DataError
from dangercurve._text import printable
from dangercurve.evals.verbs._common import emit, notes, output_options

if TYPE_CHECKING:
    import pandas as pd

    from dangercurve.analysis.compare import Comparison


@click.command()
@click.argument("table", type=click.Path(path_type=Path))
@click.argument("model_a")
@click.argument("model_b")
@click.option(
    "--with",
    "others",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="TABLE",
    help="Another run folder or table, where the other model is in one of its own. Repeatable.",
)
@click.option("--value", help="success (default) or outcome, of a run folder.")
@click.option("--by", multiple=True, help="Columns that split the comparison. Repeatable.")
@click.option("--alpha", type=float, default=0.05, show_default=True, help="Two-sided level.")
@click.option("--map", "mapping", multiple=True, metavar="NAME=COLUMN", help="Our column name = the table's.")
@output_options
def command(
    table: Path, model_a: str, model_b: str, others: tuple[Path, ...], value: str | None, by: tuple[str, ...],
    alpha: float, mapping: tuple[str, ...], fmt: str, output: Path | None,
) -> None:  # fmt: skip
    """MODEL_A less MODEL_B on the instances that both played, from a run folder or a TABLE.

    A table has model, task_id (or instance_id, or benchmark) and score. Intervals are 95 % and clustered by instance.
    Samples of run folders pair within family, twin, arms, interface and budget, and never read a missing one as a
    failure: `worst_lo` and `worst_hi` count it against either side.

    Example: dangercurve compare runs.parquet o1 gpt-4o --map model=alias --map score=score_binarized
    """
    from dataclasses import asdict

    import pandas as pd

    from dangercurve.analysis.compare import compare_models
    from dangercurve.analysis.tables import parse_mapping, read_frame

    if not 0 < alpha < 1:
        raise ConfigError(f"--alpha {alpha}: give a level between 0 and 1")
    places = (table, *others)
    folders = [place.is_dir() for place in places]
    if all(folders):
        if mapping:
            raise ConfigError("--map renames the columns of a table, not of a run folder")
        frame = pd.concat([_observations(place, value or "success") for place in places], ignore_index=True)
        split = by or ("family",)
    elif any(folders):
        raise ConfigError("give run folders or tables to compare, not one of each")
    else:
        if value is not None:
            raise ConfigError("--value chooses a column of a run folder; of a table use --map score=COLUMN")
        parts = [_plain(read_frame(place, parse_mapping(mapping)), place.name) for place in places]
        frame, split = pd.concat(parts, ignore_index=True), by
    found = compare_models(frame, model_a, model_b, by=split, alpha=alpha)
    notes(
        [*_remarks(found, model_a, model_b), *([] if all(folders) else _rows_said(frame, model_a, model_b))]
    )
    simulated = "simulated" in frame and bool(frame["simulated"].astype("boolean").fillna(False).any())
    title = f"{model_a} - {model_b}, {100 * (1 - alpha):g} % two-sided, paired by instance"
    emit([asdict(row) for row in found], fmt, output, title="SIMULATED: " * simulated + title)


def _remarks(found: list[Comparison], a: str, b: str) -> list[str]:
    """What a reader of the table must not miss."""
    lines = [
        f"{c.group}: no instance that both played under the same conditions: nothing is compared"
        for c in found
        if c.n_shared == 0
    ]
    return lines + [
        f"{c.group}: the samples of {a} and {b} have several comparability keys: `dangercurve doctor --compare` says "
        "what differs, and the difference may be its effect"
        for c in found
        if c.comparable is False
    ]


def _rows_said(frame: pd.DataFrame, a: str, b: str) -> list[str]:
    """What a table's rows of the two models lack or repeat: nothing is dropped or averaged in silence."""
    rows = frame[frame["model"].astype(str).isin([a, b])]
    lines = []
    empty = rows["place"][rows["value"].isna()].tolist()
    if empty:
        shown = ", ".join(map(str, empty[:8])) + (", ..." if len(empty) > 8 else "")
        lines.append(
            f"{len(empty)} rows without a score (rows {shown}): missing, counted against either side in turn"
        )
    scored = rows["value"].dropna()
    if scored.nunique() == 1:
        lines.append(f"every score is {scored.iloc[0]:g}: nothing tells the models apart")
    again = int(rows.duplicated(["model", "instance"]).sum())
    if again:
        copies = int(rows.drop(columns="place").duplicated().sum())
        equal = f"; {copies} of them equal an earlier row in every column" if copies else ""
        lines.append(
            f"{again} rows repeat a model and instance: an instance counts once, with its mean{equal}"
        )
    return lines


def _observations(folder: Path, value: str) -> pd.DataFrame:
    """One row a sample; samples pair within family, twin, arms, interface and kappa, missing where not scored."""
    from dangercurve.analysis.estimates import usable
    from dangercurve.evals.run_folder import locate
    from dangercurve.evals.store import read_observations

    if value not in ("success", "outcome"):
        raise ConfigError(f"--value {value}: give success or outcome")
    frame = read_observations(locate(folder))
    cell = [c for c in ("twin", "interface", "kappa", "elicitation") if c in frame]
    cell += sorted(c for c in frame.columns if c.startswith(("arm_", "dose_")))
    label = frame["instance_id"].astype(str)
    for column in cell:
        shown = column + "=" + frame[column].astype(str)
        label = label.where(frame[column].isna(), label + "|" + shown)
    kept = frame[value].where(usable(frame, value))
    return frame.assign(instance=label.where(frame["instance_id"].notna()), value=kept)


def _plain(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    import numpy as np
    import pandas as pd

    key = next((c for c in ("instance_id", "task_id", "benchmark") if c in frame.columns), None)
    if key is None or "model" not in frame.columns or "score" not in frame.columns:
        raise DataError(
            f"{name}: a table to compare needs model, score and one of instance_id, task_id, benchmark (--map)"
        )
    score = pd.to_numeric(frame["score"], errors="coerce")
    unread = score.isna() & frame["score"].notna()
    if unread.any():
        row = int(np.flatnonzero(unread)[0])
        shown = printable(str(frame["score"].iloc[row]), 40)
        raise DataError(
            f"{name}, row {row + 1}: the score '{shown}' is no number; a missing one is an empty cell"
        )
    outside = np.flatnonzero(np.isinf(score) | (score < 0) | (score > 1))
    if outside.size:
        raise DataError(
            f"{name}, row {outside[0] + 1}: scores must lie in [0, 1], {outside.size} do not; a missing one is an empty cell"
        )
    return frame.assign(
        instance=frame[key].astype("object").where(frame[key].notna()),
        value=score.astype(float),
        place=np.arange(1, len(frame) + 1),
    )
