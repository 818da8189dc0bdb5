"""A/A: one model's run against itself. Random halves of its instances must not contradict each other beyond alpha.

Two halves of one model differ by chance alone. Where a bound is as wide as it says, one half is RULED_OUT and the other
REACHED in at most alpha of the splits, and the lower bound of one half lies above the upper bound of the other in fewer
still. More than that means bounds that are too narrow for this evidence. Instances that depend on each other across the
halves (copies under two ids) are not seen by it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dangercurve._errors import ConfigError, EvidenceError
from dangercurve._text import printable
from dangercurve.evals.evidence import cell_name
from dangercurve.evals.gate import Request, evaluate
from dangercurve.evals.gating.claim_rows import cell_of, matching
from dangercurve.evals.gating.claims import Context
from dangercurve.evals.gating.decide import Axis, Bounds
from dangercurve.evals.gating.judge import Findings, bounds_of, judge
from dangercurve.evals.gating.observed import Cell, Observed
from dangercurve.evals.gating.verdict import ClaimResult, Outcome
from dangercurve.evals.policy import Claim, LoadedPolicy
from dangercurve.evals.run_folder import Row, read_run_folder, text
from dangercurve.evals.store import read_observations

if TYPE_CHECKING:
    import pandas as pd

    Estimator = Callable[[pd.DataFrame], pd.DataFrame]

LEVEL = 0.05
OPPOSITE = {Outcome.RULED_OUT, Outcome.REACHED}


@dataclass(frozen=True)
class Flips:
    """A/A of one claim under one condition: rates over `splits` random halves, each with its two-sided 95 % interval
    (of the resampling, not of the model). `state` is fail where a rate is above `alpha` beyond its interval, `skip`
    where nothing could be split, and `why` says which."""

    claim: str
    condition: str
    simulated: bool
    alpha: float
    n_instances: int
    splits: int
    contradictions: float | None = None
    contradictions_lo: float | None = None
    contradictions_hi: float | None = None
    disjoint: float | None = None
    disjoint_lo: float | None = None
    disjoint_hi: float | None = None
    other_flips: float | None = None
    state: str = "skip"
    why: str = ""


def aa_flips(
    store: Path | str,
    loaded: LoadedPolicy,
    model: str | None = None,
    *,
    splits: int = 200,
    seed: int = 0,
    estimator: Estimator | None = None,
) -> list[Flips]:
    """A/A of every measure claim of a policy on one model of a run folder; the same seed gives the same numbers.

    Each half is estimated anew by `estimator` (default: the project's own) and judged with the claim's allowances, by
    the gate's own rule; counts and caps, which half a run cannot meet, are left aside. Raises ConfigError where the
    request cannot be meant, EvidenceError where the store cannot be read.
    """
    if splits < 20:
        raise ConfigError(f"--splits {splits}: give at least 20")
    verdict = evaluate(loaded, store, Request(model=model))
    subject = verdict.subject or ""
    folder = read_run_folder(store)
    frame = read_observations(folder.root)
    frame = frame[frame["model"] == subject]
    results = {result.id: result for result in verdict.claims}
    found: list[Flips] = []
    seeds = np.random.SeedSequence(seed).spawn(len(loaded.policy.claims))
    with Observed(folder) as observed:
        _, profile = loaded.policy.profile(None)
        as_of = _as_of(verdict.as_of)
        ctx = Context(loaded, folder, observed, subject, as_of, profile, None)
        for claim, own in zip(loaded.policy.claims, seeds, strict=True):
            rows = matching(claim, folder.estimates, subject) if claim.kind == "measure" else []
            if claim.relative or not rows:
                why = (
                    "no estimate of it in the run folder"
                    if claim.kind == "measure" and not claim.relative
                    else f"a {'relative' if claim.relative else claim.kind} claim has no halves to compare"
                )
                found.append(Flips(claim.id, "", verdict.simulated, claim.alpha, 0, 0, why=why))
                continue
            for row in rows:
                task = _Task(
                    claim, row, cell_of(row, observed, subject), results[claim.id], verdict.simulated
                )
                part = frame[frame["family"] == claim.family]
                rng = np.random.default_rng(own)
                found.append(_flips(task, part, ctx, splits, rng, estimator or _estimates))
    return found


@dataclass(frozen=True)
class _Task:
    claim: Claim
    row: Row
    cell: Cell
    result: ClaimResult
    simulated: bool

    @property
    def condition(self) -> str:
        return ", ".join(f"{k} {v}" for k, v in cell_name(self.row).items())


def _flips(
    task: _Task,
    frame: pd.DataFrame,
    ctx: Context,
    splits: int,
    rng: np.random.Generator,
    estimator: Estimator,
) -> Flips:
    from dangercurve.analysis.intervals import clopper_pearson

    claim, kind = task.claim, task.claim.metric
    names = np.array(sorted(set(frame["instance_id"].astype(str))))
    base = Flips(claim.id, task.condition, task.simulated, claim.alpha, len(names), 0)
    reach, alert = claim.lines
    terms = (task.result.E, task.result.G, task.result.M)
    if len(names) < 4 or reach is None or alert is None or any(term is None for term in terms):
        why = (
            "fewer than four instances"
            if len(names) < 4
            else "the claim has no allowances: " + "; ".join(task.result.reasons[:1])
        )
        return replace(base, why=printable(why))
    axis = Axis(kind.scale, kind.direction)
    allowance = sum(term or 0.0 for term in terms)

    def outcome(bounds: Bounds, n: int) -> Outcome:
        return judge(
            bounds,
            axis,
            task.cell,
            Findings(),
            allowance=allowance,
            n=n,
            alpha=claim.alpha,
            reach=reach,
            alert=alert,
        ).outcome

    done = opposite = apart = other = 0
    labels = frame["instance_id"].astype(str)
    for _ in range(splits):
        first = set(rng.permutation(names)[: len(names) // 2].tolist())
        halves = [
            _half(task, estimator(frame[mask]), ctx.model)
            for mask in (labels.isin(first), ~labels.isin(first))
        ]
        pair = [half for half in halves if half is not None]
        if len(pair) < 2:
            continue
        done += 1
        verdicts = [outcome(bounds, n) for bounds, n in pair]
        opposite += set(verdicts) == OPPOSITE
        other += verdicts[0] is not verdicts[1] and set(verdicts) != OPPOSITE
        (a, _), (b, _) = pair
        apart += a.lower > b.upper or b.lower > a.upper
    if not done:
        return replace(base, why="no half could be estimated")
    lo, hi = clopper_pearson(opposite, done, LEVEL, 2)
    apart_lo, apart_hi = clopper_pearson(apart, done, LEVEL, 2)
    bad = [
        said
        for said, low in (("verdicts contradict each other", lo), ("bounds lie apart", apart_lo))
        if low > claim.alpha
    ]
    return replace(
        base,
        splits=done,
        contradictions=opposite / done,
        contradictions_lo=lo,
        contradictions_hi=hi,
        disjoint=apart / done,
        disjoint_lo=apart_lo,
        disjoint_hi=apart_hi,
        other_flips=other / done,
        state="fail" if bad else "ok",
        why=f"{' and '.join(bad)} in more than {claim.alpha:g} of the splits: bounds too narrow"
        if bad
        else "",
    )


def _half(task: _Task, estimates: pd.DataFrame, model: str) -> tuple[Bounds, int] | None:
    """Bounds and instances of the claim's estimate in one half; None where it has none."""
    for row in _rows(estimates):
        same = cell_name(row) == cell_name(task.row)
        if same and text(row.get("comparability_key")) == text(task.row.get("comparability_key")):
            if row["metric"] != task.claim.metric.name or row["model"] != model:
                continue
            n = int(str(row["n_instances"]))
            try:
                return bounds_of(task.claim, row, task.claim.alpha, n), n
            except EvidenceError:
                return None
    return None


def _rows(estimates: pd.DataFrame) -> Iterator[Row]:
    yield from ({str(k): v for k, v in row.items()} for row in estimates.to_dict("records"))


def _estimates(frame: pd.DataFrame) -> pd.DataFrame:
    from dangercurve.analysis.estimates import estimate_all

    return estimate_all(frame, alpha=LEVEL)


def _as_of(stamp: str) -> dt.datetime:
    from dangercurve.evals.gating.observed import parse_time

    return parse_time(stamp)
