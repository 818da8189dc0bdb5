"""Who answered: a sample that another model answered is missing evidence about the named one, never a score of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

NOBODY = "nobody"


def names_of(model: str) -> set[str]:
    """Names under which a model answers as itself: its id, with or without its provider."""
    return {model, PurePosixPath(model).name, model.partition("/")[2]} - {""}


def answers_to(model: str, answered: str | None, listed: Collection[str] = ()) -> bool:
    """Whether a sample that `answered` gave counts for `model`: one of its names, or one that is `listed` for it."""
    return answered is not None and (answered in names_of(model) or answered in listed)


def without_strangers(frame: pd.DataFrame) -> pd.DataFrame:
    """Observations in which a sample that somebody else answered, or nobody named, is missing: `infra_error`, unscored.

    The store keeps what was measured and `answering_model` says by whom; what reads the store for a number about the
    named model reads it through here. A column `stranger` says where that was done. The study's `answering_models` and
    the aliases on model records are names of the model already when a log is read.
    """
    if "answering_model" not in frame or frame.empty:
        return frame
    named = frame["answering_model"]
    pairs = {pair: answers_to(*pair) for pair in set(zip(frame["model"], named.fillna(""), strict=True))}
    own = [pairs[pair] for pair in zip(frame["model"], named.fillna(""), strict=True)]
    wrong = ~frame["model"].notna() | ~_series(own, frame)
    wrong &= (frame["status"] == "scored") | named.notna()
    out = frame.assign(stranger=wrong)
    if not wrong.any():
        return out
    out.loc[wrong, "status"] = "infra_error"
    for column in ("success", "outcome", "opportunity", "competent", "family_metrics", "bits"):
        if column in out:
            values = out[column] if out[column].dtype.kind == "f" else out[column].astype(object)
            out[column] = values.mask(wrong, None if values.dtype == object else float("nan"))
    return out


def _series(values: list[bool], frame: pd.DataFrame) -> pd.Series[bool]:
    import pandas as pd

    return pd.Series(values, index=frame.index, dtype=bool)


def strangers(frame: pd.DataFrame) -> Mapping[str, dict[str, int]]:
    """For each model, who else answered how many of its samples."""
    found: dict[str, dict[str, int]] = {}
    if "stranger" in frame:
        for model, group in frame[frame["stranger"]].groupby("model"):
            counts = group["answering_model"].fillna(NOBODY).value_counts()
            found[str(model)] = {str(name): int(n) for name, n in counts.items()}
    return found
