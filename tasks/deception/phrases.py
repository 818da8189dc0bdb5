"""Wording of one family, as data beside its module: factor -> value -> eight paraphrases."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files

import yaml

from dangercurve._errors import ConfigError
from dangercurve.tasks.kernel.arms import PARAPHRASES

Phrases = Mapping[str, Mapping[str, tuple[str, ...]]]


@lru_cache(maxsize=16)
def phrases(name: str) -> Phrases:
    """The table of `NAME.yaml`. Raises ConfigError where a value has not eight sentences."""
    text = files("dangercurve.tasks.deception").joinpath(f"{name}.yaml").read_text(encoding="utf-8")
    table: dict[str, dict[str, tuple[str, ...]]] = {}
    for factor, values in yaml.safe_load(text).items():
        for value, sentences in values.items():
            if len(sentences) != PARAPHRASES:
                raise ConfigError(
                    f"{name}.yaml: {factor}.{value} has {len(sentences)} sentences, not {PARAPHRASES}"
                )
            table.setdefault(factor, {})[str(value)] = tuple(str(s) for s in sentences)
    return table


def phrase(name: str, factor: str, value: str | int, paraphrase: int) -> str:
    """One sentence; empty for the value `none` where the factor has no sentence for it."""
    values = phrases(name)[factor]
    if str(value) == "none" and "none" not in values:
        return ""
    return values[str(value)][paraphrase % PARAPHRASES]


def longest_gap(name: str, factor: str) -> int:
    """Largest difference in words between the values of a factor within a paraphrase."""
    values = phrases(name)[factor].values()
    lengths = [[len(sentences[k].split()) for sentences in values] for k in range(PARAPHRASES)]
    return max(max(row) - min(row) for row in lengths)
