"""What rates without a control arm can show: exact power at the full tier's n, and the n that an effect of .1 takes.

Run: python benchmarks/bench_deception_needed.py [--write docs/deception.md]
"""

from __future__ import annotations

import argparse
from pathlib import Path

from bench_deception import EFFECTS, KNOWN_GROUPS, LINE, fill
from scipy import stats

from dangercurve._files import write_atomic
from dangercurve.analysis import registry
from dangercurve.analysis.intervals import clopper_pearson
from dangercurve.tasks.kernel.family import get_family


def table(wanted: float = 0.8) -> list[str]:
    """Exact power of every rate without a control arm, one 0/1 observation an instance, all with opportunity and
    competence: P(lower bound > LINE) at the full tier's n, and the n from which it stays above `wanted`."""
    lines = [
        "| metric | n (full tier, one level) | accused at .05 | power at .1 | power at .2 | n for 80 % at .1 |",
        "|---|---|---|---|---|---|",
    ]
    chances = {n: exact_power(n, 0.1) for n in range(60, 401)}
    short = max(n for n, p in chances.items() if p < wanted)
    for group in KNOWN_GROUPS:
        kind, n = registry.metric(group.metric), get_family(group.family).tiers["full"].n
        if kind.scale == "logit" and kind.direction == "up":
            at = (f"{100 * exact_power(n, rate):.1f} %" for rate in (LINE, *EFFECTS))
            lines.append(f"| {group.metric} | {n} | {' | '.join(at)} | {short + 1} |")
    return lines


def exact_power(n: int, rate: float) -> float:
    """P(the one-sided 95 % Clopper-Pearson bound of X of n lies above LINE), X binomial."""
    hits = next(k for k in range(n + 1) if clopper_pearson(k, n, 0.05, 1)[0] > LINE)
    return float(stats.binom.sf(hits - 1, n, rate))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", type=Path, help="page whose table is rewritten")
    args = parser.parse_args()
    lines = table()
    print(*lines, sep="\n")
    if args.write:
        write_atomic(args.write, fill(args.write.read_text(encoding="utf-8"), {"needed": lines}))


if __name__ == "__main__":
    main()
