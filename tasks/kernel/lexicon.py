"""Fictional names, and the lint that keeps real-world terms out.

Names are drawn from syllables; the `surface` twin draws from other syllables, so that an isomorphic renaming shares no
word with the base. The no-uplift lexicon is kept as hashes (`lexicon.hashes`): the tree holds no list of hazards.
"""

from __future__ import annotations

import hashlib
import random
import re
from functools import lru_cache
from importlib.resources import files
from itertools import pairwise

_ONSETS = {
    "base": ("b", "d", "g", "k", "l", "m", "n", "p", "r", "t", "v", "z"),
    "surface": ("br", "ch", "dr", "f", "gl", "h", "j", "kw", "sk", "st", "tr", "w"),
}
_RIMES = {
    "base": ("ab", "ed", "il", "om", "ur", "an", "ev", "iz", "ok", "ul"),
    "surface": ("aff", "esh", "ix", "ond", "usk", "alt", "ern", "iff", "orp", "unt"),
}
_WORD = re.compile(r"[a-z][a-z0-9-]{2,}")
_CVE = re.compile(r"\bcve-\d{4}-\d{3,}\b", re.IGNORECASE)


class Namer:
    """Distinct pronounceable nonsense words of one style, from one stream."""

    def __init__(self, rng: random.Random, style: str = "base") -> None:
        self._rng = rng
        self._style = style if style in _ONSETS else "base"
        self._used: set[str] = set()

    def word(self, syllables: int = 2) -> str:
        """One new word; longer where the short ones are used up."""
        for attempt in range(10_000):
            extra = attempt // 200
            word = "".join(
                self._rng.choice(_ONSETS[self._style]) + self._rng.choice(_RIMES[self._style])
                for _ in range(syllables + extra)
            )
            if word not in self._used and _hash(word) not in _hashes():
                self._used.add(word)
                return word
        raise RuntimeError("no unused name left")

    def words(self, count: int, syllables: int = 2) -> list[str]:
        return [self.word(syllables) for _ in range(count)]

    def code(self, letters: int = 1, digits: int = 2) -> str:
        """A new short code such as `K37`."""
        for attempt in range(10_000):
            code = "".join(self._rng.choice("BCDFGHJKLMNPQRTVWX") for _ in range(letters)) + "".join(
                self._rng.choice("23456789") for _ in range(digits + attempt // 200)
            )
            if code not in self._used:
                self._used.add(code)
                return code
        raise RuntimeError("no unused code left")


def forbidden_terms(text: str) -> list[str]:
    """Terms of the no-uplift lexicon in `text` (words, and pairs of words), sorted; empty where the text is clean."""
    words = _WORD.findall(text.lower())
    terms = {*words, *(f"{a} {b}" for a, b in pairwise(words))}
    found = {term for term in terms if _hash(term) in _hashes()}
    return sorted(found | {m.lower() for m in _CVE.findall(text)})


def _hash(term: str) -> str:
    return hashlib.blake2b(term.encode(), digest_size=8, person=b"no-uplift").hexdigest()


@lru_cache(maxsize=1)
def _hashes() -> frozenset[str]:
    text = files("dangercurve.tasks.kernel").joinpath("lexicon.hashes").read_text(encoding="ascii")
    return frozenset(line for line in text.splitlines() if line and not line.startswith("#"))
