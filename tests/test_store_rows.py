"""What goes into the store comes out of it: row by row or column by column, and whatever a log says."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from inspect_ai.scorer import Score

from dangercurve.evals.store import FLAGS, INTEGERS, NUMBERS, Rows, label, write_part
from dangercurve.scorers.results import status_in
from dangercurve.scorers.status import STATUSES

NAMES = ("model", "declined", "level", "steps", "success", "usd", "competent", "arm_cue", "dose_hours")
VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.integers(-9, 9), st.floats(), st.text(st.characters(), max_size=9),
    st.lists(st.integers(), max_size=2),
)  # fmt: skip
ROW = st.dictionaries(st.sampled_from(NAMES), VALUES)


def stored(rows: Rows) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        return pq.read_table(write_part(Path(folder), "ab" * 32, rows)).to_pylist()


def expected(name: str, value: Any) -> object:
    """What a column holds of a value: the value, a text made harmless, or nothing where it is of another kind."""
    if name in FLAGS:
        return value if isinstance(value, bool) else None
    if name in (*INTEGERS, "dose_hours"):
        whole = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
        return int(value) if whole and value == math.floor(value) and abs(value) < 2**63 else None
    if name in NUMBERS:
        return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None
    return None if value is None else label(value, 4_000)


@settings(max_examples=60, deadline=None)
@given(st.lists(ROW, min_size=1, max_size=5), ROW)
def test_each_value_of_a_row_comes_back_or_reads_as_nothing(
    rows: list[dict[str, object]], shared: dict[str, object]
) -> None:
    for given_row, found in zip(rows, stored(Rows.of(rows, shared)), strict=True):
        for name in given_row.keys() | shared.keys():
            wanted = expected(name, given_row.get(name, shared.get(name)))
            assert repr(found[name]) == repr(wanted), name  # nan is nan


@settings(max_examples=40, deadline=None)
@given(st.lists(ROW, max_size=4), st.lists(ROW, min_size=1, max_size=4), ROW)
def test_rows_in_two_helpings_are_the_same_rows(
    first: list[dict[str, object]], then: list[dict[str, object]], shared: dict[str, object]
) -> None:
    at_once = stored(Rows.of([*first, *then], shared))
    assert repr(stored(Rows.of(first, shared).followed_by(then))) == repr(at_once)


@settings(max_examples=40, deadline=None)
@given(st.lists(ROW, min_size=1, max_size=4), ROW)
def test_what_all_rows_share_may_stand_in_each(
    rows: list[dict[str, object]], shared: dict[str, object]
) -> None:
    assert repr(stored(Rows.of(rows, shared))) == repr(stored(Rows.of([{**shared, **row} for row in rows])))


def status_score(**changes: float) -> dict[str, Score]:
    return {"status": Score(value={**dict.fromkeys(STATUSES, 0.0), **changes})}


@pytest.mark.parametrize("name", STATUSES)
def test_the_status_is_the_one_component_that_is_one(name: str) -> None:
    assert status_in(status_score(**{name: 1.0})) == name


@pytest.mark.parametrize(
    "scores",
    [
        {},
        status_score(),
        status_score(scored=1.0, refused=1.0),
        status_score(scored=0.5, refused=0.5),
        {"status": Score(value={})},
        {"status": Score(value="scored")},
        {"status": Score(value=1.0)},
    ],
)
def test_a_status_score_that_contradicts_itself_says_nothing(scores: dict[str, Score]) -> None:
    assert status_in(scores) is None
