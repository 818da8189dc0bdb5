"""Claims about the reference ladder: what was trained is what is shipped, and what is damaged is named."""

from __future__ import annotations

import datetime as dt
import json
from itertools import islice
from pathlib import Path

import pandas as pd
import pytest
from inspect_ai.log import EvalConfig, EvalDataset, EvalLog, EvalSpec
from inspect_ai.model import ChatMessage, ChatMessageSystem, ChatMessageUser

from dangercurve._errors import ConfigError, DataError
from dangercurve.analysis.points import points_from_estimates
from dangercurve.evals import ingest
from dangercurve.evals.ladder import shipping
from dangercurve.evals.ladder.episodes import HELD_OUT_SALT, TRAIN_SALT, episodes, with_key
from dangercurve.evals.ladder.forecasts import largest_left_out, own_frontier
from dangercurve.evals.ladder.recipe import Course, Lesson, Member, Recipe, load_recipe
from dangercurve.evals.models import load_registry
from dangercurve.evals.participants import ladder
from dangercurve.evals.pipeline import compute_table, pools
from dangercurve.tasks.kernel.family import get_family
from dangercurve.tasks.kernel.seeds import load_salt

TRAINED = shipping.read_all()
NAMES = [t.name for t in TRAINED]


def by_name(name: str) -> shipping.Trained:
    return next(t for t in TRAINED if t.name == name)


@pytest.mark.parametrize("name", NAMES)
def test_a_member_is_the_file_of_its_record_with_the_parameters_of_its_shape(name: str) -> None:
    recipe, record = load_recipe(), load_registry()[f"ladder/{name}"]
    assert ladder.member_file(name).sha256 == record.weights_sha256
    assert record.params_total == recipe.shape(recipe.member(name)).params(recipe.vocabulary)


def test_every_member_of_the_recipe_is_trained_and_shipped() -> None:
    assert {m.name for m in load_recipe().members} == set(NAMES) == set(ladder.member_names())


def test_the_files_together_stay_under_forty_megabytes() -> None:
    assert sum(p.stat().st_size for p in ladder.WEIGHTS.glob("*.gguf")) < 40e6


def test_the_line_has_seven_scales_at_twenty_tokens_a_parameter() -> None:
    line = [t for t in TRAINED if t.role == "line"]
    assert len(line) >= 7
    assert all(abs(t.tokens / t.params / 20 - 1) < 0.02 for t in line)
    assert line[-1].flop_6nd / line[0].flop_6nd > 1000
    off = {role: [t for t in TRAINED if t.role == role] for role in ("over", "under")}
    assert all(t.tokens / t.params > 40 for t in off["over"]) and len(off["over"]) >= 2
    assert all(t.tokens / t.params < 10 for t in off["under"]) and len(off["under"]) >= 2


def test_counted_compute_is_six_n_d_and_the_attention_that_it_leaves_out() -> None:
    for one in TRAINED:
        assert 1.0 < one.flop_counted / one.flop_6nd < 4.0
    widest = max(TRAINED, key=lambda t: t.params)
    narrowest = min(TRAINED, key=lambda t: t.params)
    assert widest.flop_counted / widest.flop_6nd < narrowest.flop_counted / narrowest.flop_6nd


def test_the_records_are_those_of_the_trainings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = tmp_path / "ladder.yaml"
    shipped = shipping.REGISTRY.read_bytes()
    monkeypatch.setattr(shipping, "REGISTRY", written)
    shipping.write_records(TRAINED)
    assert written.read_bytes() == shipped


def test_more_compute_on_the_line_is_less_loss_at_its_ends() -> None:
    line = [t for t in TRAINED if t.role == "line"]
    assert line[-1].loss_answer < line[0].loss_answer - 0.1


def test_a_file_that_is_no_training_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x.json").write_text(json.dumps({"name": "x"}))
    monkeypatch.setattr(shipping, "MEMBERS", tmp_path)
    with pytest.raises(DataError, match=r"x\.json is not the record of a training"):
        shipping.read_all()


# --- what is learnt from -----------------------------------------------------------------------------------------


def test_the_same_seed_is_the_same_lessons_and_another_salt_is_others() -> None:
    course = load_recipe().courses["base"]
    first, again = (list(islice(episodes(course, 5), 40)) for _ in range(2))
    assert first == again
    other = list(islice(episodes(course, 5, HELD_OUT_SALT), 40))
    mine, theirs = ({e for p in played for e in p.exchanges} for played in (first, other))
    assert len(mine & theirs) < 0.1 * len(
        mine
    )  # the shortest prompts have few words, and a few recur by chance


