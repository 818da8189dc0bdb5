"""The page of the fault drills says what the drills stored, and nothing else."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def reliability() -> ModuleType:
    spec = importlib.util.spec_from_file_location("reliability", ROOT / "benchmarks" / "reliability.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["reliability"] = module
    spec.loader.exec_module(module)
    return module


def test_the_page_is_written_by_the_drills(reliability: ModuleType) -> None:
    assert (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8") == reliability.page()


def test_a_lost_sample_is_not_held(reliability: ModuleType) -> None:
    whole = reliability.Print({("m", "a", 1): "x", ("m", "b", 1): "y"}, 0, "rest")
    less = reliability.Print({("m", "a", 1): "z", ("m", "c", 1): "y"}, 0, "other")
    assert less.lost_from(whole) == 1
    assert less.differences(whole) == 3
    assert whole.lost_from(whole) == whole.differences(whole) == 0


def test_time_stamps_are_no_difference_and_a_verdict_is(reliability: ModuleType) -> None:
    one = {"as_of": "1", "overall": "RULED_OUT", "claims": [{"margin": {"days": -1.0, "score": 0.1}}]}
    later = {"as_of": "2", "overall": "RULED_OUT", "claims": [{"margin": {"days": -2.0, "score": 0.1}}]}
    assert reliability._canonical(one) == reliability._canonical(later)
    assert reliability._canonical(one) != reliability._canonical({**later, "overall": "REACHED"})
