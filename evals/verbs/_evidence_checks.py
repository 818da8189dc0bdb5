"""The two checks of `doctor` on evidence: A/A flips and comparability."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from dangercurve._errors import ConfigError
from dangercurve.evals.verbs._common import emit


def check_evidence(
    aa: Path | None,
    policy: Path | None,
    model: str | None,
    splits: int,
    seed: int,
    compare: Sequence[Path],
    fmt: str,
    output: Path | None,
) -> int:
    """Print one of the two checks and return the exit code. Raises ConfigError where both or no policy are given."""
    if aa is not None and compare:
        raise ConfigError("--aa and --compare are two checks: ask for one at a time")
    if aa is not None:
        if policy is None:
            raise ConfigError(
                "--aa needs --policy POLICY: its claims, thresholds and levels are what is checked"
            )
        return _aa(aa, policy, model, splits, seed, fmt, output)
    return _compare(compare, fmt, output)


def _aa(
    run: Path, policy: Path, model: str | None, splits: int, seed: int, fmt: str, output: Path | None
) -> int:
    from dangercurve.evals.gating.aa_check import aa_flips
    from dangercurve.evals.policy import load_policy

    found = aa_flips(run, load_policy(policy), model, splits=splits, seed=seed)
    data = [asdict(flips) for flips in found]
    rows = [
        {
            "state": f.state,
            "claim": f.claim,
            "condition": f.condition,
            "instances": f.n_instances,
            "splits": f.splits,
            "allowed": f.alpha,
            "contradictions": _share(f.contradictions, f.contradictions_lo, f.contradictions_hi),
            "disjoint bounds": _share(f.disjoint, f.disjoint_lo, f.disjoint_hi),
            "other flips": f.other_flips,
            "why": f.why or None,
        }
        for f in found
    ]
    mark = "SIMULATED: " if any(flips.simulated for flips in found) else ""
    title = f"{mark}A/A over random halves, shares of splits with 95 % intervals, seed {seed}"
    emit(data, fmt, output, rows=rows, title=title)
    if any(flips.state == "fail" for flips in found):
        return 4
    return 0 if any(flips.state == "ok" for flips in found) else 4


def _share(rate: float | None, low: float | None, high: float | None) -> str | None:
    return None if rate is None or low is None or high is None else f"{rate:.3g} ({low:.3g} to {high:.3g})"


def _compare(folders: Sequence[Path], fmt: str, output: Path | None) -> int:
    from dangercurve.evals.gating.comparability import comparability

    found = comparability(folders)
    rows = [
        {
            "family": g.family,
            "condition": g.condition,
            "group": f"{g.group} of {g.groups}",
            "may be compared": g.subjects,
            "shared instances": g.shared,
            "key": g.comparability_key,
            "differs from group 1 in": "; ".join((*g.differs, *g.notes)) or None,
        }
        for g in found
    ]
    emit([asdict(g) for g in found], fmt, output, rows=rows)
    return 0 if all(g.whole for g in found) else 4