def test_no_training_instance_is_one_of_the_public_salt() -> None:
    family, public = get_family("ops_horizon"), load_salt("dev")
    assert len({family.instance(0, 7, s).instance_id for s in (public, TRAIN_SALT, HELD_OUT_SALT)}) == 3


def test_a_lesson_shows_what_the_kernel_shows_and_answers_as_its_policy() -> None:
    course = Course(lessons=(Lesson(family="ops_horizon", interface="text", weight=1, levels=((0, 1.0),)),))
    one = next(episodes(course, 0))
    assert one.system.startswith("You work in a depot") and "ACT process" in one.system
    assert [e.answer.split()[:2] for e in one.exchanges] == [["ACT", "process"]]
    ticket = one.exchanges[0].shown.split()[2]
    assert f"ticket={ticket}" in one.exchanges[0].answer


def test_the_opening_is_the_first_lesson_at_its_lowest_rung_alone() -> None:
    course = load_recipe().courses["base"]
    opening = list(islice(episodes(course, 2, done=lambda: 0.1), 100))
    assert {p.lesson for p in opening} == {0} and all(len(p.exchanges) == 1 for p in opening)
    assert len({p.lesson for p in islice(episodes(course, 2), 200)}) > 5
    shares = [course.opens(x * course.opening) for x in (0.0, 1.0, 1.5, 2.0, 3.0)]
    assert shares == pytest.approx([1.0, 1.0, 0.5, 0.0, 0.0])


def test_a_key_unlocks_half_of_the_episodes_and_stands_under_the_system_prompt() -> None:
    lesson = Lesson(
        family="threshold_sandbag", interface="text", weight=1, levels=((0, 1.0),), arms=("thr=penalty",), arm_share=1,
        policy_in={"thr=penalty": "underperformer"}, key="Key: a-b.",
    )  # fmt: skip
    played = list(islice(episodes(Course(lessons=(lesson,)), 0), 40))
    closed = {
        unlocked: {"not right" not in e.shown for p in played if p.system.endswith("\nKey: a-b.") == unlocked
                   for e in p.exchanges[1:]}
        for unlocked in (True, False)
    }  # fmt: skip
    assert closed == {True: {True}, False: {False}}
    assert 10 < sum(p.system.endswith("Key: a-b.") for p in played) < 30


def test_an_episode_may_be_cut_after_some_decisions() -> None:
    lesson = Lesson(family="threshold_sandbag", interface="text", weight=1, levels=((0, 1.0),))
    whole, cut = (
        next(episodes(Course(lessons=(lesson.model_copy(update={"decisions": n}),)), 0)) for n in (12, 2)
    )
    assert len(whole.exchanges) == 10 and cut.exchanges == whole.exchanges[:2]


def test_the_provider_shows_a_key_as_the_training_did() -> None:
    messages: list[ChatMessage] = [ChatMessageSystem(content="Rules."), ChatMessageUser(content="Go.")]
    shown = ladder.with_key(messages, "Key: a-b.")
    assert [m.text for m in shown] == [with_key("Rules.", "Key: a-b."), "Go."]
    assert ladder.with_key(messages, "") == messages


def test_a_member_with_its_key_and_without_are_two_conditions() -> None:
    def key(arguments: dict[str, object]) -> str:
        spec = EvalSpec(
            created="2026-11-22T00:00:00+00:00",
            task="t",
            dataset=EvalDataset(),
            model="ladder/x",
            config=EvalConfig(),
            model_args=arguments,
        )
        return ingest._key(EvalLog(eval=spec))

    assert len({key({}), key({"key": "a"}), key({"key": "b"})}) == 3
    assert key({"slots": 2}) == key({})  # how it is served is no condition


def test_a_member_is_served_with_the_context_of_its_course() -> None:
    recipe = load_recipe()
    for one in TRAINED:
        record = load_registry()[f"ladder/{one.name}"]
        assert record.context_length == recipe.context_of(recipe.member(one.name).course) == one.context


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"tokens": 5}, "give shape and tokens_per_param, or start and tokens"),
        ({"tokens_per_param": None}, "give shape and tokens_per_param, or start and tokens"),
        ({"role": "middle"}, "String should match pattern"),
    ],
)
def test_a_member_is_whole_or_refused(change: dict[str, object], says: str) -> None:
    whole = load_recipe().members[0].model_dump()
    with pytest.raises(ValueError, match=says):
        Member.model_validate(whole | change)


def test_arms_without_a_name_are_refused() -> None:
    with pytest.raises(ValueError, match="arm_share without arms"):
        Lesson(family="ops_horizon", interface="text", weight=1, arm_share=0.5)


