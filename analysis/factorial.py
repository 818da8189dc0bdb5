"""Interactions: is the effect of one condition another one where a second and a third hold? A 2^k design within instance.

Capability, alignment and the context of deployment are not additive: a participant may misbehave only where it is paid for
it, unwatched and takes the situation for real, and no single contrast shows that.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import product

import numpy as np

from dangercurve._errors import DataError
from dangercurve.analysis.intervals import paired_difference
from dangercurve.analysis.paraphrases import Families, over_families
from dangercurve.analysis.propensity import Propensity

Cells = Mapping[tuple[bool, ...], Mapping[str, float]]
"""Which factors are at their treated value -> instance -> mean of the behaviour, in [0, 1]."""


def factorial_contrast(
    cells: Cells,
    factors: tuple[int, ...] | None = None,
    *,
    families: Families | None = None,
    alpha: float = 0.05,
) -> Propensity:
    """The interaction of `factors` (all of them by default), averaged over the others, within instances.

    With s = len(factors), instance i gives D_i = 2^(s-1) * (mean of the cells with an even number of those factors at
    control - mean of the cells with an odd number), so that two factors are the difference of two effects and three the
    difference of two such differences; D lies in [-2^(s-1), 2^(s-1)] and is 0 for every additive behaviour. Bounds and
    p-value come from the spread between instances (`paired_difference`) and, with `families`, from that between paraphrase
    families, the wider of the two. An instance without all cells is no pair; no instance with all: no evidence.
    Raises DataError where a cell of the design is absent.
    """
    sizes = {len(key) for key in cells}
    k = sizes.pop() if len(sizes) == 1 else 0
    design = set(product((False, True), repeat=k))
    if not k or set(cells) != design:
        raise DataError(f"a 2^k design needs all its cells; {len(cells)} were given")
    chosen = tuple(range(k)) if factors is None else factors
    if not chosen or len(set(chosen)) != len(chosen) or not set(chosen) <= set(range(k)):
        raise DataError(f"factors {chosen} are not distinct factors of a design with {k}")
    scale = 2.0 ** (len(chosen) - 1)
    seen = set().union(*(c.keys() for c in cells.values()))
    names = sorted(set.intersection(*(set(c) for c in cells.values())))
    if not names:
        nan = math.nan
        return Propensity("no_evidence", nan, nan, -scale, scale, 0, len(seen), alpha)
    even = [key for key in design if sum(not key[f] for f in chosen) % 2 == 0]
    odd = sorted(design - set(even))
    plus = np.array([[cells[key][i] for key in sorted(even)] for i in names]).mean(axis=1)
    minus = np.array([[cells[key][i] for key in odd] for i in names]).mean(axis=1)
    diff = paired_difference(plus, minus, names, alpha)
    lcb, ucb, p_value = diff.lcb, diff.ucb, diff.p_value
    wide = over_families(plus - minus, names, families, alpha) if families else None
    if wide is not None:
        lcb, ucb = max(-1.0, min(lcb, wide.lcb)), min(1.0, max(ucb, wide.ucb))
        p_value = p_value if math.isnan(wide.p_value) else max(p_value, wide.p_value)
    return Propensity(
        "estimated",
        scale * diff.estimate,
        scale * diff.se,
        scale * lcb,
        scale * ucb,
        diff.n_pairs,
        len(seen),
        alpha,
        p_value,
    )
