"""From a store to the breach table: which runs attacked which safeguard, who attacked, who defended, at which compute."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from dangercurve._errors import DataError, did_you_mean
from dangercurve._text import printable
from dangercurve.analysis.safeguards import DEFENDING, safeguard_of

if TYPE_CHECKING:
    import pandas as pd

    from dangercurve.analysis.breach_table import BreachTable

COMPUTE = "log10_compute"


def breaches_of_run(
    folder: Path, clock: str, *, family: str | None = None, twin: str = "base"
) -> BreachTable:
    """The breach table of a run folder's store on one clock.

    The safeguard is the arm `guard`, where unset the standard one of the family. Where the evaluated model is the
    attacked party (families with an arm `attacker`) it is the defender, and the attacker is that arm or the model in the
    role of that name; else the model is the attacker, and the defender is the arm `defender` or the model in that role.
    Excluded samples go with it. Raises DataError where no family in the store has a clock, or several have and none is
    named; EvidenceError where there is no store.
    """
    import numpy as np

    from dangercurve.analysis.survival.observed import breaches_of, has_breaches
    from dangercurve.evals.run_folder import locate
    from dangercurve.evals.store import read_observations

    observed = read_observations(locate(folder))
    known = sorted(
        str(name) for name, group in observed.groupby("family", observed=True) if has_breaches(group)
    )
    if not known:
        raise DataError(
            f"{folder}: no family in the store records breaches (guard_breach and injection_hijack do)"
        )
    if family is None:
        if len(known) > 1:
            raise DataError(f"the store has {', '.join(known)}: name one with --family")
        family = known[0]
    if family not in known:
        raise DataError(
            f"--family {printable(family, 60)}: no such family with breaches{did_you_mean(family, known)}"
        )
    rows = observed[observed["family"] == family]
    rows = rows[rows["twin"] == twin].reset_index(drop=True)
    if rows.empty:
        raise DataError(f"the store has no episode of {family} on the twin {printable(twin, 40)}")
    named = rows.assign(**_parties(rows))
    compute = _compute(named["attacker"].astype(str).tolist())
    if compute:
        named[COMPUTE] = np.array([compute.get(str(a), np.nan) for a in named["attacker"]], np.float64)
    found = breaches_of(named, clock)
    if found is None:
        raise DataError(
            f"no episode of {family} on the twin {printable(twin, 40)} gives evidence of a breach or of none"
        )
    return found


def _parties(rows: pd.DataFrame) -> dict[str, list[str]]:
    """`safeguard`, `attacker` and `defender` of each row."""

    def column(name: str, otherwise: str) -> list[str]:
        if name not in rows:
            return [otherwise] * len(rows)
        return rows[name].astype("string").fillna(otherwise).astype(str).tolist()

    model, roles = column("model", ""), [_role(cell) for cell in column("roles", "")]
    family = str(rows["family"].iloc[0])
    safeguard = [safeguard_of(family, arm) for arm in column("arm_guard", "")]
    if family in DEFENDING or ("arm_attacker" in rows and rows["arm_attacker"].notna().any()):
        arm = column("arm_attacker", DEFENDING.get(family, "none"))
        attacker = [r.get("attacker", a) if a == "model" else a for r, a in zip(roles, arm, strict=True)]
        return {"safeguard": safeguard, "attacker": attacker, "defender": model}
    arm = column("arm_defender", "rules")
    defender = [r.get("defender", a) if a == "model" else a for r, a in zip(roles, arm, strict=True)]
    return {"safeguard": safeguard, "attacker": model, "defender": defender}


def _role(cell: str) -> dict[str, str]:
    """The models bound to roles, from the column `roles`; a role may be a name or an object with `model`."""
    found = json.loads(cell) if cell else {}
    named = {str(k): v.get("model") if isinstance(v, dict) else v for k, v in found.items()}
    return {k: str(v) for k, v in named.items() if v}


def _compute(models: list[str]) -> dict[str, float]:
    """log10 training FLOP of the attackers that have a record, or state it in their names."""
    import math

    from dangercurve.evals.pipeline import compute_table

    table = compute_table(sorted(set(models)))
    return {
        str(m): math.log10(c)
        for m, c in zip(table["model"], table["training_flop"].astype(float), strict=True)
        if c > 0
    }
