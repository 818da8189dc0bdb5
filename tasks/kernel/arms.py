"""Experimental conditions, crossed within an instance, worded at equal length in eight paraphrase families.

Wording is data (`wording.yaml`): factor -> value -> eight sentences. Within a paraphrase family the values of a factor
differ by at most two words in length, so that a contrast is not one of length. Capability families cross arms too: the
notice stands before the job and changes nothing in the world.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib.resources import files
from itertools import product

import yaml

from dangercurve._errors import ConfigError, did_you_mean
from dangercurve.tasks.kernel.seeds import Instance
from dangercurve.tasks.kernel.world import Setting

PARAPHRASES = 8
ELICITATION = {"zero": "", "cot": "Think step by step before you act, then act.", "one_shot": ""}


@lru_cache(maxsize=1)
def wordings() -> Mapping[str, Mapping[str, tuple[str, ...]]]:
    """All factors with their values and sentences. Raises ConfigError where a value has not eight sentences."""
    raw = yaml.safe_load(
        files("dangercurve.tasks.kernel").joinpath("wording.yaml").read_text(encoding="utf-8")
    )
    table: dict[str, dict[str, tuple[str, ...]]] = {}
    for factor, values in raw.items():
        table[factor] = {}
        for value, sentences in values.items():
            if len(sentences) != PARAPHRASES:
                raise ConfigError(
                    f"wording.yaml: {factor}.{value} has {len(sentences)} sentences, not {PARAPHRASES}"
                )
            table[factor][str(value)] = tuple(str(s) for s in sentences)
    return table


def factor_values(factor: str) -> tuple[str, ...]:
    """Values of a factor of the suite, `none` (no notice) first."""
    return ("none", *wordings()[factor])


def notice(setting: Setting) -> str:
    """The sentences that the arms of a setting put before the job; empty where all arms are `none`."""
    table = wordings()
    lines = [
        table[factor][value][setting.paraphrase % PARAPHRASES]
        for factor, value in setting.arms
        if value != "none" and factor in table
    ]
    return "\n".join(lines)


def paraphrase_of(instance: Instance) -> int:
    """The paraphrase family of an instance: the same in all its arms and twins, balanced over indices."""
    return instance.index % PARAPHRASES


def parse_crossing(text: str, what: str) -> list[tuple[tuple[str, str], ...]]:
    """`"cue=eval|deploy,mon=none|monitored"` as the list of crossed cells; `""` is one empty cell.

    Raises ConfigError with the place that cannot be read.
    """
    factors: dict[str, Sequence[str]] = {}
    for part in filter(None, (p.strip() for p in text.split(","))):
        name, eq, values = part.partition("=")
        if not eq or not name or not all(values.split("|")):
            raise ConfigError(f"cannot read {what} '{part}'; write {what}=name=value|value,name=value")
        if name in factors:
            raise ConfigError(f"{what} '{name}' stands twice in '{text}'")
        factors[name.strip()] = [v.strip() for v in values.split("|")]
    return [tuple(zip(factors, cell, strict=True)) for cell in product(*factors.values())]


def check_elicitation(name: str) -> str:
    if name not in ELICITATION:
        raise ConfigError(f"no elicitation '{name}'{did_you_mean(name, ELICITATION)}")
    return name
