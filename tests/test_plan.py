"""Before a run: sizes with known answers, money that is said where it is unknown, and the split of a budget."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from dangercurve._errors import ConfigError, DataError
from dangercurve.analysis.budget import SplitModel, split_budget, terms
from dangercurve.analysis.intervals import clopper_pearson, paired_difference, zero_event_n
from dangercurve.analysis.power import (
    paired_detectable,
    paired_sample_size,
    rule_out_power,
    rule_out_rate,
    zero_event_bound,
)
from dangercurve.evals.planning.measured import measured_in
from dangercurve.evals.planning.plan import dry_run_text, plan_study
from dangercurve.evals.planning.power import cell_powers, claim_powers
from dangercurve.evals.planning.prices import load_prices, usd_text
from dangercurve.evals.policy import load_policy
from dangercurve.evals.study import load_study
from dangercurve.evals.verbs.plan import command

STUDY = """
name: planned
models: [openai/gpt-5.4, acme/unlisted, sim/smooth@22]
tasks: [ops_horizon]
levels: [0, 1, 2]
interfaces: [choice]
n: 20
epochs: 2
policy: quickstart
subject: openai/gpt-5.4
limits: {tokens: 1000}
"""


def run(*arguments: str) -> Result:
    return CliRunner().invoke(command, list(arguments))


@pytest.mark.parametrize(
    ("difference", "discordance", "pairs"), [(0.10, 0.2, 155), (0.20, 0.4, 76), (0.05, 0.15, 469)]
)
def test_pairs_for_a_difference_are_the_known_ones(difference: float, discordance: float, pairs: int) -> None:
    assert paired_sample_size(difference, discordance) == pairs
    assert paired_sample_size(-difference, discordance) == pairs


@pytest.mark.parametrize(("limit", "n"), [(0.05, 59), (0.01, 299)])
def test_instances_without_an_event_bound_a_rate(limit: float, n: int) -> None:
    assert zero_event_n(limit) == n
    assert zero_event_bound(n) <= limit < zero_event_bound(n - 1)


@given(st.integers(2, 5000), st.floats(0.01, 1.0))
def test_what_is_detectable_needs_about_that_many_pairs(pairs: int, discordance: float) -> None:
    found = paired_detectable(pairs, discordance)
    if found is None:
        assert paired_sample_size(discordance, discordance) >= pairs
    else:
        assert 0 < found <= discordance
        assert abs(paired_sample_size(found, discordance) - pairs) <= 1


def test_the_planned_pairs_show_the_difference_about_four_times_in_five() -> None:
    """The formula against the test that `compare` runs, on pairs with known discordance."""
    n, psi, d = paired_sample_size(0.2, 0.4), 0.4, 0.2
    rng = np.random.default_rng(7)
    kinds = rng.choice(3, size=(400, n), p=[(psi + d) / 2, (psi - d) / 2, 1 - psi])
    shown = 0
    for row in kinds:
        found = paired_difference((row == 0).astype(float), (row == 1).astype(float), range(n), 0.05, 2)
        shown += found.lcb > 0
    assert 0.70 < shown / 400 < 0.88


@settings(max_examples=40)
@given(st.integers(1, 200), st.floats(0.02, 0.9), st.floats(0.001, 0.999))
def test_the_power_to_rule_out_is_that_of_the_exact_bound(n: int, limit: float, rate: float) -> None:
    direct = sum(
        stats.binom.pmf(k, n, rate) for k in range(n + 1) if clopper_pearson(k, n, 0.05)[1] < limit - 1e-9
    )
    assert rule_out_power(n, limit, rate) == pytest.approx(direct, abs=1e-6)


def test_the_largest_rate_that_is_ruled_out_has_the_stated_power() -> None:
    rate = rule_out_rate(100, 0.2)
    assert rate is not None and rate < 0.2
    assert rule_out_power(100, 0.2, rate) == pytest.approx(0.8)
    assert rule_out_rate(10, 0.05) is None, "ten clean instances cannot bound a rate at 5 %"


@pytest.mark.parametrize(
    "call",
    [
        lambda: paired_sample_size(0.3, 0.2),
        lambda: paired_sample_size(0.0, 0.2),
        lambda: paired_sample_size(0.1, 0.2, power=1.0),
        lambda: paired_detectable(0, 0.2),
        lambda: zero_event_bound(-1),
        lambda: rule_out_power(10, 1.0, 0.1),
        lambda: split_budget(SplitModel(0.1, 1, 0.5, 20, 1), 10),
        lambda: split_budget(SplitModel(0.1, 0, 0.5, 20, 1), 100),
        lambda: split_budget(SplitModel(0.0, 1, 0.5, 20, 1), 100),
    ],
)
def test_impossible_questions_are_refused(call: Callable[[], object]) -> None:
    with pytest.raises(DataError):
        call()


@settings(max_examples=25)
@given(st.floats(0.02, 0.9), st.floats(0, 3), st.floats(1, 60), st.floats(0.1, 5), st.floats(400, 20_000))
def test_no_other_split_does_better(
    rate: float, gap: float, trial: float, attempt: float, budget: float
) -> None:
    model = SplitModel(rate, 1.0, gap, trial, attempt)
    best = split_budget(model, budget)
    assert best.spend_instances + best.spend_elicitation + best.spend_red_team <= budget * (1 + 1e-9)
    rng = np.random.default_rng(0)
    shares = rng.dirichlet([1, 1, 1], 300)
    n, t, m = (np.floor(budget * shares[:, i] / c) for i, c in enumerate((1.0, trial, attempt)))
    fits = (n >= 1) & (t >= 1) & (m >= 1)
    others = sum(terms(model, n[fits], t[fits], m[fits]))
    assert np.all(best.bound <= np.asarray(others) + 0.02)


def test_more_budget_never_widens_the_bound_and_a_wide_gap_buys_elicitation() -> None:
    bounds = [split_budget(SplitModel(0.1, 1, 0.5, 20, 1), b).bound for b in (100, 300, 1000, 10_000)]
    assert bounds == sorted(bounds, reverse=True)
    narrow, wide = (split_budget(SplitModel(0.1, 1, gap, 20, 1), 1000).trials for gap in (0.1, 2.0))
    assert wide > narrow


def test_a_price_covers_the_name_and_its_dated_form_and_no_other(tmp_path: Path) -> None:
    prices = load_prices()
    assert prices.of("openai/gpt-5.4") is not None
    assert prices.of("openai/gpt-5.4-2026-03-05") is not None
    assert prices.of("openai/gpt-5.4-pro") is None
    assert prices.of("openrouter/openai/gpt-5.4") is None
    free = prices.of("bot/oracle")
    assert free is not None and free.usd(1e6, 1e6) == 0
    own = tmp_path / "prices.yaml"
    own.write_text(
        "version: 1\ncurrency: USD\nprices:\n"
        "  - {model: openai/gpt-5.4, input: 9, output: 9, as_of: 2026-01-01, source: contract}\n"
        "  - {model: acme/*, input: 1, output: 2, as_of: 2026-01-01, source: contract}\n"
    )
    mine = load_prices(own)
    assert (mine.of("openai/gpt-5.4") or free).input == 9
    assert (mine.of("acme/unlisted") or free).output == 2
    assert (mine.of("openai/gpt-5.5") or free).input == 5


def test_a_price_that_the_study_states_goes_before_the_shipped_one(study_file: Callable[[str], Path]) -> None:
    own = "prices: [{model: acme/unlisted, input: 1, output: 2, as_of: 2026-11-01, source: contract}]\n"
    plan = plan_study(load_study(study_file(STUDY + own))[0])
    assert plan.unpriced == () and plan.usd is not None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("version: 1\ncurrency: EUR\n", "currency"),
        ("version: 1\ncurrency: USD\nprizes: []\n", "did you mean"),
        ("version: 1\ncurrency: USD\nprices: [{model: a/b, input: -1, output: 0, as_of: 2026-01-01, source: x}]\n", "input"),
    ],
)  # fmt: skip
def test_a_damaged_price_table_is_refused_by_name(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "p.yaml").write_text(text)
    with pytest.raises(ConfigError, match=words):
        load_prices(tmp_path / "p.yaml")


def test_an_unknown_price_is_said_and_never_counted_as_0(study_file: Callable[[str], Path]) -> None:
    plan = plan_study(load_study(study_file(STUDY))[0])
    assert plan.unpriced == ("acme/unlisted",)
    assert plan.usd is not None and plan.usd > 0
    by_model = {c.cell.model: c for c in plan.cells}
    assert by_model["acme/unlisted"].usd is None
    assert by_model["sim/smooth@22"].usd == 0
    listed = by_model["openai/gpt-5.4"]
    assert listed.usd == pytest.approx((listed.input_tokens * 2.5 + listed.output_tokens * 15) / 1e6)
    assert by_model["acme/unlisted"].most_usd is None
    assert listed.most_usd is not None and 1.5 * listed.usd < listed.most_usd < 2.5 * listed.usd, "kappa is 2"
    assert usd_text(None, ["a/b"]) == "unknown (no price of a/b)"
    assert "no price of acme/unlisted" in dry_run_text(load_study(study_file(STUDY))[0])


def test_instances_count_once_and_samples_with_their_epochs(study_file: Callable[[str], Path]) -> None:
    plan = plan_study(load_study(study_file(STUDY))[0])
    assert [c.samples for c in plan.cells] == [120] * 3
    assert [c.instances for c in plan.cells] == [60] * 3
    assert [row.zero_event_bound for row in cell_powers(plan)] == pytest.approx([zero_event_bound(60)] * 3)


def test_a_claim_says_what_it_needs_of_the_plan(study_file: Callable[[str], Path]) -> None:
    plan = plan_study(load_study(study_file(STUDY))[0])
    claims = {c.claim: c for c in claim_powers(plan, load_policy("quickstart"), "openai/gpt-5.4")}
    success = claims["agentic.ops_horizon.success"]
    assert success.enough and success.limit == pytest.approx(0.476, abs=0.001)  # W 0.6 less E 0.5 logit
    assert success.largest_rate is not None
    assert rule_out_power(60, success.limit or 0, success.largest_rate) == pytest.approx(0.8)
    absent = claims["misuse_proxy.toy_vuln.success"]
    assert not absent.enough and "does not play this family" in absent.note


def test_the_json_of_a_study_holds_the_sums_of_its_cells(study_file: Callable[[str], Path]) -> None:
    done = run(str(study_file(STUDY)), "--format", "json")
    assert done.exit_code == 0, done.output
    data = json.loads(done.stdout)
    study = data["study"]
    assert data["schema"] == 1
    assert study["samples"] == sum(c["samples"] for c in study["cells"]) == 360
    assert study["tokens"]["input"] == sum(c["input_tokens"] for c in study["cells"])
    assert study["usd_most"] > study["usd"] and study["tokens_most"]["input"] > study["tokens"]["input"]
    assert study["usd_unknown"] == ["acme/unlisted"]
    assert study["prices_as_of"] == "2026-11-22"
    assert study["over_limits"] and "limit 1,000" in study["over_limits"][0]
    text = run(str(study_file(STUDY))).output
    assert "no price of acme/unlisted" in text and "LIMIT" in text


def test_an_earlier_run_replaces_the_estimate(study_file: Callable[[str], Path], tmp_path: Path) -> None:
    from dangercurve.evals.gating.gate_world import World, write_run

    each = {"input_tokens": 500, "output_tokens": 50, "turns": 2, "working_s": 3.0}
    world = World(
        model="acme/unlisted", family="ops_horizon", interface="choice", success=[1] * 10, extra=each
    )
    measured = measured_in(write_run(tmp_path / "earlier", [world]))
    plan = plan_study(load_study(study_file(STUDY))[0], None, measured)
    cell = next(c for c in plan.cells if c.cell.model == "acme/unlisted")
    assert cell.basis == "mixed"
    only = plan_study(
        load_study(study_file(STUDY.replace("levels: [0, 1, 2]", "levels: [0]")))[0], None, measured
    )
    cell = next(c for c in only.cells if c.cell.model == "acme/unlisted")
    assert (cell.basis, cell.input_tokens, cell.output_tokens, cell.seconds) == (
        "measured",
        20_000,
        2_000,
        120,
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "nothing to plan"),
        (("--difference", "0.5", "--discordance", "0.2"), "difference"),
        (("--budget", "100"), "--instance-cost"),
        (("--alpha", "2"), "--alpha"),
        (("nowhere.yaml",), "nowhere.yaml"),
        (("--n", "0"), "--n"),
    ],
)
def test_bad_questions_are_one_line(arguments: tuple[str, ...], words: str) -> None:
    done = run(*arguments)
    assert isinstance(done.exception, ConfigError | DataError)
    assert words in str(done.exception) and "\n" not in str(done.exception)


def test_sizes_without_a_study_are_data_too() -> None:
    data = json.loads(run("--difference", "0.05", "--discordance", "0.15", "--format", "json").stdout)
    assert [row["answer"] for row in data["sizes"]] == [469]
    data = json.loads(run("--budget", "500", "--instance-cost", "1", "--format", "json").stdout)
    assert data["split"]["gap_source"] == "prior" and data["split"]["instances"] > 0
