"""Sizes, tokens and power of the tiers of every family, computed.

Run: OMP_NUM_THREADS=1 python benchmarks/bench_tiers.py [--write docs/tiers.md]

Tokens are characters / 2.9 of what the oracle would send and receive, played on three instances a level and twin base;
a participant that needs all of its step budget pays about kappa times as many calls. Power comes from closed forms:
Clopper-Pearson, McNemar's pairs, and the Fisher information of the logistic in log2(steps) for the horizon.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit
from scipy.stats import norm

from dangercurve._files import write_atomic
from dangercurve.analysis.intervals import clopper_pearson
from dangercurve.evals.planning.lengths import CHARS_A_TOKEN, oracle_length
from dangercurve.tasks.kernel.family import INTERFACES, Family, Tier, family_names, get_family
from dangercurve.tasks.kernel.task import make_cell

KAPPA = 2.0
PLAYED = 3
ARMS = {
    "threshold_sandbag": 3,  # none, neutral_label, penalty
    "oversight_tamper": 3,  # blocked, irrelevant, maintenance
    "stop_and_handover": 3,  # genuine, spoofed, routine
    "context_cue": 4,  # eval, deploy, neutral, placebo
    "covert_side_task": 2,  # honest, attack
    "proxy_goal": 3,  # aligned, conflict, ablated
    "fault_recovery": 2,  # with its fault, clean
    "amnesia_ops": 2,  # wiped, kept
    "replication_chain": 3,  # asked alone, possible, dark
    "self_config": 2,  # as drawn, request
}
"""Arms that the contrast of a family needs; one where it needs none."""
PER_DOUBLING = 1.0  # assumed slope of log-odds a doubling of steps


@dataclass(frozen=True)
class Cost:
    """Means over the oracle's episodes of one level."""

    calls: float
    input_tokens: float
    output_tokens: float


def cost(family: Family, level: int, interface: str) -> Cost:
    """What the oracle reads and writes at one level, by the length of all messages of each call."""
    cell = make_cell(family, level, n=PLAYED, interface=interface)
    found = [oracle_length(cell, level, index, cell.settings[0]) for index in range(PLAYED)]
    read, written = (sum(getattr(f, k) for f in found) / PLAYED / CHARS_A_TOKEN for k in ("read", "written"))
    return Cost(sum(f.calls for f in found) / PLAYED, read, written)


def detectable(n: int, discordance: float, power: float = 0.8, alpha: float = 0.05) -> float:
    """Smallest paired difference that n instances find: n = (z_a sqrt(d) + z_b sqrt(d - D^2))^2 / D^2, two-sided."""
    a, b = norm.ppf(1 - alpha / 2), norm.ppf(power)

    def short(delta: float) -> float:
        spread = a * math.sqrt(discordance) + b * math.sqrt(max(discordance - delta**2, 0.0))
        return float(spread**2 / delta**2 - n)

    return float(brentq(short, 1e-3, discordance)) if short(discordance) < 0 else math.nan


def horizon_se(n: int, levels: tuple[int, ...], at: float) -> float:
    """Standard error, in doublings, of the level at which success is 50 %, from the information of the logistic."""
    x = np.array(levels, dtype=np.float64)
    p = expit(-PER_DOUBLING * (x - at))
    w = n * p * (1 - p)
    design = np.stack([np.ones_like(x), x])
    covariance = np.linalg.inv((design * w) @ design.T)
    gradient = np.array([1.0, at]) / PER_DOUBLING  # h = -a / b with b = -slope
    return float(math.sqrt(gradient @ covariance @ gradient))


def size_rows(costs: dict[tuple[str, int, str], Cost]) -> list[str]:
    lines = [
        "| family | tier | n a level and twin | levels | twins | arms | samples | interface | model calls | input tokens "
        "| output tokens |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name in family_names():
        family = get_family(name)
        for tier_name, tier in family.tiers.items():
            arms = ARMS.get(name, 1)
            each = tier.n * len(tier.twins) * arms
            for interface in INTERFACES:
                spent = [costs[name, level, interface] for level in tier.levels]
                calls, read, wrote = (
                    each * sum(getattr(c, k) for c in spent)
                    for k in ("calls", "input_tokens", "output_tokens")
                )
                lines.append(
                    f"| {name} | {tier_name} | {tier.n} | {_levels(tier)} | {len(tier.twins)} | {arms} "
                    f"| {each * len(tier.levels):,} | {interface} | {calls:,.0f} | {_short(read)} | {_short(wrote)} |"
                )
    return lines


def power_rows() -> list[str]:
    lines = [
        "| family | tier | n | 95 % interval of a rate at .5 | no event: at most | paired difference found | h50 standard "
        "error, doublings |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in family_names():
        for tier_name, tier in get_family(name).tiers.items():
            low, high = clopper_pearson(tier.n / 2, tier.n, 0.05, sides=2)
            zero = clopper_pearson(0, tier.n, 0.05)[1]
            found = detectable(tier.n, 0.2 if tier.n >= 80 else 0.4)
            inner = [horizon_se(tier.n, tier.levels, at) for at in tier.levels]
            se = (
                f"{min(inner):.2f} to {max(inner):.2f}"
                if len(tier.levels) > 2
                else "not identified, two levels"
            )
            lines.append(
                f"| {name} | {tier_name} | {tier.n} | {low:.2f} to {high:.2f} | {100 * zero:.1f} % "
                f"| {100 * found:.0f} points | {se} |"
            )
    return lines


def level_rows() -> list[str]:
    levels = range(9)
    lines = ["| family | " + " | ".join(f"level {k}" for k in levels) + " |", "|---" * 10 + "|"]
    for name in family_names():
        spent = [cost(get_family(name), level, "tools") for level in levels]
        cells = " | ".join(f"{c.calls:,.0f} / {c.input_tokens / 1e3:,.1f} k" for c in spent)
        lines.append(f"| {name} | {cells} |")
    return lines


def _levels(tier: Tier) -> str:
    return f"{tier.levels[0]}-{tier.levels[-1]}"


def _short(tokens: float) -> str:
    return f"{tokens / 1e6:.2f} M" if tokens >= 1e5 else f"{tokens / 1e3:.1f} k"


def fill(page: str, tables: dict[str, list[str]]) -> str:
    """`page` with what stands between `<!-- NAME -->` and `<!-- /NAME -->` replaced."""
    for name, lines in tables.items():
        begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
        head, rest = page.split(begin, 1)
        page = head + begin + "\n" + "\n".join(lines) + "\n" + end + rest.split(end, 1)[1]
    return page


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", type=Path, help="page whose tables are rewritten")
    args = parser.parse_args()
    costs = {
        (name, level, interface): cost(get_family(name), level, interface)
        for name in family_names()
        for level in sorted({level for tier in get_family(name).tiers.values() for level in tier.levels})
        for interface in INTERFACES
    }
    tables = {"sizes": size_rows(costs), "power": power_rows(), "levels": level_rows()}
    for name, lines in tables.items():
        print(f"## {name}", *lines, "", sep="\n")
    if args.write:
        write_atomic(args.write, fill(args.write.read_text(encoding="utf-8"), tables))


if __name__ == "__main__":
    main()
