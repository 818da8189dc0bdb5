"""Whatever lies in the run folder: exit 0 means evidence that an independent judge accepts (benchmarks/fuzz_gate.py)."""

from __future__ import annotations

import importlib.util
import tempfile
from pathlib import Path
from types import ModuleType

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dangercurve.evals.gating.gate_world import World, write_policy, write_run

CASES = 200


def _benchmark() -> ModuleType:
    path = Path(__file__).parent.parent / "benchmarks" / "fuzz_gate.py"
    spec = importlib.util.spec_from_file_location("fuzz_gate", path)
    if spec is None or spec.loader is None:
        raise FileNotFoundError(path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


FUZZ = _benchmark()


@settings(max_examples=CASES, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 2**32 - 1))
def test_no_input_leads_to_an_unsupported_pass(seed: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        outcome, code = FUZZ.run_case(seed, Path(name))
    assert code in (0, 1, 2, 3, 4)
    assert code != 0 or outcome in ("RULED_OUT", "APPROACHING")


def test_the_fuzz_reaches_passes_and_every_kind_of_refusal() -> None:
    with tempfile.TemporaryDirectory() as name:
        seen = {FUZZ.run_case(seed, Path(name)) for seed in range(60)}
    assert ("RULED_OUT", 0) in seen
    assert {code for _, code in seen} >= {0, 1, 3, 4}


def test_the_independent_judge_refuses_what_it_should(tmp_path: Path) -> None:
    root = write_run(tmp_path, [World(success=[1] * 60)])
    write_policy(root / "policy.yaml")
    assert "exact bound" in FUZZ.sound(root, "sim/smooth@22")
    assert FUZZ.sound(root, "another/model") == "no rows"
    lost: list[int | None] = [0] * 50 + [None] * 10
    root = write_run(tmp_path / "lost", [World(success=lost)])
    write_policy(root / "policy.yaml")
    assert FUZZ.sound(root, "sim/smooth@22") == "infra_error 10 of 60"
