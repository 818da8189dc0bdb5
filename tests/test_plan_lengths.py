"""How long an episode of the oracle is: the plan's count is what Inspect then sends."""

from __future__ import annotations

import statistics
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from inspect_ai import eval as inspect_eval

from dangercurve.evals.planning.lengths import Length, oracle_length
from dangercurve.tasks.kernel.family import INTERFACES, family_names, get_family
from dangercurve.tasks.kernel.task import build_task, make_cell

PLAYED = (
    ("ops_horizon", ""),
    ("amnesia_ops", "memory=none|kept"),
    ("threshold_sandbag", ""),
    ("guard_breach", ""),
)


@pytest.mark.parametrize("interface", INTERFACES)
@pytest.mark.parametrize(("family", "arm"), PLAYED)
def test_the_plan_counts_what_the_oracle_is_sent(
    family: str, arm: str, interface: str, tmp_path: Path
) -> None:
    """The bots book a quarter of the characters of each call's messages, rounded down; definitions of tools and the
    arguments of calls are no text of a message and are not in it."""
    kernel = make_cell(
        get_family(family), [0, 1, 2] if family == "ops_horizon" else [1], arm=arm, n=1, interface=interface
    )
    settings = {s.label(): s for s in kernel.settings}
    (log,) = inspect_eval(
        build_task(kernel), model="bot/oracle", log_dir=str(tmp_path), display="none", log_level="error"
    )
    assert log.samples
    for sample in log.samples:
        level, label = int(sample.metadata["level"]), str(sample.id).split("-", 3)[3]
        found = oracle_length(kernel, level, 0, settings[label])
        assert sample.scores and sample.scores["status"].metadata
        assert found.calls == sample.scores["status"].metadata["turns"], sample.id
        booked = 4 * sample.model_usage["bot/oracle"].input_tokens
        if interface == "tools":
            assert booked < found.read, sample.id
        else:
            assert booked <= found.read < booked + 4 * found.calls, sample.id


@pytest.mark.parametrize("interface", INTERFACES)
@pytest.mark.parametrize("family", family_names())
def test_every_family_is_counted_and_longer_levels_read_more(family: str, interface: str) -> None:
    levels = sorted(get_family(family).tiers["light"].levels)
    kernel = make_cell(get_family(family), levels, n=4, interface=interface)
    read = [
        statistics.mean(oracle_length(kernel, level, k, kernel.settings[0]).read for k in range(4))
        for level in levels
    ]
    assert read == sorted(read) and read[0] > 0


def test_letters_and_log_probabilities_are_asked_the_same_number_of_times() -> None:
    family = get_family("ops_horizon")
    by = [make_cell(family, [2], n=1, interface="choice", choice_by=how) for how in ("letter", "logprob")]
    first, second = (oracle_length(kernel, 2, 0, kernel.settings[0]) for kernel in by)
    assert first.calls == second.calls == 4


def test_longer_replies_are_read_again_at_each_later_call() -> None:
    kernel = make_cell(get_family("ops_horizon"), [2], n=1, interface="text")
    none, long = (oracle_length(kernel, 2, 0, kernel.settings[0], reply) for reply in (0.0, 100.0))
    assert none.calls == long.calls == 4
    assert long.read - none.read == 100 * (1 + 2 + 3) and long.written - none.written == 400


@given(st.integers(1, 40), st.integers(0, 40), st.floats(1, 1e4), st.floats(0, 500))
def test_calls_beyond_the_oracles_read_on_in_a_straight_line(
    calls: int, more: int, first: float, growth: float
) -> None:
    read = [first + growth * k for k in range(calls + more)]
    found = Length(calls, sum(read[:calls]), 0.0, read[calls - 1], growth)
    assert found.read_in(calls + more) == pytest.approx(sum(read))
    assert found.read_in(calls) == found.read
