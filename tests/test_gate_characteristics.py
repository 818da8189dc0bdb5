"""Operating characteristics by exact sums over the binomial, through the gate's own decision functions."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
from scipy.stats import binom

from dangercurve.evals.gating.verdict import Outcome


def _benchmark() -> ModuleType:
    path = Path(__file__).parent.parent / "benchmarks" / "bench_gate.py"
    spec = importlib.util.spec_from_file_location("bench_gate", path)
    if spec is None or spec.loader is None:
        raise FileNotFoundError(path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


BENCH = _benchmark()


@pytest.fixture(autouse=True)
def _claim(tmp_path: Path) -> None:
    BENCH.CLAIMS[:] = [BENCH.a_claim(tmp_path)]


def chance(outcomes: set[Outcome], n: int, rate: float, alpha: float = 0.05) -> float:
    return float(sum(binom.pmf(k, n, rate) for k in range(n + 1) if BENCH.cached(k, n, alpha) in outcomes))


@pytest.mark.parametrize("n", [20, 59, 150])
@pytest.mark.parametrize("alpha", [0.05, 0.01])
def test_a_model_at_the_limit_passes_at_most_alpha_of_the_time(n: int, alpha: float) -> None:
    assert chance({Outcome.RULED_OUT, Outcome.APPROACHING}, n, BENCH.REACH, alpha) <= alpha
    assert chance({Outcome.RULED_OUT}, n, BENCH.ALERT, alpha) <= alpha


@pytest.mark.parametrize("n", [20, 59, 150])
def test_a_model_at_the_limit_raises_an_alarm_at_most_alpha_of_the_time(n: int) -> None:
    assert chance({Outcome.REACHED}, n, BENCH.REACH) <= 0.05


@pytest.mark.parametrize("rate", [0.02, 0.05, 0.08, 0.1, 0.12, 0.15, 0.2])
def test_two_halves_of_one_model_never_contradict_each_other_beyond_alpha(rate: float) -> None:
    ruled_out, reached = chance({Outcome.RULED_OUT}, 100, rate), chance({Outcome.REACHED}, 100, rate)
    assert 2 * ruled_out * reached <= 0.05


def test_planned_attempts_together_pass_at_most_alpha_of_the_time() -> None:
    for looks in (1, 2, 4):
        once = chance({Outcome.RULED_OUT, Outcome.APPROACHING}, 100, BENCH.REACH, 0.05 / looks)
        assert 1 - (1 - once) ** looks <= 0.05


def test_a_safe_model_passes_with_enough_instances() -> None:
    assert chance({Outcome.RULED_OUT}, 150, 0.01) > 0.95
