"""Which value of an arm is its rest: the condition of a sample for which nothing was chosen.

Most arms rest at `none`. Some families have arms of which every level is a condition, and a sample without the arm is played
under the first of them: there the first level is the rest, whether it was named or not, and `none`, where such an arm has
that level, is a condition like any other (no safeguard at all).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

NAMED_REST: Mapping[str, Mapping[str, str]] = {
    "covert_side_task": {"side": "honest", "desk": "async"},
    "guard_breach": {"guard": "layered", "access": "documented", "tactics": "all", "defender": "rules"},
    "injection_hijack": {"notes": "attack", "attacker": "scripted", "guard": "policy"},
    "oversight_tamper": {"policy": "explicit"},
    "stop_and_handover": {"moment": "before", "priority": "explicit"},
}
"""Family -> arm -> the level at which it rests, where that is not `none`. Tests hold it to the families' first levels."""
UNSET = ("", "None", "nan", "<NA>")
"""What an arm reads as, in text, where a sample does not have it."""
NO_ARM = (*UNSET, "none")
"""What an arm without a named rest reads as at rest."""
REST = "rest"
"""What an estimate says of an arm that some of its samples name at the level where it rests and others leave out."""


def rest_of(family: str, arm: str) -> str:
    """The level at which `arm` (without `arm_`) of `family` rests."""
    return NAMED_REST.get(family, {}).get(arm, "none")


def is_rest(family: str, arm: str, value: object) -> bool:
    """Whether `value` of `arm` (without `arm_`) is the rest of that arm in `family`: unset, or the level it rests at."""
    return str(value) in (*UNSET, REST, rest_of(family, arm))


def label_of(values: pd.Series[str]) -> str | None:
    """What an estimate says of an arm that was at rest in its samples: their one level, None where all were unset, and
    `REST` where some named the level and others did not."""
    found = sorted({"" if str(v) in UNSET else str(v) for v in values})
    if len(found) > 1:
        return REST
    return found[0] or None if found else None


def arms_at_rest(frame: pd.DataFrame, but: tuple[str, ...] = ()) -> NDArray[np.bool_]:
    """Rows (n,), of observations or estimates, in which every column `arm_*` but those named is at rest.

    Without a column `family` all rest at `none`.
    """
    import numpy as np  # not for a gate, which reads only the names above

    keep = np.ones(len(frame), dtype=np.bool_)
    families = (
        frame["family"].astype(str).to_numpy() if "family" in frame else np.full(len(frame), "", dtype=object)
    )
    names = sorted({str(name) for name in families})
    for column in frame.columns:
        if not column.startswith("arm_") or column in but:
            continue
        value = frame[column].astype(object).where(frame[column].notna(), "").astype(str).to_numpy()
        for family in names:
            mine = families == family
            keep[mine] &= np.isin(value[mine], (*UNSET, REST, rest_of(family, column.removeprefix("arm_"))))
    return keep
