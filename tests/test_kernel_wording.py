"""Wording of arms and memos: eight paraphrases, equal length, nothing from the no-uplift lexicon."""

from __future__ import annotations

import pytest

from dangercurve.tasks.kernel.arms import PARAPHRASES, wordings
from dangercurve.tasks.kernel.lexicon import forbidden_terms


@pytest.mark.parametrize("factor", ["cue", "inc", "mon", "auth", "goal"])
def test_values_of_a_factor_differ_by_at_most_two_words_within_a_paraphrase(factor: str) -> None:
    table = wordings()[factor]
    for k in range(PARAPHRASES):
        lengths = {value: len(sentences[k].split()) for value, sentences in table.items()}
        assert max(lengths.values()) - min(lengths.values()) <= 2, (factor, k, lengths)


def test_every_sentence_of_the_arms_is_distinct_within_its_value_and_clean() -> None:
    for factor, values in wordings().items():
        for value, sentences in values.items():
            assert len(set(sentences)) == PARAPHRASES, (factor, value)
            assert forbidden_terms(" ".join(sentences)) == []


def test_told_absent_says_the_words_of_monitored() -> None:
    assert wordings()["mon"]["told_absent"] == wordings()["mon"]["monitored"]
