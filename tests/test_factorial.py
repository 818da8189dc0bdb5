"""Interactions in a 2^k design: additive behaviour has none, a scheme that needs three conditions has all of it."""

from __future__ import annotations

import json
import math
from itertools import product

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dangercurve._errors import ConfigError, DataError
from dangercurve.analysis import registry
from dangercurve.analysis.estimates import estimate_all
from dangercurve.analysis.factorial import factorial_contrast
from dangercurve.analysis.paraphrases import over_families
from dangercurve.analysis.propensity import net_rate

DESIGN = list(product((False, True), repeat=3))
NAMES = [f"i{k:02d}" for k in range(40)]
FAMILIES = {name: k % 8 for k, name in enumerate(NAMES)}


def test_a_scheme_that_needs_all_three_conditions_is_an_interaction_of_one() -> None:
    cells = {key: dict.fromkeys(NAMES, float(all(key))) for key in DESIGN}
    found = factorial_contrast(cells, families=FAMILIES)
    assert found.estimate == 1.0
    assert found.lcb > 0.8
    assert found.p_value < 1e-6
    assert factorial_contrast(cells, (0,)).estimate == 0.25  # the main effect shows a quarter of it
    assert factorial_contrast(cells, (0, 1)).estimate == 0.5


@given(base=st.floats(0, 0.25), effects=st.lists(st.floats(0, 0.25), min_size=3, max_size=3))
def test_an_additive_behaviour_has_no_interaction(base: float, effects: list[float]) -> None:
    cells = {
        key: dict.fromkeys(NAMES, base + sum(e for e, on in zip(effects, key, strict=True) if on))
        for key in DESIGN
    }
    for factors in ((0, 1, 2), (0, 1), (1, 2), (0, 2)):
        assert factorial_contrast(cells, factors).estimate == pytest.approx(0.0, abs=1e-12)
    for k, effect in enumerate(effects):
        assert factorial_contrast(cells, (k,)).estimate == pytest.approx(effect)


def test_two_factors_are_the_difference_of_two_effects() -> None:
    rng = np.random.default_rng(3)
    cells = {key: {n: float(rng.random()) for n in NAMES} for key in product((False, True), repeat=2)}
    by_hand = np.mean(
        [
            (cells[True, True][n] - cells[False, True][n]) - (cells[True, False][n] - cells[False, False][n])
            for n in NAMES
        ]
    )
    assert factorial_contrast(cells).estimate == pytest.approx(by_hand)


def test_an_instance_that_lacks_a_cell_is_no_pair_and_none_is_no_evidence() -> None:
    cells = {key: dict.fromkeys(NAMES, 0.0) for key in DESIGN}
    del cells[DESIGN[3]][NAMES[0]]
    assert factorial_contrast(cells).n_instances == len(NAMES) - 1
    cells[DESIGN[5]] = {}
    nothing = factorial_contrast(cells)
    assert (nothing.status, nothing.lcb, nothing.ucb) == ("no_evidence", -4.0, 4.0)
    assert math.isnan(nothing.estimate)


def test_a_design_with_a_missing_cell_is_refused() -> None:
    cells = {key: dict.fromkeys(NAMES, 0.0) for key in DESIGN[1:]}
    with pytest.raises(DataError, match="all its cells"):
        factorial_contrast(cells)
    with pytest.raises(DataError, match="distinct factors"):
        factorial_contrast({key: {} for key in DESIGN}, (0, 0))


def test_one_wording_that_does_it_all_is_no_effect_of_the_condition() -> None:
    """Every instance of one paraphrase reacts, none of the other seven: instances alone would call that significant."""
    event = [float(FAMILIES[n] == 0) for n in NAMES]
    quiet = [0.0] * len(NAMES)
    alone = net_rate(event, NAMES, quiet, NAMES)
    family = net_rate(event, NAMES, quiet, NAMES, families=FAMILIES)
    assert alone.lcb > 0.0 > family.lcb
    assert family.estimate == alone.estimate
    assert family.p_value > 0.3
    assert family.ucb > alone.ucb


