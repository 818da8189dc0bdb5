"""Shared fixtures: a study file from a few words, the public data where it is present, and a cheap harness."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session", autouse=True)
def cheap_harness() -> Iterator[None]:
    """Two costs of an eval that no claim rests on: most runs of the garbage collector, and the tables of results that
    Inspect lays out for a console that shows nothing (.15 s a log). An Inspect without that name costs more, no test."""
    before = gc.get_threshold()
    gc.set_threshold(200_000, 20, 100)
    with pytest.MonkeyPatch.context() as patch:
        shown = sys.modules.get("inspect_ai._display.rich.display")  # there once a test has imported Inspect
        if shown is not None:
            patch.setattr(shown, "tasks_results", lambda _: "", raising=False)
        yield
    gc.set_threshold(*before)


@pytest.fixture(scope="session")
def public_data() -> Path:
    """The folder of public tables; tests that need it skip with a reason where it is absent."""
    folder = Path(os.environ.get("DANGERCURVE_PUBLIC_DATA", ROOT / ".." / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"public data not found at {folder} (set DANGERCURVE_PUBLIC_DATA)")
    return folder


@pytest.fixture
def study_file(tmp_path: Path) -> Callable[[str], Path]:
    """Write a study and return its path."""

    def write(text: str) -> Path:
        path = tmp_path / "study.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return write
