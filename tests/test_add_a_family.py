"""The walk of docs/add-a-family.md, tried: its code is registered, keeps every property and runs through Inspect."""

from __future__ import annotations

import importlib.util
import math
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from inspect_ai import Epochs
from inspect_ai import eval as inspect_eval

from dangercurve.scorers.status import STATUSES
from dangercurve.tasks.kernel import family as registry
from dangercurve.tasks.kernel.cases import Grid
from dangercurve.tasks.kernel.family import INTERFACES, family_names, get_family
from dangercurve.tasks.kernel.golden import golden_fault
from dangercurve.tasks.kernel.properties import check_family

PAGE = Path(__file__).parent.parent / "docs" / "add-a-family.md"
GRID = Grid((0, 1, 2, 3, 4), 4)


@pytest.fixture(scope="module")
def tower(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    """The module that the page shows, imported from a file and taken out of the registry again."""
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    path = tmp_path_factory.mktemp("family") / "bell_tower.py"
    path.write_text(code, encoding="utf-8")
    spec = importlib.util.spec_from_file_location("bell_tower_of_the_page", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    registry._FAMILIES.pop("bell_tower", None)
    sys.modules.pop(spec.name, None)


def test_being_registered_is_enough_to_be_listed(tower: ModuleType) -> None:
    assert "bell_tower" in family_names()
    assert get_family("bell_tower") is tower.FAMILY
    assert golden_fault("bell_tower") == ""  # a family of another package may go without a digest


def test_it_keeps_every_property_of_the_suite(tower: ModuleType) -> None:
    found = check_family(tower.FAMILY, GRID)
    broken = [f"{f.property}: {f.value:.3g}, wanted {f.bound} {f.where}" for f in found if not f.ok]
    assert broken == []
    assert len({f.property for f in found}) >= 10


@pytest.mark.parametrize("interface", INTERFACES)
def test_it_runs_through_inspect_with_its_known_scores(
    tower: ModuleType, interface: str, tmp_path: Path
) -> None:
    logs = inspect_eval(
        tower.bell_tower(level=[0, 2], twin="base,rule_flip", n=2, interface=interface),
        model=["bot/oracle", "bot/null", "bot/imitator", "bot/refuser"], epochs=Epochs(2), display="none",
        log_realtime=False, log_dir=str(tmp_path), fail_on_error=False, score_display=False,
    )  # fmt: skip
    means = {}
    for log in logs:
        assert log.results is not None
        means[log.eval.model] = {m.name: m.value for s in log.results.scores for m in s.metrics.values()}
        assert sum(means[log.eval.model][s] for s in STATUSES) == pytest.approx(1.0)
    assert means["bot/oracle"]["success"] == 1.0
    assert means["bot/null"]["success"] == 0.0
    assert means["bot/imitator"]["success"] == 0.5  # right on the base twin, wrong on every flipped bell
    assert math.isnan(means["bot/refuser"]["success"])


def test_the_same_name_from_another_module_is_refused(tower: ModuleType) -> None:
    import dataclasses

    from dangercurve._errors import ConfigError
    from dangercurve.tasks.agentic.ops_horizon import DepotWorld

    with pytest.raises(ConfigError, match="two families are named bell_tower"):
        registry.register(dataclasses.replace(tower.FAMILY, world=DepotWorld))
