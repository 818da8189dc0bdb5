"""What the parts of `bench_ladder.py` share: where results lie, which members and conditions there are."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

from dangercurve._files import write_atomic
from dangercurve.evals.ladder.shipping import Trained, read_all

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "ladder"
LEDGER, SCORES = FOLDER / "ledger.jsonl", FOLDER / "scores.csv"
HELD_OUT = ("amnesia_ops", "intrusion_path", "covert_side_task", "stop_and_handover")
"""Families of which no member has seen an episode."""
LEVELS = {"text": (0, 1, 2), "choice": (0, 1)}
N = 16
ALPHA = 0.1


def keep(part: str, value: object) -> None:
    """Write `docs/ladder/PART.json`."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    write_atomic(FOLDER / f"{part}.json", json.dumps(value, indent=1, allow_nan=False) + "\n")


def load(part: str) -> list[dict[str, object]]:
    """The rows of a part; none where it was never run."""
    path = FOLDER / f"{part}.json"
    rows: list[dict[str, object]] = json.loads(path.read_text("utf-8")) if path.exists() else []
    return rows


def records(frame: pd.DataFrame) -> list[dict[str, object]]:
    """The rows of a frame, NaN as null."""
    rows: list[dict[str, object]] = json.loads(frame.to_json(orient="records", double_precision=6))
    return rows


def line() -> list[Trained]:
    """The members of 20 tokens a parameter, by compute."""
    return [t for t in read_all() if t.role == "line"]
