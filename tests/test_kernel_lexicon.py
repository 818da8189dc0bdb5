"""Names are nonsense, distinct and clean; real-world terms are found by hash and by pattern."""

from __future__ import annotations

import random

import pytest

from dangercurve.tasks.kernel import lexicon
from dangercurve.tasks.kernel.lexicon import Namer, forbidden_terms
from dangercurve.tasks.kernel.render import STYLES, record, style_for


def test_names_are_distinct_and_clean() -> None:
    namer = Namer(random.Random(1))
    words, codes = namer.words(3000), [namer.code() for _ in range(3000)]
    assert len({*words, *codes}) == 6000
    assert forbidden_terms(" ".join(words)) == []


def test_surface_names_share_no_word_with_the_base() -> None:
    base, surface = Namer(random.Random(1)).words(2000), Namer(random.Random(1), "surface").words(2000)
    assert not set(base) & set(surface)


def test_the_same_stream_gives_the_same_names() -> None:
    assert Namer(random.Random(7)).words(50) == Namer(random.Random(7)).words(50)


def test_a_listed_word_or_pair_is_found_and_never_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    listed = frozenset(lexicon._hash(term) for term in ("bababab", "red kite", "bab"))
    monkeypatch.setattr(lexicon, "_hashes", lambda: listed)
    assert forbidden_terms("A Red kite over Bababab, and redkite") == ["bababab", "red kite"]
    assert "bab" not in Namer(random.Random(0)).words(60, syllables=1)


def test_identifiers_of_real_weaknesses_are_found() -> None:
    number = "2021-" + "44228"
    assert forbidden_terms(f"see CVE-{number}.") == [f"cve-{number}"]


def test_the_lexicon_is_kept_as_hashes_only() -> None:
    assert len(lexicon._hashes()) >= 200
    assert all(len(h) == 16 and int(h, 16) >= 0 for h in lexicon._hashes())


@pytest.mark.parametrize("style", STYLES)
def test_every_rendering_holds_every_field(style: str) -> None:
    text = record("K7", {"grade": 3, "part": "lump"}, style)
    assert all(item in text for item in ("K7", "grade", "3", "part", "lump"))


def test_only_the_rendering_twin_changes_the_form() -> None:
    assert style_for("base", random.Random(1)) == "line"
    assert {style_for("rendering", random.Random(i)) for i in range(40)} == set(STYLES[1:])
