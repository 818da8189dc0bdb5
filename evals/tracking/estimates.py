"""How far an estimate moved between two assessments: paired by instance where both played it, else from the bounds."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from dangercurve._errors import DangercurveError
from dangercurve._text import printable
from dangercurve.analysis.registry import Scale, metric
from dangercurve.analysis.unpaired import difference_of_bounds
from dangercurve.evals.gating.verdict import ClaimResult

if TYPE_CHECKING:
    import pandas as pd

    from dangercurve.evals.track import Assessment

PAIRABLE = {"success_rate": "success", "mean_outcome": "outcome"}
KEYS = ("task_version", "comparability_key", "inspect_version", "seed_commitment")
TWO_SIDED = 0.9


@dataclass(frozen=True)
class Moved:
    """`difference` = after - before with bounds (each end holds at 95 %), in `unit`; None where it cannot be had: `why`.

    `how`: `paired` over `pairs` instances that both played, or `unpaired` from the two estimates' own bounds.
    `versions` say which versions and keys differ; with another comparability key nothing is compared.
    """

    how: Literal["paired", "unpaired", "none"]
    difference: float | None = None
    lcb: float | None = None
    ucb: float | None = None
    pairs: int | None = None
    unit: str = ""
    why: str = ""
    versions: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The difference in words."""
        if self.difference is None:
            return f"estimates not compared: {self.why}"
        over = f"paired over {self.pairs} instances" if self.how == "paired" else "unpaired"
        low, high = (_bound(v) for v in (self.lcb, self.ucb))
        return f"estimate {self.difference:+.3g} {self.unit} [{low}, {high}] ({over})"

    def way(self, direction: str) -> Literal["worse", "better", "neutral"]:
        """Only a difference whose interval leaves 0 out is called worse or better."""
        if self.lcb is None or self.ucb is None:
            return "neutral"
        sign = 1 if self.lcb > 0 else -1 if self.ucb < 0 else 0
        up = sign if direction == "up" else -sign
        return "worse" if up > 0 else "better" if up < 0 else "neutral"


def moved(before: Assessment, after: Assessment, old: ClaimResult, new: ClaimResult) -> Moved:
    """How far the claim's estimate moved. What cannot be read is said in `why`: no difference is made up."""
    if old.estimate is None or new.estimate is None:
        which = "before" if old.estimate is None else "now"
        return Moved("none", why=f"there is no estimate {which}")
    if (old.metric, old.family) != (new.metric, new.family):
        return Moved("none", why=f"{old.family} {old.metric} was asked before, {new.family} {new.metric} now")
    if old.cell != new.cell:
        return Moved("none", why="the conditions differ: " + _differs(old.cell, new.cell))
    versions: tuple[str, ...] = ()
    if before.root is not None and after.root is not None:
        try:
            left, right = (
                _rows(a.root, a.verdict.subject, c) for a, c in ((before, old), (after, new)) if a.root
            )
        except DangercurveError as exc:
            return Moved("none", why=printable(exc, 200))
        versions = _versions(left, right)
        keys = [set(rows["comparability_key"].dropna().astype(str)) for rows in (left, right)]
        if keys[0] != keys[1]:
            return Moved("none", why="the comparability keys differ", versions=versions)
        paired = _paired(left, right, old.metric)
        if paired is not None:
            return Moved("paired", *paired, unit="in rate", versions=versions)
    return _unpaired(old, new, versions)


def _paired(left: pd.DataFrame, right: pd.DataFrame, name: str) -> tuple[float, float, float, int] | None:
    """(difference, lcb, ucb, pairs) over shared instances; None for a metric that is no mean, or with none shared."""
    import pandas as pd

    from dangercurve.analysis.compare import compare_models
    from dangercurve.analysis.estimates import usable

    value = PAIRABLE.get(name)
    if value is None:
        return None
    parts = [
        pd.DataFrame(
            {
                "model": who,
                "instance": rows["instance_id"].astype(str),
                "value": rows[value].where(usable(rows, value)),
            }
        )
        for who, rows in (("after", right), ("before", left))
    ]
    if not set(parts[0]["instance"]) & set(parts[1]["instance"]):
        return None
    (row,) = compare_models(pd.concat(parts, ignore_index=True), "after", "before", alpha=1 - TWO_SIDED)
    if not row.n_pairs:
        return None
    return row.difference, row.lo, row.hi, row.n_pairs


def _unpaired(old: ClaimResult, new: ClaimResult, versions: tuple[str, ...]) -> Moved:
    scale: Scale = metric(new.metric).scale
    log2 = scale == "log2"
    points = []
    for claim in (new, old):
        values = [claim.estimate, claim.lcb, claim.ucb]
        ends = (math.nan, -math.inf, math.inf)
        found = [end if v is None else v for v, end in zip(values, ends, strict=True)]
        points.append([_log2(v) for v in found] if log2 else found)
    if not all(low <= value <= high for value, low, high in points):
        return Moved("none", why="an estimate lies outside its own bounds", versions=versions)
    (a, la, ua), (b, lb, ub) = points
    d, low, high = difference_of_bounds((a, la, ua), (b, lb, ub))
    unit = "doublings" if log2 else "in rate" if scale == "logit" else printable(new.unit, 40)
    return Moved("unpaired", d, _finite(low), _finite(high), unit=unit, versions=versions)


def _rows(root: Path, subject: str | None, claim: ClaimResult) -> pd.DataFrame:
    """The observations behind a claim: its subject, family and cell, arms that the cell does not name at rest."""
    from dangercurve.analysis.rest import arms_at_rest
    from dangercurve.evals.store import read_observations

    frame = read_observations(root)
    keep = (frame["model"] == subject) & (frame["family"] == claim.family)
    for column in frame.columns:
        if column in claim.cell:
            keep &= frame[column].astype(str) == claim.cell[column]
    keep &= arms_at_rest(frame, tuple(claim.cell))
    for column in (*KEYS, "opportunity", "competent"):
        if column not in frame:
            frame[column] = None
    return frame[keep]


def _versions(left: pd.DataFrame, right: pd.DataFrame) -> tuple[str, ...]:
    said = []
    for name in KEYS:
        a, b = (sorted(set(rows[name].dropna().astype(str))) for rows in (left, right))
        if a != b:
            said.append(f"{name.replace('_', ' ')}: {_some(a)} → {_some(b)}")
    return tuple(said)


def _some(values: list[str]) -> str:
    shown = ", ".join(printable(v[:16], 20) for v in values[:3])
    return (shown or "none") + (f" and {len(values) - 3} more" if len(values) > 3 else "")


def _differs(old: dict[str, str], new: dict[str, str]) -> str:
    names = [k for k in sorted({*old, *new}) if old.get(k) != new.get(k)]
    return ", ".join(f"{k} {printable(old.get(k), 40)} → {printable(new.get(k), 40)}" for k in names)


def _log2(value: float) -> float:
    return math.log2(value) if value > 0 else -math.inf


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _bound(value: float | None) -> str:
    return "no bound" if value is None else f"{value:+.3g}"
