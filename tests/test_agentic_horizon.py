"""The horizon of the agentic families together: recovered where it is known, bounded elsewhere, in steps and minutes."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from dangercurve._errors import DataError
from dangercurve.analysis.estimates import estimate_all
from dangercurve.analysis.measure import success_horizon
from dangercurve.analysis.suite_horizon import SuiteHorizon, suite_horizon
from dangercurve.evals.action_time import MODEL_SD, VARIANTS, log2_minutes, sensitivity, translate
from dangercurve.evals.cli import cli
from dangercurve.evals.store import Rows, write_part
from dangercurve.evals.suite_table import ALL, horizon_rows
from dangercurve.tasks.kernel.family import get_family
from dangercurve.tasks.kernel.seeds import load_salt
from dangercurve.tasks.kernel.world import Setting

FAMILIES = ("amnesia_ops", "fault_recovery", "ops_horizon")


def draw(mu: float, tau: float, rng: np.random.Generator, families: int = 4, n: int = 10) -> pd.DataFrame:
    """SIMULATED samples of families whose log2 h50 is Normal(mu, tau), one slip a step ending the episode."""
    rows = []
    for f in range(families):
        h = mu + tau * rng.standard_normal()
        for level in range(8):
            won = rng.random(n) < 2.0 ** -(2.0 ** (level - h))
            rows += [(f"f{f}", level, f"f{f}-{level}-{i}", float(w)) for i, w in enumerate(won)]
    return pd.DataFrame(rows, columns=["family", "x", "instance", "y"])


def fit(table: pd.DataFrame, level: float = 0.5, **floors: float) -> SuiteHorizon:
    return suite_horizon(
        table["x"], table["y"], table["instance"], table["family"], floors, level=level, sides=2
    )


@pytest.mark.parametrize("tau", [0.0, 0.7])
def test_a_known_horizon_lies_in_its_interval_nine_times_in_ten(tau: float) -> None:
    rng = np.random.default_rng(8)
    hits, error = 0, []
    for _ in range(40):
        mu = rng.uniform(1.5, 5.0)
        found = fit(draw(mu, tau, rng))
        hits += found.lcb <= mu <= found.ucb
        error.append(found.estimate - mu)
    assert hits >= 34  # of 40; nominal 38, and fewer than 34 has a probability below 2 %
    assert abs(float(np.mean(error))) < 0.4


def test_every_family_counts_once_whatever_its_size() -> None:
    rng = np.random.default_rng(1)
    short, long = draw(1.0, 0.0, rng, 1, 12), draw(5.0, 0.0, rng, 1, 12)
    long["family"], long["instance"] = "g", "g" + long["instance"]
    many = pd.concat([long.assign(instance=long["instance"] + f"-{k}") for k in range(8)])
    even, uneven = fit(pd.concat([short, long])), fit(pd.concat([short, many]))
    assert uneven.estimate == pytest.approx(even.estimate, abs=0.6)
    assert uneven.between_sd > 1.0
    pooled = success_horizon(*(pd.concat([short, many])[c] for c in ("x", "y", "instance")))
    assert pooled.estimate > uneven.estimate + 0.7, "pooled rows follow the family with most of them"


def test_a_model_that_never_fails_has_a_lower_bound_and_no_estimate_of_more() -> None:
    table = draw(3.0, 0.0, np.random.default_rng(2)).assign(y=1.0)
    found = fit(table)
    assert found.status == "ceiling" and found.ucb == math.inf
    assert math.isfinite(found.lcb)
    none = fit(table.assign(y=0.0))
    assert none.status == "floor" and none.lcb == -math.inf


def test_a_family_whose_chance_rate_is_above_the_level_says_nothing_about_it() -> None:
    found = fit(draw(3.0, 0.0, np.random.default_rng(3)), f0=0.6)
    assert found.unread == ("f0",) and "f0" not in found.families
    with pytest.raises(DataError, match="two families"):
        fit(draw(3.0, 0.0, np.random.default_rng(3), families=1))


def test_the_repeats_of_an_instance_weigh_one() -> None:
    table = draw(3.0, 0.0, np.random.default_rng(4))
    again = fit(pd.concat([table, table, table]))
    once = fit(table)
    assert (again.lcb, again.estimate, again.ucb) == pytest.approx((once.lcb, once.estimate, once.ucb))
    assert again.n_instances == once.n_instances and again.n_rows == 3 * once.n_rows


# --- observations ------------------------------------------------------------------------------------------------


def observations(change: Callable[[dict[str, object]], dict[str, object]] = dict) -> pd.DataFrame:
    rng, rows = np.random.default_rng(5), []
    for family in FAMILIES:
        for level in range(6):
            for i in range(8):
                steps = 2**level
                row: dict[str, object] = {
                    "model": "sim/smooth@24", "domain": "agentic", "family": family, "interface": "tools", "kappa": 2.0,
                    "elicitation": "zero", "twin": "base", "level": level, "instance_id": f"{family}-{level}-{i}",
                    "status": "scored", "success": float(rng.random() < 2 ** (-steps / 8)), "outcome": 0.5,
                    "oracle_steps": steps, "random_floor": 0.0, "comparability_key": f"key-{family}",
                    "simulated": True, "arm_cue": "none", "arm_auth": "none",
                    "answering_model": "sim/smooth@24",
                    "eval_task_id": family, "sample_id": f"{family}-{level}-{i}", "epoch": 1, "schema": 1,
                    "completed_at": "2030-01-01", "log_sha256": "0", "sample_uuid": "",
                }  # fmt: skip
                rows.append(change(row))
    return pd.DataFrame(rows)


def suite_row(frame: pd.DataFrame, metric: str = "h50_steps") -> pd.Series:  # type: ignore[type-arg]
    table = estimate_all(frame)
    found = table[(table["family"] == "agentic") & (table["metric"] == metric)]
    assert len(found) == 1
    return found.iloc[0]


def test_estimates_hold_the_suite_beside_its_families() -> None:
    row, eighty = suite_row(observations()), suite_row(observations(), "h80_steps")
    assert row["lcb"] <= 8.0 <= row["ucb"]
    assert eighty["estimate"] < row["estimate"]
    assert row["n_instances"] == 3 * 6 * 8 and row["twin"] == "base" and row["arm_cue"] == "none"
    assert row["comparability_key"] not in {f"key-{f}" for f in FAMILIES}
    assert bool(row["simulated"])


def test_capability_is_read_from_authorised_arms_alone() -> None:
    frame = observations()
    kept = suite_row(frame)
    failed = frame.assign(arm_auth="unauthorised", success=0.0, instance_id=frame["instance_id"] + "u")
    ambiguous = failed.assign(arm_auth="ambiguous")
    both = suite_row(pd.concat([frame, failed, ambiguous], ignore_index=True))
    assert both["estimate"] == kept["estimate"] and both["n_instances"] == kept["n_instances"]
    asked = suite_row(frame.assign(arm_auth="authorised"))
    assert asked["estimate"] == kept["estimate"]


def test_a_missing_sample_never_lowers_the_upper_bound() -> None:
    def refuse(row: dict[str, object]) -> dict[str, object]:
        missing = str(row["instance_id"]).endswith(("-0", "-1"))
        return row | ({"status": "refused", "success": None} if missing else {})

    full, part = suite_row(observations()), suite_row(observations(refuse))
    assert part["n_excluded"] == 3 * 6 * 2 and part["n_instances"] == full["n_instances"] - part["n_excluded"]
    assert part["worst_case_ucb"] > part["ucb"] and part["worst_case_lcb"] < part["lcb"]
    assert json.loads(part["status_shares"])["refused"] == pytest.approx(0.25)


def test_samples_that_are_not_comparable_are_not_pooled() -> None:
    frame = observations()
    frame.loc[frame.index[:4], "comparability_key"] = "another"
    row = suite_row(frame)
    assert math.isnan(row["estimate"]) and (row["lcb"], row["ucb"], row["n_instances"]) == (0.0, math.inf, 0)
    with pytest.raises(DataError, match="amnesia_ops have several comparability keys"):
        horizon_rows(frame)


def test_the_verb_shows_the_suite_first_and_marks_what_is_simulated(tmp_path: Path) -> None:
    write_part(tmp_path, "0" * 64, Rows.of(observations().astype({"oracle_steps": int}).to_dict("records")))
    shown = CliRunner().invoke(cli, ["horizon", str(tmp_path)])
    assert shown.exit_code == 0, shown.output
    assert shown.output.startswith("SIMULATED: horizons in oracle steps") and ALL in shown.output
    rows = json.loads(CliRunner().invoke(cli, ["horizon", str(tmp_path), "--format", "json"]).output)
    assert [r["scope"] for r in rows] == [ALL, *FAMILIES]
    assert all(r["h50_lo"] <= r["h50"] <= r["h50_hi"] and r["minutes50_lo"] < r["minutes50"] for r in rows)
    assert rows[0]["minutes_sensitivity"].keys() == {v.name for v in VARIANTS}
    assert rows[0]["n_families"] == 3 and not rows[0]["ceiling"] and rows[0]["lower_bound"] is None


def test_a_ceiling_is_shown_as_a_lower_bound() -> None:
    rows = horizon_rows(observations(lambda row: row | {"success": 1.0}))
    assert rows[0].ceiling and rows[0].h50_hi is None and rows[0].lower_bound == rows[0].h50_lo
    assert rows[0].minutes50_hi is None


# --- minutes ------------------------------------------------------------------------------------------------------


def test_minutes_as_declared_are_those_of_the_family() -> None:
    for name in FAMILIES:
        family = get_family(name)
        for level in (0, 3, 6):
            cost = family.oracle_cost(family.generate(family.instance(level, 1, load_salt("dev")), Setting()))
            assert VARIANTS[0].minutes(family, cost) == pytest.approx(family.human_minutes(cost))


def test_the_error_of_the_translation_is_carried_even_where_the_steps_are_known() -> None:
    sure = translate(FAMILIES, (3.0, 3.0, 3.0))
    assert math.log2(sure.hi / sure.estimate) >= 1.9 * MODEL_SD
    unsure = translate(FAMILIES, (3.0, 2.0, 5.0))
    assert unsure.lo < sure.lo and unsure.hi > sure.hi and unsure.estimate == sure.estimate


def test_other_action_times_move_the_minutes_as_they_should() -> None:
    table = sensitivity(FAMILIES, 4.0)
    plain = table["as declared"]
    assert table["all x 3"] == pytest.approx(3 * plain) and table["all x 1/3"] == pytest.approx(plain / 3)
    assert table["no thinking"] < table["no search term"] < plain < table["thinking x 3"]
    longer = [log2_minutes("ops_horizon", x) for x in (-1.0, 0.0, 3.3, 9.0, 14.0)]
    assert longer == sorted(longer)
