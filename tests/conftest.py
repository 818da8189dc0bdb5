"""Shared fixtures: a study file from a few words, and the public data where it is present."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


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
