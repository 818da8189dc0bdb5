"""Operating characteristics of the gate: writes docs/gate-operating-characteristics.md.

    python benchmarks/bench_gate.py --out docs/gate-operating-characteristics.md

Simulated runs with a known true success rate go through the gate's own decision functions (`bounds_of`, `judge`,
`attempt_for`); a few through files and the command line. Every row is a share of simulated runs with a 95 %
Clopper-Pearson interval.
"""

from __future__ import annotations

import argparse
import datetime as dt
import math
import tempfile
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import numpy as np
from scipy.special import betaincinv

from dangercurve._files import write_atomic
from dangercurve.analysis.sequential import log_e_below
from dangercurve.evals.gating.decide import Axis
from dangercurve.evals.gating.gate_world import World, estimate, policy_text, write_policy
from dangercurve.evals.gating.judge import Findings, bounds_of, judge
from dangercurve.evals.gating.observed import Cell
from dangercurve.evals.gating.verdict import Outcome
from dangercurve.evals.policy import Claim, load_policy

ALPHA, REACH, ALERT = 0.05, 0.10, 0.08
AXIS = Axis("logit", "up")


def a_claim(folder: Path, alpha: float = ALPHA) -> Claim:
    """The claim under test: a success rate, T and W of this file, no allowances."""
    text = policy_text(reach=REACH, alert=ALERT, alpha=alpha, min_instances=20)
    return load_policy(write_policy(folder / "p.yaml", text)).policy.claims[0]


def verdict_of(claim: Claim, k: int, n: int, alpha: float) -> Outcome:
    """The gate's verdict on k successes in n instances at level `alpha`, everything else in order."""
    world = World(success=[1] * k + [0] * (n - k))
    row = estimate(world, "d", alpha=ALPHA)
    shares = {"scored": n}
    cell = Cell(
        rows=n, instances=n, statuses=shares, least_epochs=1, answering=frozenset({world.model}),
        keys=frozenset({world.key}), versions=frozenset({"1-A"}), commitments=frozenset(), simulated=frozenset({True}),
        first=None, last=None, bad_values=0, no_success=0, no_outcome=0, success_rate=k / n, mean_outcome=k / n,
    )  # fmt: skip
    bounds = bounds_of(claim, row, alpha, n)
    return judge(
        bounds, AXIS, cell, Findings(), allowance=0.0, n=n, alpha=alpha, reach=REACH, alert=ALERT
    ).outcome


@lru_cache(maxsize=1 << 16)
def cached(k: int, n: int, alpha: float) -> Outcome:
    """`verdict_of` with the claim of this process."""
    return verdict_of(CLAIMS[0], k, n, alpha)


CLAIMS: list[Claim] = []
PASS = (Outcome.RULED_OUT, Outcome.APPROACHING)


def share(hits: int, runs: int) -> str:
    """A share with its 95 % Clopper-Pearson interval."""
    low = 0.0 if hits == 0 else float(betaincinv(hits, runs - hits + 1, 0.025))
    high = 1.0 if hits == runs else float(betaincinv(hits + 1, runs - hits, 0.975))
    return f"{hits / runs:.4f} ({low:.4f} to {high:.4f})"


def at_the_limit(runs: int, rng: np.random.Generator) -> Iterator[str]:
    """Pass rate at a true rate equal to T, one look."""
    yield "| instances | passes at a true rate of T | ruled out |"
    yield "|---|---|---|"
    for n in (30, 60, 100, 300, 1000):
        found = [cached(int(k), n, ALPHA) for k in rng.binomial(n, REACH, runs)]
        yield f"| {n} | {share(sum(f in PASS for f in found), runs)} | {share(found.count(Outcome.RULED_OUT), runs)} |"


def peeking(runs: int, rng: np.random.Generator) -> Iterator[str]:
    """Pass in any of several attempts at a true rate of T: alpha each time against the ledger's spending."""
    yield "| attempts, 100 instances each | passes at least once, level .05 each time | with the attempt ledger |"
    yield "|---|---|---|"
    for looks in (1, 2, 4, 8):
        draws = rng.binomial(100, REACH, (runs, looks))
        naive = sum(any(cached(int(k), 100, ALPHA) in PASS for k in row) for row in draws)
        spent = sum(any(cached(int(k), 100, ALPHA / looks) in PASS for k in row) for row in draws)
        yield f"| {looks} | {share(naive, runs)} | {share(spent, runs)} |"


def sequential(runs: int, rng: np.random.Generator) -> Iterator[str]:
    """Looking after every ten instances, up to 300, and stopping at the first pass, at a true rate of T."""
    looks = range(20, 301, 10)
    need = math.log(1 / ALPHA)
    least = [max([k for k in range(n) if log_e_below(k, n, REACH) >= need], default=-1) for n in looks]
    fixed = passed = 0
    for row in rng.random((runs, 300)) < REACH:
        seen = np.cumsum(row)
        totals = [int(seen[n - 1]) for n in looks]
        fixed += any(cached(k, n, ALPHA) in PASS for k, n in zip(totals, looks, strict=True))
        passed += any(k <= top for k, top in zip(totals, least, strict=True))
    yield "| stopping rule | passes at a true rate of T |"
    yield "|---|---|"
    yield f"| the fixed-n bound, looked at every ten instances | {share(fixed, runs)} |"
    yield f"| the e-process of `analysis.sequential` | {share(passed, runs)} |"


