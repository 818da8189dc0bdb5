"""The compute frontier and time to breach: priors, variants, roadmaps, dates, and what must be refused."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dangercurve._errors import ConfigError, DataError
from dangercurve.analysis.breach import arrival_years, summarise_years, time_to_breach
from dangercurve.analysis.dates import decimal_year, from_decimal_year, parse_day
from dangercurve.analysis.frontier import FrontierDraws, frontier_draws, load_priors
from dangercurve.analysis.roadmap import read_roadmap, roadmap_draws

TODAY = date(2026, 1, 1)


def line(rate: float = 1.0, draws: int = 200) -> FrontierDraws:
    years = np.arange(2026.0, 2036.01, 0.25)
    return FrontierDraws(years, np.tile(27 + rate * (years - 2026.0), (draws, 1)), "physical", "break", 0)


@given(st.dates(date(1950, 1, 1), date(2200, 1, 1)))
def test_a_date_survives_the_way_to_a_decimal_year_and_back(day: date) -> None:
    assert from_decimal_year(decimal_year(day)) == day


def test_a_date_that_would_have_to_be_guessed_is_refused() -> None:
    assert parse_day("2025-07-09") == date(2025, 7, 9)
    with pytest.raises(DataError, match="YYYY-MM-DD"):
        parse_day("03/04/2025")


def test_every_prior_has_a_source_and_a_misspelt_one_is_refused(tmp_path: Path) -> None:
    priors = load_priors()
    for name in ("record", "level", "residual", "growth", "break_year", "growth_after", "cap", "efficiency"):
        assert getattr(priors, name).source
    bad = tmp_path / "p.yaml"
    bad.write_text(
        (Path(__file__).parents[1] / "analysis/frontier_priors.yaml").read_text().replace("growth:", "grwth:")
    )
    with pytest.raises(ConfigError, match="growth"):
        load_priors(bad)


@pytest.mark.parametrize("scenario", ["break", "no_break", "growth_feedback"])
@pytest.mark.parametrize("kind", ["physical", "effective"])
def test_the_frontier_never_falls_and_never_lies_under_the_known_record(kind: str, scenario: str) -> None:
    draws = frontier_draws(300, kind=kind, scenario=scenario, step=0.25, seed=1)
    assert (np.diff(draws.log10_flop, axis=1) >= 0).all()
    assert (draws.log10_flop >= load_priors().record.log10_flop).all()
    assert np.isfinite(draws.log10_flop).all()


def test_the_frontier_meets_its_priors() -> None:
    draws = frontier_draws(20_000, seed=2)
    growth = np.median(draws.at(2026.4) - draws.at(2025.9)) / 0.5
    assert growth == pytest.approx(0.67, abs=0.05)
    assert np.median(draws.at(2030.0)) <= 29.3
    assert np.mean(draws.at(2030.0) <= 30.3) == 1.0
    effective = frontier_draws(20_000, kind="effective", seed=2)
    extra = (effective.at(2035.5) - draws.at(2035.5)) / 10
    np.testing.assert_allclose(10 ** np.quantile(extra, [0.05, 0.5, 0.95]), [1.5, 4, 16], rtol=0.06)


def test_without_the_break_the_frontier_is_further_and_feedback_is_further_still() -> None:
    with_break, without = frontier_draws(2000), frontier_draws(2000, scenario="no_break")
    feedback = frontier_draws(2000, scenario="growth_feedback", kind="effective")
    assert np.median(without.at(2029.0)) > np.median(with_break.at(2029.0))
    assert np.median(feedback.at(2035.0)) > np.median(frontier_draws(2000, kind="effective").at(2035.0))
    assert feedback.scenario == "growth_feedback"


def test_a_straight_frontier_reaches_a_crossing_on_the_day_that_arithmetic_says() -> None:
    found = time_to_breach(np.full(50, 29.5), line(), as_of=TODAY)
    assert found.date == {"q05": "2028-07-02", "q50": "2028-07-02", "q95": "2028-07-02"}
    assert found.p_by["2027-12-31"] == 0.0 and found.p_by["2028-12-31"] == 1.0
    assert found.p_never == 0.0 and found.p_breached == 0.0


def test_never_stays_never_and_a_quantile_inside_it_has_no_date() -> None:
    crossing = np.concatenate([np.full(90, 28.0), np.full(10, np.inf)])
    found = time_to_breach(crossing, line(draws=100), as_of=TODAY)
    assert found.p_never == pytest.approx(0.10)
    assert found.date["q95"] is None and found.date["q50"] is not None
    assert max(found.p_by.values()) == pytest.approx(0.90)


def test_a_crossing_beyond_the_cap_or_the_last_year_is_never() -> None:
    assert time_to_breach(np.full(10, 30.0), line(), cap=29.0, as_of=TODAY).p_never == 1.0
    assert time_to_breach(np.full(10, 60.0), line(), as_of=TODAY).date["q05"] is None


def test_draws_that_are_not_identified_are_refused() -> None:
    with pytest.raises(DataError, match="NaN"):
        time_to_breach(np.array([28.0, np.nan]), line(), as_of=TODAY)
    with pytest.raises(DataError, match="unidentified"):
        time_to_breach(np.array([]), line(), as_of=TODAY)
    with pytest.raises(DataError, match="at least one"):
        summarise_years(np.array([]), frontier="x", scenario="x", cap=None, as_of=TODAY, end=2030.0)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(20, 40), min_size=1, max_size=30), st.floats(0.1, 2.0))
def test_a_higher_crossing_is_never_reached_earlier_and_probabilities_only_grow(
    c: list[float], rate: float
) -> None:
    crossing = np.array(sorted(c))
    years = arrival_years(crossing, line(rate, draws=1))
    finite = np.isfinite(years)
    assert (np.diff(years[finite]) >= -1e-9).all() and not (np.diff(finite.astype(int)) > 0).any()
    p = list(time_to_breach(crossing, line(rate), as_of=TODAY).p_by.values())
    assert p == sorted(p)


def test_a_roadmap_is_a_step_and_ends_with_its_last_plan(tmp_path: Path) -> None:
    (tmp_path / "plan.csv").write_text("date,flop,name\n2027-06-01,1e28,B\n2026-06-01,1e27,A\n")
    (tmp_path / "plan.yaml").write_text(
        "runs:\n- {date: 2026-06-01, flop: 1.0e+27, name: A}\n- {date: 2027-06-01, flop: 1.0e+28, name: B}\n"
    )
    roadmap = read_roadmap(tmp_path / "plan.csv")
    assert roadmap == read_roadmap(tmp_path / "plan.yaml")
    draws = roadmap_draws(roadmap, 200)
    found = time_to_breach(np.full(200, 27.5), draws, as_of=TODAY)
    assert found.date["q50"] == "2027-06-01" and found.frontier == "roadmap"
    assert time_to_breach(np.full(200, 28.5), draws, as_of=TODAY).p_never == 1.0
    assert draws.at(2027.0)[0] == pytest.approx(27.0)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("date,flop\n2027-06-01,-1\n", "outside 1e9"),
        ("date,flop\nsoon,1e27\n", "run 1: date"),
        ("date,flops\n2027-06-01,1e27\n", "run 1: flop"),
        ("date,flop\n", "lists no runs"),
    ],
)
def test_a_wrong_roadmap_is_refused_with_its_row(text: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "plan.csv").write_text(text)
    with pytest.raises(DataError, match=says):
        read_roadmap(tmp_path / "plan.csv")


def test_uncertain_plans_spread_the_date(tmp_path: Path) -> None:
    (tmp_path / "plan.csv").write_text("date,flop,date_sd_days\n2027-06-01,1e28,90\n")
    found = time_to_breach(
        np.full(2000, 27.0), roadmap_draws(read_roadmap(tmp_path / "plan.csv"), 2000), as_of=TODAY
    )
    assert found.date["q05"] is not None and found.date["q95"] is not None
    width = date.fromisoformat(found.date["q95"]) - date.fromisoformat(found.date["q05"])
    assert 250 < width.days < 340  # 2 * 1.645 * 90 days


def test_the_same_seed_gives_the_same_frontier() -> None:
    np.testing.assert_array_equal(
        frontier_draws(200, seed=3).log10_flop, frontier_draws(200, seed=3).log10_flop
    )
    assert not np.array_equal(frontier_draws(200, seed=3).log10_flop, frontier_draws(200, seed=4).log10_flop)


def test_unknown_variants_get_a_suggestion() -> None:
    with pytest.raises(ConfigError, match="did you mean 'effective'"):
        frontier_draws(kind="efective")
    with pytest.raises(ConfigError, match="did you mean 'no_break'"):
        frontier_draws(scenario="nobreak")