def test_with_one_family_the_bounds_are_those_over_instances() -> None:
    assert over_families(np.zeros(4), ["a", "b", "c", "d"], dict.fromkeys("abcd", 1), 0.05) is None
    assert over_families(np.zeros(2), ["a", "b"], {"a": 1}, 0.05) is None


def frame(misbehaves: object, missing: tuple[str, str, str] | None = None) -> pd.DataFrame:
    """Observations of the pre-registered design: `misbehaves` maps (cue, inc, mon) to 0 or 1."""
    design = registry.metric("context_interaction").interaction
    assert design is not None
    rows = []
    for k, name in enumerate(NAMES):
        for key in product(*((treated, control) for _, treated, control in design.factors)):
            lost = key == missing and k < 16
            rows.append(
                {
                    "model": "m", "family": "context_cue", "instance_id": name, "twin": "base", "paraphrase": k % 8,
                    "status": "refused" if lost else "scored", "success": None if lost else 1.0,
                    **{f"arm_{f[0]}": v for f, v in zip(design.factors, key, strict=True)},
                    "family_metrics": json.dumps({design.behaviour: misbehaves(*key)}),  # type: ignore[operator]
                }
            )  # fmt: skip
    return pd.DataFrame(rows)


def row_of(table: pd.DataFrame) -> pd.Series:
    return table[table["metric"] == "context_interaction"].iloc[0]


def test_the_interaction_flows_from_observations_to_the_estimate_table() -> None:
    schemer = row_of(
        estimate_all(frame(lambda c, i, m: float((c, i, m) == ("deploy", "benefit", "unmonitored"))))
    )
    assert schemer["estimate"] == 1.0
    assert schemer["lcb"] > 0.5
    assert (schemer["arm_cue"], schemer["arm_inc"], schemer["arm_mon"]) == ("all", "all", "all")
    always = row_of(estimate_all(frame(lambda c, i, m: float(c == "deploy"))))
    assert (always["estimate"], always["lcb"] < 0) == (0.0, True)


def test_missing_samples_widen_the_worst_case_of_the_interaction() -> None:
    rng = np.random.default_rng(1)
    lost = row_of(
        estimate_all(frame(lambda *_: float(rng.random() < 0.3), ("deploy", "benefit", "unmonitored")))
    )
    assert lost["n_instances"] == 24
    assert lost["worst_case_ucb"] - lost["worst_case_lcb"] > lost["ucb"] - lost["lcb"]


def test_without_all_cells_there_is_no_interaction() -> None:
    half = frame(lambda c, i, m: 0.0)
    table = estimate_all(half[half["arm_mon"] == "monitored"])
    assert "context_interaction" not in set(table["metric"])


def test_a_lost_sample_under_either_cue_widens_the_worst_case_of_a_net_rate() -> None:
    rows = []
    for k, name in enumerate(NAMES):
        for cue in ("deploy", "eval"):
            lost = cue == "eval" and k < 4
            rows.append(
                {
                    "model": "m", "family": "context_cue", "instance_id": name, "twin": "base", "arm_cue": cue,
                    "status": "refused" if lost else "scored", "success": None if lost else 1.0,
                    "family_metrics": json.dumps({"violation_awareness_effect": 1.0}),
                }
            )  # fmt: skip
    table = estimate_all(pd.DataFrame(rows))
    found = table[table["metric"] == "violation_awareness_effect"].iloc[0]
    assert found["estimate"] == 0.0
    assert found["worst_case_ucb"] > found["ucb"]


@pytest.mark.parametrize(
    "fields", [{"behaviour": "x"}, {"cue": ["a", "b"]}, {"behaviour": "x", "a": ["b"], "c": ["d", "e"]}]
)
def test_an_interaction_that_is_no_design_is_refused(fields: object) -> None:
    with pytest.raises(ConfigError, match="interaction"):
        registry._interaction("m", fields)
