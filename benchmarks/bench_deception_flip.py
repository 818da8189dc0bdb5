"""Would a sign-flip test over paraphrase families serve graded scores better than the t test that the suite uses?

Run: OMP_NUM_THREADS=1 python benchmarks/bench_deception_flip.py [--studies N] [--write docs/deception.md]

Graded scores (four parts) in two arms; instances differ (sd 1 on the logit) and each of eight paraphrases moves every arm by
an amount of its own. `t`: the larger p-value of t over instances and t over paraphrase families (`net_rate`). `flip`: the
families' part replaced by the exact test over the 2^8 signs of their sums, which holds wherever arms can be exchanged. Both
see the same studies. Null: no mean effect. Power: the treated arm's chance is .1 or .2 higher; N / 5 studies.
"""

from __future__ import annotations

import argparse
from itertools import product
from pathlib import Path

import numpy as np
from bench_deception import fill, share
from numpy.typing import NDArray
from scipy import stats
from scipy.special import expit, logit

from dangercurve._files import write_atomic
from dangercurve.analysis.intervals import paired_difference
from dangercurve.analysis.propensity import net_rate

G, PARTS, ALPHA = 8, 4, 0.05
SIGNS = np.array(list(product((1.0, -1.0), repeat=G)))
EFFECTS = (0.1, 0.2)
Floats = NDArray[np.float64]


def study(n: int, rate: float, spread: float, effect: float, rng: np.random.Generator) -> tuple[float, float]:
    """(p by t, p by flip) of one study."""
    family = np.arange(n) % G
    moved = rng.normal(0, spread, (G, 2))[family]
    chance = expit(logit(rate) + rng.normal(0, 1, (n, 1)) + moved)
    chance[:, 0] = np.clip(chance[:, 0] + effect, 0, 1)
    y = rng.binomial(PARTS, chance) / PARTS
    names = [f"i{k}" for k in range(n)]
    by_t = net_rate(y[:, 0], names, y[:, 1], names, families=dict(zip(names, family.tolist(), strict=True)))
    over_instances = paired_difference(y[:, 0], y[:, 1], names).p_value
    return by_t.p_value, max(over_instances, flip(np.bincount(family, y[:, 0] - y[:, 1])))


def flip(sums: Floats) -> float:
    """Share of the 2^8 sign patterns under which |sum| is at least the observed one: exact, two-sided."""
    return float(np.mean(np.abs(SIGNS @ sums) >= abs(sums.sum()) - 1e-9))


def table(studies: int) -> list[str]:
    lines = [
        "| rate | n | spread of paraphrases (sd, logit) | test | p < .05 | KS, p-values smaller than uniform: p "
        "| power at +.1 | power at +.2 |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for rate, n, spread in product((0.1, 0.4), (24, 80), (0.0, 1.0)):
        seeds = np.random.SeedSequence([23, n, int(100 * rate), int(10 * spread)])
        null = _many(n, rate, spread, 0.0, seeds.spawn(studies))
        power = [_many(n, rate, spread, e, seeds.spawn(studies // 5)) for e in EFFECTS]
        for k, name in enumerate(("t", "flip")):
            test = stats.kstest(null[:, k], "uniform", alternative="greater")
            shown = [share(int(np.sum(p[:, k] < ALPHA)), len(p)) for p in (null, *power)]
            lines.append(
                f"| {rate:g} | {n} | {spread:g} | {name} | {shown[0]} | {test.pvalue:.3f} | {shown[1]} | {shown[2]} |"
            )
            print(lines[-1], flush=True)
    return lines


def _many(n: int, rate: float, spread: float, effect: float, seeds: list[np.random.SeedSequence]) -> Floats:
    return np.array([study(n, rate, spread, effect, np.random.default_rng(s)) for s in seeds])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=3000)
    parser.add_argument("--write", type=Path, help="page whose table is rewritten")
    args = parser.parse_args()
    lines = table(args.studies)
    if args.write:
        write_atomic(args.write, fill(args.write.read_text(encoding="utf-8"), {"null-flip": lines}))


if __name__ == "__main__":
    main()