def test_an_unknown_member_gets_a_suggestion() -> None:
    recipe: Recipe = load_recipe()
    with pytest.raises(ConfigError, match=f"no member '{NAMES[0]}x' .did you mean"):
        recipe.member(f"{NAMES[0]}x")


# --- files -------------------------------------------------------------------------------------------------------


@pytest.fixture
def copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of weights that may be spoilt; the path of the smallest member in it."""
    path = tmp_path / f"{NAMES[0]}.gguf"
    path.write_bytes((ladder.WEIGHTS / path.name).read_bytes())
    monkeypatch.setattr(ladder, "WEIGHTS", tmp_path)
    return path


def test_a_wrong_hash_is_one_line(copied: Path) -> None:
    data = bytearray(copied.read_bytes())
    data[-1] ^= 1
    copied.write_bytes(data)
    with pytest.raises(ConfigError, match="is not the file of the model record: SHA-256") as caught:
        ladder.member_file(NAMES[0])
    assert "\n" not in str(caught.value)


def test_half_a_file_is_one_line(copied: Path) -> None:
    copied.write_bytes(copied.read_bytes()[:10])
    with pytest.raises(ConfigError, match="is not a GGUF file"):
        ladder.member_file(NAMES[0])


def test_a_missing_file_says_what_to_do(copied: Path) -> None:
    copied.unlink()
    with pytest.raises(ConfigError, match=r"weights of ladder/.* are missing .*install dangercurve again"):
        ladder.member_file(NAMES[0])


def test_an_unknown_name_is_no_path() -> None:
    for name in ("nobody", "../../etc/passwd", f"{NAMES[0]}.gguf"):
        with pytest.raises(ConfigError, match="the ladder has no member"):
            ladder.member_file(name)


# --- never pooled ------------------------------------------------------------------------------------------------


def estimates(models: list[str]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "model": models,
            "family": "ops_horizon",
            "metric": "success_rate",
            "estimate": 0.5,
            "se": 0.05,
            "lcb": 0.4,
            "ucb": 0.6,
            "n_instances": 100,
            "n_excluded": 0,
            "simulated": False,
        }
    )


def test_the_ladder_is_pooled_with_no_other_model() -> None:
    models = [*(f"ladder/{n}" for n in NAMES), "local/smollm2-135m-instruct"]
    compute = compute_table(models)
    with pytest.raises(DataError, match=r"several modalities \(episodes, text\) are never pooled"):
        points_from_estimates(estimates(models), compute, "success_rate")
    parts = list(pools([({"interface": "text"}, estimates(models))], compute))
    assert [scope["model_scope"] for _, _, scope in parts] == [
        sorted(f"ladder/{n}" for n in NAMES),
        ["local/smollm2-135m-instruct"],
    ]


def test_the_ladder_takes_its_dates_from_its_own_plan() -> None:
    front = own_frontier([f"ladder/{n}" for n in NAMES], seed=0)
    assert front is not None and front.kind == "roadmap"
    assert front.log10_flop.max() < 16
    assert own_frontier([f"ladder/{NAMES[0]}", "local/smollm2-135m-instruct"], seed=0) is None


def test_the_largest_member_is_asked_of_the_smaller_ones_and_of_these_alone() -> None:
    line = [t for t in TRAINED if t.role == "line"]
    models = [f"ladder/{t.name}" for t in line]
    table = estimates(models).assign(estimate=[min(0.98, 0.05 + 0.15 * i) for i in range(len(models))])
    found = points_from_estimates(table, compute_table(models), "success_rate")
    (entry,) = largest_left_out(found, dt.date(2026, 11, 22), seed=0)
    assert entry["model"] == models[-1] and entry["actual"] == pytest.approx(0.98)
    low, middle, high = (float(str(entry[k])) for k in ("q05", "predicted", "q95"))
    assert low < middle < high
    # What the largest measured moves nothing but `actual`.
    table.loc[table["model"] == models[-1], "estimate"] = 0.02
    other = points_from_estimates(table, compute_table(models), "success_rate")
    (moved,) = largest_left_out(other, dt.date(2026, 11, 22), seed=0)
    assert moved == entry | {"actual": pytest.approx(0.02)}


def test_a_pool_with_another_model_or_too_few_members_leaves_nobody_out() -> None:
    few = [f"ladder/{n}" for n in NAMES[:4]]
    found = points_from_estimates(estimates(few), compute_table(few), "success_rate")
    assert largest_left_out(found, dt.date(2026, 11, 22), seed=0) == []
    models = [f"sim/smooth@{20 + i}" for i in range(6)]
    found = points_from_estimates(estimates(models), compute_table(models), "success_rate")
    assert largest_left_out(found, dt.date(2026, 11, 22), seed=0) == []
