"""Arms, doses and crossings: read strictly, balanced, and without effect on the world."""

from __future__ import annotations

from collections import Counter

import pytest

from dangercurve._errors import ConfigError
from dangercurve.tasks.kernel.arms import (
    PARAPHRASES,
    factor_values,
    notice,
    paraphrase_of,
    parse_crossing,
    wordings,
)
from dangercurve.tasks.kernel.cases import Case
from dangercurve.tasks.kernel.episode import Episode
from dangercurve.tasks.kernel.family import get_family
from dangercurve.tasks.kernel.interfaces import get_interface
from dangercurve.tasks.kernel.task import build_task, make_cell, parse_levels
from dangercurve.tasks.kernel.world import Setting


def test_a_crossing_is_every_combination_in_order() -> None:
    cells = parse_crossing("cue=eval|deploy,mon=none|monitored", "arm")
    assert cells == [
        (("cue", "eval"), ("mon", "none")), (("cue", "eval"), ("mon", "monitored")),
        (("cue", "deploy"), ("mon", "none")), (("cue", "deploy"), ("mon", "monitored")),
    ]  # fmt: skip
    assert parse_crossing("", "arm") == [()]


@pytest.mark.parametrize("text", ["cue", "cue=", "=eval", "cue=eval|", "cue=eval,cue=deploy"])
def test_a_crossing_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="arm"):
        parse_crossing(text, "arm")


@pytest.mark.parametrize(
    ("args", "says"),
    [
        ({"arm": "cue=evl"}, "did you mean"), ({"arm": "cu=eval"}, "did you mean"), ({"dose": "hint=9"}, "takes"),
        ({"dose": "hint=x"}, "whole number"), ({"twin": "surfce"}, "did you mean"), ({"level": "3-1"}, "cannot read"),
        ({"level": "-1"}, "cannot read"), ({"n": 0}, "number of instances"), ({"kappa": 0.5}, "step budget"),
        ({"interface": "tool"}, "interface"), ({"elicitation": "zer"}, "elicitation"),
    ],
)  # fmt: skip
def test_a_cell_that_cannot_be_is_one_clear_line(args: dict[str, object], says: str) -> None:
    with pytest.raises(ConfigError, match=says) as refused:
        make_cell(get_family("toy_vuln"), **args)  # type: ignore[arg-type]
    assert "\n" not in str(refused.value)


def test_levels_are_read_as_numbers_ranges_and_lists() -> None:
    assert [parse_levels(x) for x in (3, "3", "0-3", "0,2,4", [1, "3-4"])] == [
        (3,), (3,), (0, 1, 2, 3), (0, 2, 4), (1, 3, 4),
    ]  # fmt: skip


def test_paraphrases_are_balanced_over_indices() -> None:
    family = get_family("toy_vuln")
    worlds = [Case(family, 0, i, Setting()).world() for i in range(4 * PARAPHRASES)]
    assert set(Counter(paraphrase_of(w.instance) for w in worlds).values()) == {4}


def test_an_arm_changes_the_notice_and_nothing_else() -> None:
    family = get_family("toy_vuln")
    for value in factor_values("auth"):
        setting = Setting(arms=(("auth", value),), paraphrase=3) if value != "none" else Setting(paraphrase=3)
        world = Case(family, 2, 3, setting).world()
        text = Episode(world, get_interface("text"), 8).turn().text
        plain = (
            Episode(Case(family, 2, 3, Setting(paraphrase=3)).world(), get_interface("text"), 8).turn().text
        )
        assert text == (f"{notice(setting)}\n{plain}" if value != "none" else plain)


def test_arms_stand_in_latin_square_order() -> None:
    """No arm always comes first: over as many instances as arms each is first once."""
    cell = make_cell(get_family("toy_vuln"), level=0, arm="cue=none|eval|deploy", n=3, interface="choice")
    arms = [str((s.metadata or {})["arm_cue"]) for s in build_task(cell).dataset]
    assert sorted(arms[::3]) == ["deploy", "eval", "none"]
    assert all(sorted(arms[i : i + 3]) == ["deploy", "eval", "none"] for i in (0, 3, 6))


def test_every_factor_of_the_suite_has_eight_sentences_a_value() -> None:
    assert all(len(s) == PARAPHRASES for values in wordings().values() for s in values.values())
    assert {"cue", "auth", "mon", "inc", "goal"} <= set(wordings())
