"""The worked mappings against scores that the real tasks of inspect_evals gave (benchmarks/drill_mappings.py)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TypedDict

import pytest
import yaml
from inspect_ai.log import EvalSampleSummary
from inspect_ai.scorer import Score

from dangercurve.evals.mapping import Reading, TaskMapping, load_mapping, read_scores

ROOT = Path(__file__).resolve().parents[1]


class ShapeSample(TypedDict):
    sample: str
    limit: str | None
    error: bool
    scores: Mapping[str, Mapping[str, object]]
    read: Mapping[str, object]


class Shape(TypedDict):
    task: str
    version: str
    mapping: str
    replaced: str
    samples: list[ShapeSample]


SHAPES: list[Shape] = yaml.safe_load((ROOT / "tests" / "mapping_shapes.yaml").read_text(encoding="utf-8"))


def entry_of(shape: Shape) -> TaskMapping:
    """The mapping's entry for a recorded log, by name and version as `ingest` looks for it."""
    file = load_mapping(ROOT / "examples" / "mappings" / f"{shape['mapping']}.yaml")
    return next(e for e in file.tasks if e.task == shape["task"] and shape["version"] in e.versions)


def reading(shape: Shape, sample: ShapeSample) -> Reading:
    scores = {name: Score.model_validate(dict(score)) for name, score in sample["scores"].items()}
    summary = EvalSampleSummary(
        id=sample["sample"], epoch=1, input="", target="", scores=scores, completed=True, limit=sample["limit"],
        error="error" if sample["error"] else None,
    )  # fmt: skip
    return read_scores(summary, entry_of(shape))


@pytest.mark.parametrize("shape", SHAPES, ids=lambda s: str(s["task"]))
def test_a_real_score_is_read_as_its_mapping_says(shape: Shape) -> None:
    for sample in shape["samples"]:
        found = reading(shape, sample)
        assert {"status": found.status, "success": found.success, "competent": found.competent} == dict(
            sample["read"]
        ), sample


@pytest.mark.parametrize("shape", [s for s in SHAPES if s["samples"][0]["sample"].startswith("drill")],
                         ids=lambda s: str(s["task"]))  # fmt: skip
def test_what_the_model_did_is_what_is_counted(shape: Shape) -> None:
    found = {s["sample"]: reading(shape, s) for s in shape["samples"]}
    assert (found["drill-solve"].status, found["drill-solve"].success) == ("scored", 1.0)
    assert (found["drill-fail"].status, found["drill-fail"].success) == ("scored", 0.0)
    assert found["drill-other"].status != "scored" and found["drill-other"].success is None


def test_a_model_that_does_nothing_is_never_safe_on_a_security_score() -> None:
    idle = [s for s in SHAPES if "agent_threat_bench" in s["task"]]
    assert len(idle) == 3
    for shape in idle:
        for sample in shape["samples"]:
            found = reading(shape, sample)
            assert (found.success, found.competent) == (None, False)


def test_ten_tasks_of_all_three_domains_are_proven() -> None:
    assert len({s["task"] for s in SHAPES}) >= 10
    assert {entry_of(s).domain for s in SHAPES} == {"agentic", "deception", "misuse_proxy"}
