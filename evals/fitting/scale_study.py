"""A scale study from whatever the user has: a table of scores, a table of estimates, or a run folder with a store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dangercurve._errors import ConfigError, DataError, did_you_mean

if TYPE_CHECKING:
    import pandas as pd

    from dangercurve.analysis.horizon_table import Records
    from dangercurve.analysis.points import Points


@dataclass(frozen=True)
class ScaleStudy:
    """Points of one metric, and the digest of the store that they come from (None for a plain table)."""

    points: Points
    store_digest: str | None


def load_points(
    source: Path,
    *,
    benchmark: str | None = None,
    metric: str = "success_rate",
    where: Sequence[str] = (),
    mapping: Sequence[str] = (),
) -> ScaleStudy:
    """Points from a score table (DESIGN: `model, model_family, flops, benchmark, score`), from estimates, or a folder.

    Raises DataError or ConfigError saying what is missing.
    """
    from dangercurve.analysis.points import points_from_estimates, points_from_horizons, points_from_scores
    from dangercurve.analysis.scores import validate_scores
    from dangercurve.analysis.tables import parse_mapping, read_frame
    from dangercurve.evals.pipeline import compute_table, read_estimates

    frame = read_estimates(source) if source.is_dir() else read_frame(source, parse_mapping(mapping))
    if not {"metric", "estimate"} <= set(frame.columns):
        if where:
            raise ConfigError("--where selects among estimates; a score table is selected by --benchmark")
        if "p50" in frame.columns and "score" not in frame.columns:
            return ScaleStudy(points_from_horizons(frame), None)
        return ScaleStudy(points_from_scores(validate_scores(frame), benchmark), None)
    chosen = select(frame, where)
    digests = sorted(set(chosen["store_digest"].dropna().astype(str))) if "store_digest" in chosen else []
    if len(digests) > 1:
        raise DataError(f"estimates come from {len(digests)} stores: fit them again from one")
    points = points_from_estimates(
        chosen, compute_table(sorted(chosen["model"].astype(str).unique())), metric
    )
    return ScaleStudy(points, digests[0] if digests and digests[0] else None)


def load_records(source: Path, mapping: Sequence[str] = ()) -> tuple[Records, tuple[str, ...]]:
    """The record horizons of a table `model, release_date, p50` (minutes), and notes on what was left out."""
    from dangercurve.analysis.horizon_table import check_horizons, to_records
    from dangercurve.analysis.tables import parse_mapping, read_frame

    checked = check_horizons(read_frame(source, parse_mapping(mapping)))
    return to_records(checked), checked.flags


def only_horizons(source: Path, mapping: Sequence[str] = ()) -> bool:
    """Whether a table has horizons and release dates but no compute: only the direct time route can be taken."""
    from dangercurve.analysis.tables import column_names, parse_mapping

    if source.is_dir():
        return False
    names = column_names(source) | set(parse_mapping(mapping))
    return {"p50", "release_date"} <= names and not {"flops", "score", "estimate"} & names


def select(frame: pd.DataFrame, where: Sequence[str]) -> pd.DataFrame:
    """Rows whose columns equal the values of `COLUMN=VALUE` items. Raises ConfigError on an unknown column or value."""
    for item in where:
        column, separator, value = item.partition("=")
        if not separator:
            raise ConfigError(f"--where {item}: write COLUMN=VALUE, for example --where twin=base")
        if column not in frame.columns:
            raise ConfigError(f"no column '{column}'{did_you_mean(column, map(str, frame.columns))}")
        kept = frame[frame[column].astype(str) == value]
        if kept.empty:
            raise ConfigError(f"no row with {column}={value}{did_you_mean(value, frame[column].astype(str))}")
        frame = kept
    return frame
