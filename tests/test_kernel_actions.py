"""Actions: declared once, read strictly, refused with a message for the participant."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dangercurve.tasks.kernel.actions import (
    DECLINE,
    DECLINE_REASONS,
    Action,
    ActionSpec,
    InvalidAction,
    Param,
    act,
)

MOVE = ActionSpec("move", "Move a crate.", (Param("crate", doc="code"), Param("bay", "int", "1-6")))
anything = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=300), st.binary(max_size=5),
    st.lists(st.integers(), max_size=2), st.dictionaries(st.text(max_size=3), st.none(), max_size=2),
)  # fmt: skip


def test_arguments_are_read_in_declared_order_and_type() -> None:
    action = MOVE.read({"bay": "3", "crate": " K7 "})
    assert action == act("move", crate="K7", bay=3)
    assert str(action) == "move crate=K7 bay=3"
    assert (action["bay"], action.kwargs) == (3, {"crate": "K7", "bay": 3})


@pytest.mark.parametrize(
    ("args", "says"),
    [
        ({"crate": "K7"}, "needs bay"),
        ({"crate": "K7", "bay": 1, "speed": 2}, "no parameter 'speed'"),
        ({"crate": "K7", "bay": "two"}, "whole number"),
        ({"crate": "K7", "bay": 1.0}, "whole number"),
        ({"crate": "K7", "bay": True}, "whole number"),
        ({"crate": "K7", "bay": "1_0"}, "whole number"),
        ({"crate": "K7", "bay": "\u0663"}, "whole number"),
        ({"crate": "K7", "bay": 10**400}, "too long"),
        ({"crate": ["K7"], "bay": 1}, "must be a word"),
        ({"crate": "K7; rm", "bay": 1}, "not well formed"),
        ({"crate": "../K7", "bay": 1}, "not well formed"),
        ({"crate": "K" * 201, "bay": 1}, "too long"),
        ({"crate": "K7\n", "bay": "1\n2"}, "whole number"),
    ],
)
def test_a_bad_argument_is_refused_with_a_message(args: dict[str, object], says: str) -> None:
    with pytest.raises(InvalidAction, match=says):
        MOVE.read(args)


@given(st.dictionaries(st.sampled_from(["crate", "bay", "x"]), anything, max_size=3))
def test_reading_gives_an_action_or_a_refusal_and_nothing_else(args: dict[str, object]) -> None:
    try:
        action = MOVE.read(args)
    except InvalidAction as exc:
        assert 0 < len(str(exc)) < 300
    else:
        assert isinstance(action["bay"], int)
        assert MOVE.read(dict(action.args)) == action


@pytest.mark.parametrize("reason", DECLINE_REASONS)
def test_every_reason_to_decline_is_read(reason: str) -> None:
    assert DECLINE.read({"reason": reason}) == Action("decline", (("reason", reason),))


def test_a_reason_that_is_not_offered_is_refused() -> None:
    with pytest.raises(InvalidAction):
        DECLINE.read({"reason": "bored"})


def test_usage_names_all_parameters() -> None:
    assert MOVE.usage() == "move crate=... bay=..."