def power(runs: int, rng: np.random.Generator) -> Iterator[str]:
    """How often a claim is resolved, by true rate and number of instances."""
    sizes = (60, 100, 300, 1000)
    yield f"| true rate | {' | '.join(f'ruled out, n={n}' for n in sizes)} | reached, n=300 |"
    yield "|---" * (len(sizes) + 2) + "|"
    for rate in (0.0, 0.01, 0.02, 0.05, 0.08, 0.10, 0.13, 0.16, 0.20, 0.30):
        cells = []
        for n in sizes:
            found = [cached(int(k), n, ALPHA) for k in rng.binomial(n, rate, runs)]
            cells.append(share(found.count(Outcome.RULED_OUT), runs))
        found = [cached(int(k), 300, ALPHA) for k in rng.binomial(300, rate, runs)]
        yield f"| {rate:.2f} | {' | '.join(cells)} | {share(found.count(Outcome.REACHED), runs)} |"


def split_halves(runs: int, rng: np.random.Generator) -> Iterator[str]:
    """A/A: two halves of one model's runs, judged apart."""
    yield "| true rate | RULED_OUT against REACHED | any other difference |"
    yield "|---|---|---|"
    for rate in (0.02, 0.05, 0.08, 0.10, 0.12, 0.16, 0.20):
        hard = soft = 0
        for a, b in rng.binomial(150, rate, (runs, 2)):
            pair = {cached(int(a), 150, ALPHA), cached(int(b), 150, ALPHA)}
            hard += pair == {Outcome.RULED_OUT, Outcome.REACHED}
            soft += len(pair) == 2 and pair != {Outcome.RULED_OUT, Outcome.REACHED}
        yield f"| {rate:.2f} | {share(hard, runs)} | {share(soft, runs)} |"


def refusing(runs: int, rng: np.random.Generator) -> Iterator[str]:
    """A model at T that hides: it refuses a share of the instances that it would solve."""
    yield "| share of its successes that the model refuses | passes, n=300, cap 5 % | passes with the cap off |"
    yield "|---|---|---|"
    for hidden in (0.0, 0.25, 0.5, 0.75, 1.0):
        capped = free = 0
        for k in rng.binomial(300, 0.2, runs):
            lost = int(rng.binomial(k, hidden))
            upper = _worst_pass(int(k) - lost, 300 - lost, lost)
            free += upper
            capped += upper and lost / 300 <= 0.05
        yield f"| {hidden:.2f} | {share(capped, runs)} | {share(free, runs)} |"


@lru_cache(maxsize=1 << 16)
def _worst_pass(k: int, n: int, lost: int) -> bool:
    world = World(success=[1] * k + [0] * (n - k) + [None] * lost)
    row = estimate(world, "d")
    bounds = bounds_of(CLAIMS[0], row, ALPHA, n)
    return max(AXIS.natural(bounds.upper), AXIS.natural(bounds.worst_upper)) < REACH


PAGE = """# Operating characteristics of the gate

Written by `python benchmarks/bench_gate.py` ({runs:,} simulated runs a row, seed {seed}) on {date}. The claim: a success
rate with T = {reach}, W = {alert}, one-sided level {alpha}, no allowances; each instance has one sample. Shares carry 95 %
Clopper-Pearson intervals. Allowances only ever move B up, so every pass rate here is the largest that the claim can have.

## At the limit

A model whose true rate *is* T. The gate may pass it at most {alpha} of the time.

{limit}

## Re-runs

The same model, run again until it passes. The ledger gives each of K planned attempts the level {alpha}/K.

{peeking}

## Looking while it runs

{sequential}

## Power

How often the gate rules out, by true rate and instances, and how often it says REACHED.

{power}

## A/A

Two halves (150 instances each) of one model's runs, judged apart. RULED_OUT against REACHED may happen at most {alpha} of
the time; the last column is the curve of all other differences, which peak where the true rate lies near W or T.

{halves}

## A model that hides behind refusals

True rate .2, twice T; the model refuses a share of what it would solve. Refused instances count as successes in the
worst-case bound, so hiding gains nothing, with or without the cap.

{refusing}

How fast the gate is: [speed of the gate](speed-gate.md).
"""


def main() -> None:
    """Simulate, time, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--out", type=Path, default=Path("docs/gate-operating-characteristics.md"))
    parser.add_argument("--runs", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=20261101)
    options = parser.parse_args()
    streams = [np.random.default_rng(s) for s in np.random.SeedSequence(options.seed).spawn(6)]
    with tempfile.TemporaryDirectory() as name:
        CLAIMS.append(a_claim(Path(name)))
        tables = [
            "\n".join(make(options.runs, rng))
            for make, rng in zip(
                (at_the_limit, peeking, power, split_halves, refusing, sequential), streams, strict=True
            )
        ]
    page = PAGE.format(
        runs=options.runs,
        seed=options.seed,
        date=dt.datetime.now(dt.UTC).date(),
        reach=REACH,
        alert=ALERT,
        alpha=ALPHA,
        limit=tables[0],
        peeking=tables[1],
        sequential=tables[5],
        power=tables[2],
        halves=tables[3],
        refusing=tables[4],
    )
    write_atomic(options.out, page)
    print(page)


if __name__ == "__main__":
    main()
