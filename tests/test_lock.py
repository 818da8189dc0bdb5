"""The lock file of the application install: pinned, hashed, within pyproject's ranges, and free of any address."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from dangercurve.evals.gating.doctor import in_range

ROOT = Path(__file__).resolve().parents[1]
PIN = re.compile(r"^([A-Za-z0-9][\w.-]*)(?:\[[\w,-]+\])?==([^\s;\\]+)", re.M)
REQUIREMENT = re.compile(r"^([A-Za-z0-9][\w.-]*)(?:\[[\w,-]+\])?\s*([^;]*)")


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.fixture(scope="module")
def text() -> str:
    return (ROOT / "requirements.lock").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def wanted() -> list[tuple[str, str]]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = [*project["dependencies"], *project["optional-dependencies"]["local"]]
    found = [REQUIREMENT.match(line) for line in lines]
    assert all(found)
    return [(normal(match[1]), match[2].strip()) for match in found if match]


def pins(text: str) -> dict[str, list[str]]:
    """Versions by name; a package may be pinned once a platform or Python."""
    found: dict[str, list[str]] = {}
    for name, version in PIN.findall(text):
        found.setdefault(normal(name), []).append(version)
    return found


def test_every_requirement_of_the_application_is_pinned_within_its_range(
    text: str, wanted: list[tuple[str, str]]
) -> None:
    held = pins(text)
    assert len(wanted) >= 13
    wrong = [
        (name, bounds, held.get(name))
        for name, bounds in wanted
        if not held.get(name) or not all(in_range(v, bounds) for v in held[name])
    ]
    assert wrong == [], "run `make lock`"


def test_every_pin_carries_hashes(text: str) -> None:
    blocks = re.split(r"^(?=[A-Za-z0-9])", text, flags=re.M)[1:]
    assert len(blocks) == sum(map(len, pins(text).values())) > 50
    assert [b.split()[0] for b in blocks if not re.search(r"--hash=sha256:[0-9a-f]{64}", b)] == []


def test_the_lock_names_no_registry_and_no_machine(text: str) -> None:
    assert not re.search(r"https?:|file:|--(?:extra-)?index-url|--find-links|--trusted-host|@ ", text)
    assert not re.search(r"(?:^|\s)/\w+/", text)
