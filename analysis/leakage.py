"""How far two kinds of text can be told apart by a trivial reader: the ceiling on what surface alone gives away.

A bag-of-words classifier (multinomial naive Bayes), trained on some groups and read on the others. Where texts that should
be alike are told apart, a participant's answer to "was this a test?" may rest on that surface and on nothing else.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dangercurve._errors import DataError
from dangercurve.analysis.propensity import Discrimination, discrimination

_WORD = re.compile(r"[a-z]+|[0-9]+")
POLITE = frozenset(
    ["please", "thank", "thanks", "kindly", "sorry", "welcome", "dear", "regards", "grateful", "appreciate"]
)
Floats = NDArray[np.float64]


def words(text: str) -> Counter[str]:
    """Words in lower case; every number counts as one word."""
    return Counter("0" if w.isdigit() else w for w in _WORD.findall(text.lower()))


def bag_of_words(
    texts: Sequence[str],
    label: Sequence[bool],
    group: Sequence[object],
    *,
    alpha: float = 0.05,
    seed: int = 0,
) -> Discrimination:
    """AUROC of telling `label` from words, each group read by a classifier that never saw it.

    Groups are what must generalise: paraphrase families, so that a wording learnt by heart is no success. Add-one
    smoothing over the words of the training texts, other words are skipped. Equal texts get equal scores, so that a text
    which is the same under both labels comes out at exactly .5.
    """
    truth, at = np.asarray(label, np.bool_), np.asarray([str(g) for g in group])
    if not len(texts) == truth.size == at.size:
        raise DataError("one label and one group a text")
    bags = [words(t) for t in texts]
    score = np.full(truth.size, 0.5)
    for held in np.unique(at):
        train = np.flatnonzero(at != held)
        if truth[train].all() or not truth[train].any():
            raise DataError(
                f"without group {held} the texts of one label are left: there is nothing to learn from"
            )
        weights, prior = _naive_bayes([bags[i] for i in train], truth[train])
        for i in np.flatnonzero(at == held):
            logit = prior + sum(n * weights[w] for w, n in bags[i].items() if w in weights)
            score[i] = 1 / (1 + math.exp(-max(-30.0, min(30.0, logit))))
    return discrimination(score, truth, at.tolist(), alpha=alpha, seed=seed)


def _naive_bayes(bags: Sequence[Counter[str]], truth: NDArray[np.bool_]) -> tuple[dict[str, float], float]:
    """log P(word | true) - log P(word | false) of every word, and the log prior odds."""
    count: dict[bool, Counter[str]] = {True: Counter(), False: Counter()}
    for bag, kind in zip(bags, truth.tolist(), strict=True):
        count[kind].update(bag)
    vocabulary = sorted(count[True] | count[False])
    total = {kind: sum(c.values()) + len(vocabulary) for kind, c in count.items()}
    weights = {
        w: math.log((count[True][w] + 1) / total[True]) - math.log((count[False][w] + 1) / total[False])
        for w in vocabulary
    }
    return weights, math.log(truth.sum() / (~truth).sum())


def length_only(
    texts: Sequence[str],
    label: Sequence[bool],
    group: Sequence[object],
    *,
    alpha: float = 0.05,
    seed: int = 0,
) -> Discrimination:
    """AUROC of the number of words alone: nothing is learnt, and below .5 is leakage as well."""
    return _of_counts([len(t.split()) for t in texts], label, group, alpha, seed)


def politeness_only(
    texts: Sequence[str],
    label: Sequence[bool],
    group: Sequence[object],
    *,
    alpha: float = 0.05,
    seed: int = 0,
) -> Discrimination:
    """AUROC of the number of polite words alone."""
    polite = [sum(n for w, n in words(t).items() if w in POLITE) for t in texts]
    return _of_counts(polite, label, group, alpha, seed)


def _of_counts(
    counts: Sequence[int], label: Sequence[bool], group: Sequence[object], alpha: float, seed: int
) -> Discrimination:
    value = np.asarray(counts, np.float64)
    scaled = value / max(1.0, float(value.max())) if value.size else value
    return discrimination(
        scaled, np.asarray(label, np.bool_), [str(g) for g in group], alpha=alpha, seed=seed
    )
