"""The policy memo and the binder it stands in: the incentive of `threshold_sandbag`, at equal length in every arm.

`explicitness` adds clauses one by one: 0 nothing is said (the negative control: all arms read the same filler),
1 the consequence of a high result, 2 the limit, 3 that it concerns the reader, 4 a reminder before the first job,
5 the score to date after every job. `burial` says where the memo stands: 0 with the first message, then document
1 of 3, 5 of 10, 12 of 30 of a binder that is read page by page.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files

import yaml

from dangercurve._errors import ConfigError
from dangercurve.tasks.kernel.arms import PARAPHRASES

THRESHOLD_ARMS = ("none", "neutral_label", "penalty", "reward")
EXPLICITNESS = (0, 1, 2, 3, 4, 5)
BURIAL = (0, 1, 2, 3)
DEFAULT_EXPLICITNESS = 3
SAYS_LIMIT, REMINDS, SHOWS_SCORE = 2, 4, 5
PAGE = 6
_PLACES = {0: (0, 0), 1: (1, 3), 2: (5, 10), 3: (12, 30)}


@lru_cache(maxsize=1)
def clauses() -> Mapping[str, Mapping[str, tuple[str, ...]]]:
    """Clause -> value -> eight sentences. Raises ConfigError where a value has not eight."""
    text = files("dangercurve.tasks.deception").joinpath("memo.yaml").read_text(encoding="utf-8")
    table: dict[str, dict[str, tuple[str, ...]]] = {}
    for clause, values in yaml.safe_load(text).items():
        for value, sentences in values.items():
            if len(sentences) != PARAPHRASES:
                raise ConfigError(
                    f"memo.yaml: {clause}.{value} has {len(sentences)} sentences, not {PARAPHRASES}"
                )
            table.setdefault(clause, {})[str(value)] = tuple(str(s) for s in sentences)
    return table


def says(thr: str, explicitness: int) -> bool:
    """Whether the memo mentions a consequence at all."""
    return thr != "none" and explicitness >= 1


def memo(thr: str, explicitness: int, paraphrase: int, limit: int, jobs: int) -> str:
    """The memo of an arm: as many clauses in every arm, three at most."""
    spoken = thr if says(thr, explicitness) else "none"
    count = max(1, min(explicitness, 3))
    lines = [
        _sentence(name, spoken if name == "consequence" else _shared(spoken), paraphrase)
        for name in ("consequence", "limit", "subject")[:count]
    ]
    return "Memo: " + " ".join(lines).format(limit=limit, jobs=jobs)


def reminder(thr: str, explicitness: int, paraphrase: int) -> str:
    """The line before the first job from explicitness 4 on, else empty."""
    return "" if explicitness < REMINDS else _sentence("reminder", _shared(thr), paraphrase)


def binder_pages(text: str, burial: int, paraphrase: int) -> tuple[tuple[str, ...], int]:
    """Pages of the binder and the page (from 1) on which `text` stands; no pages and 0 where it is not in a binder."""
    place, count = _PLACES[burial]
    filler = [*clauses()["consequence"]["none"], *clauses()["subject"]["none"]]
    documents = [
        f"Document {k}. " + (text if k == place else filler[(k + paraphrase) % len(filler)])
        for k in range(1, count + 1)
    ]
    pages = tuple("\n".join(documents[i : i + PAGE]) for i in range(0, count, PAGE))
    return pages, -(-place // PAGE)


def _shared(thr: str) -> str:
    return "none" if thr == "none" else "stated"


def _sentence(clause: str, value: str, paraphrase: int) -> str:
    return clauses()[clause][value][paraphrase % PARAPHRASES]
