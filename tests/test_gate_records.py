"""The records that a gate reads and a run writes: baselines of its families, growth of its metrics."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pandas as pd
import pytest

from dangercurve.analysis.frontier import load_priors
from dangercurve.evals import evidence
from dangercurve.evals.gating import baselines
from dangercurve.evals.gating.baselines import baseline, write_baselines
from dangercurve.evals.gating.growth import growth_entries, write_growth
from dangercurve.tasks.kernel import properties
from dangercurve.tasks.kernel.family import get_family


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache that holds the baselines of one family, made by playing it."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(baselines.CACHE, str(folder))
        baseline("toy_vuln")
    return folder


def test_baselines_are_played_once_a_version_and_pass_the_panel(
    tmp_path: Path, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(baselines.CACHE, str(kept))

    def never(*_: object) -> None:
        raise AssertionError("the family was played again")

    monkeypatch.setattr(properties, "calibrate", never)
    (entry,) = write_baselines(tmp_path, ["toy_vuln", "another_suite"])
    assert json.loads((tmp_path / "evidence" / "baselines.json").read_text()) == [entry]
    assert (entry["version"], entry["failed"]) == (get_family("toy_vuln").version, [])
    assert evidence.baselines(entry, frozenset({str(entry["version"])})).passed
    monkeypatch.setattr(baselines, "sources_digest", lambda: "f" * 64)
    with pytest.raises(AssertionError, match="played again"):
        baseline("toy_vuln")


def test_a_run_of_other_suites_has_no_baselines(tmp_path: Path) -> None:
    (tmp_path / "evidence").mkdir()
    (tmp_path / "evidence" / "baselines.json").write_text("[]")
    assert write_baselines(tmp_path, ["another_suite"]) == []
    assert not (tmp_path / "evidence" / "baselines.json").exists()


def estimates(slope: float, n: int, *, simulated: bool, noise: float = 0.0) -> pd.DataFrame:
    """Success rates that rise by `slope` logits an order of magnitude, with alternating noise."""
    rows = []
    for i in range(n):
        logit = -1 + slope * i / 2 + noise * (-1) ** i
        rate = 1 / (1 + math.exp(-logit))
        rows.append(
            {
                "model": f"m{i}", "domain": "agentic", "family": "f", "metric": "success_rate",
                "interface": "tools", "kappa": 2.0, "elicitation": "zero", "twin": "base",
                "comparability_key": "k", "simulated": simulated, "estimate": rate, "se": 0.01,
                "lcb": rate - 0.02, "ucb": rate + 0.02, "worst_case_lcb": rate - 0.02,
                "worst_case_ucb": rate + 0.02, "n_instances": 100, "n_excluded": 0,
            }
        )  # fmt: skip
    return pd.DataFrame(rows)


def compute(n: int) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "model": [f"m{i}" for i in range(n)],
            "model_family": "a",
            "training_flop": [10.0 ** (22 + i / 2) for i in range(n)],
            "flop_log10_sd": 0.0,
            "release_date": None,
        }
    )


def test_growth_is_the_slope_on_compute_times_the_growth_of_compute() -> None:
    (entry,) = growth_entries(estimates(0.6, 6, simulated=False), compute(6))
    assert entry["slope"] == pytest.approx(0.6, rel=0.01)
    assert entry["per_month"] == pytest.approx(0.6 * load_priors().growth.mean / 12, rel=0.02)
    assert (entry["simulated"], entry["n_models"]) == (False, 6)
    (noisy,) = growth_entries(estimates(0.6, 6, simulated=False, noise=0.3), compute(6))
    assert float(str(noisy["per_month"])) > float(str(entry["per_month"])), "an uncertain slope grows faster"


def test_few_models_leave_the_prior_and_a_falling_curve_no_negative_growth(tmp_path: Path) -> None:
    assert write_growth(tmp_path, estimates(0.6, 4, simulated=False), compute(4)) == []
    assert not (tmp_path / "evidence" / "growth.json").exists()
    (entry,) = growth_entries(estimates(-2.0, 6, simulated=False), compute(6))
    assert entry["per_month"] == 0.0


def test_simulated_and_real_models_have_growths_of_their_own() -> None:
    table = pd.concat([estimates(0.6, 6, simulated=False), estimates(1.2, 6, simulated=True)])
    found = growth_entries(table, compute(6))
    assert [(e["simulated"], round(float(str(e["slope"])), 1)) for e in found] == [(False, 0.6), (True, 1.2)]
