"""Golden digests: a family that generates or scores otherwise under an old version is refused."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from dangercurve._errors import ConfigError
from dangercurve.evals.cli import cli
from dangercurve.tasks.kernel import family as registry
from dangercurve.tasks.kernel import golden
from dangercurve.tasks.kernel.family import Family, family_names, get_family
from dangercurve.tasks.kernel.properties import Calibration
from dangercurve.tasks.kernel.seeds import Instance
from dangercurve.tasks.kernel.task import build_task, make_cell
from dangercurve.tasks.kernel.world import Setting


@pytest.fixture
def changed_generator(monkeypatch: pytest.MonkeyPatch) -> Iterator[Family]:
    """ops_horizon under the same version, with a generator that draws from other instances."""
    design = get_family("ops_horizon")

    def other(instance: Instance, setting: Setting) -> object:
        return design.generate(dataclasses.replace(instance, index=instance.index + 1), setting)

    changed = dataclasses.replace(design, generate=other)
    monkeypatch.setitem(registry._FAMILIES, "ops_horizon", changed)
    golden.golden_fault.cache_clear()
    yield changed
    golden.golden_fault.cache_clear()


def test_every_family_is_what_its_version_says() -> None:
    golden.golden_fault.cache_clear()
    assert golden.unpinned() == []
    assert set(golden.pinned()) == set(family_names()) & set(registry._MODULES)


def test_a_changed_generator_without_a_new_version_is_refused_when_a_task_is_built(
    changed_generator: Family,
) -> None:
    with pytest.raises(ConfigError, match=r"old logs would be reused: set version='2-A'"):
        build_task(make_cell(changed_generator, 0, n=1))


def test_a_version_without_a_digest_is_refused_and_says_how_to_add_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    newer = dataclasses.replace(get_family("ops_horizon"), version="99-A")
    monkeypatch.setitem(registry._FAMILIES, "ops_horizon", newer)
    golden.golden_fault.cache_clear()
    with pytest.raises(ConfigError, match="tasks pin ops_horizon"):
        build_task(make_cell(newer, 0, n=1))
    golden.golden_fault.cache_clear()


def test_pinning_adds_a_line_and_never_rewrites_one(tmp_path: Path, changed_generator: Family) -> None:
    path = tmp_path / "golden.yaml"
    path.write_text("ops_horizon:\n  0: aa\n")
    made = golden.pin("ops_horizon", path)
    assert yaml.safe_load(path.read_text()) == {"ops_horizon": {0: "aa", 1: made}}
    assert golden.pin("ops_horizon", path) == made
    path.write_text("ops_horizon:\n  1: bb\n")
    with pytest.raises(ConfigError, match="needs a new version"):
        golden.pin("ops_horizon", path)


def test_a_changed_score_changes_the_digest_too(monkeypatch: pytest.MonkeyPatch) -> None:
    design = get_family("ops_horizon")
    before = golden.digest(design)
    monkeypatch.setattr(design.world, "outcome", lambda self: 0.5)
    assert golden.digest(design) != before


def test_the_check_of_a_family_fails_on_a_changed_generator(
    changed_generator: Family, monkeypatch: pytest.MonkeyPatch
) -> None:
    summary = Calibration("ops_horizon", "agentic", 1, 1.0, 0.0, 0.0, 0.0, 0.0)
    monkeypatch.setattr("dangercurve.tasks.kernel.properties.calibrate", lambda family, grid: (summary, []))
    result = CliRunner().invoke(cli, ["tasks", "check", "ops_horizon"])
    assert result.exit_code == 1
    assert "golden digest" in result.output
