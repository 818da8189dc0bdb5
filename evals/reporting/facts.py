"""Settings of a run for its report: the study, seeds, versions, and how the run went by its events."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from dangercurve._errors import ConfigError
from dangercurve._text import printable
from dangercurve.analysis.report.data import Forecast, Verdict
from dangercurve.evals.run_folder import RunFolder

if TYPE_CHECKING:
    import pandas as pd

Fact = tuple[str, str]
COLUMNS = (("inspect_version", "Inspect"), ("seed_commitment", "seed commitments"), ("scaffold", "scaffold"),
           ("task_version", "task versions"))  # fmt: skip
SHOWN = 6


def read_study(root: Path, problems: list[str]) -> dict[str, object]:
    """The run's study.yaml as a mapping; what is wrong with it becomes a line in `problems`."""
    from dangercurve.evals.strict_yaml import load_plain

    if not (root / "study.yaml").is_file():
        return {}
    try:
        found = load_plain(root / "study.yaml")
    except ConfigError as exc:
        problems.append(f"study.yaml cannot be read: {printable(exc, 160)}")
        return {}
    if not isinstance(found, dict):
        problems.append("study.yaml is no mapping")
        return {}
    return {str(k): v for k, v in found.items()}


def facts(
    folder: RunFolder,
    study: Mapping[str, object],
    frame: pd.DataFrame | None,
    forecasts: tuple[Forecast, ...],
    verdict: Verdict | None,
    problems: list[str],
) -> tuple[Fact, ...]:
    """Everything that someone needs to run the same again."""
    out = [(k, one_line(v)) for k, v in study.items() if k not in ("models", "name")]
    models = study.get("models")
    if isinstance(models, list):
        names = [str(m.get("model")) if isinstance(m, dict) else str(m) for m in models]
        out.append(("models", f"{len(set(names))}: {_some(sorted(set(names)), 12)}"))
    if study and "seed" not in study:
        out.append(("seed", "0 (default)"))
    seeds = sorted({f.seed for f in forecasts if f.seed})
    if seeds:
        out.append(("seed of the forecasts", _some(seeds)))
    for column, label in COLUMNS:
        if frame is not None and column in frame:
            found = sorted({str(v) for v in frame[column].dropna() if str(v)})
            if found:
                out.append((label, _some(found)))
    out.append(("observations", f"{0 if frame is None else len(frame):,} in {len(folder.parts)} logs"))
    if verdict is not None and verdict.attempts is not None:
        out.append(("attempts at these claims", str(verdict.attempts)))
    return (*out, *_events(folder.root / "events.jsonl", problems))


def one_line(value: object) -> str:
    """A setting as one line of text."""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and not any(isinstance(v, (dict, list)) for v in value):
        return ", ".join(map(str, value))
    return json.dumps(value, default=str, ensure_ascii=False)


def _some(names: list[str], limit: int = SHOWN) -> str:
    return ", ".join(names[:limit]) + (f" and {len(names) - limit} more" if len(names) > limit else "")


def _events(path: Path, problems: list[str]) -> list[Fact]:
    """First and last event and how many of each kind; a damaged line is counted and named."""
    if not path.is_file():
        return []
    kinds: Counter[str] = Counter()
    times: list[str] = []
    damaged = 0
    try:
        lines = path.read_bytes().splitlines()
    except OSError as exc:
        problems.append(f"events.jsonl cannot be read: {exc.strerror or exc}")
        return []
    for line in lines:
        try:
            entry = json.loads(line)
            kinds[str(entry["event"])] += 1
            times.append(str(entry["time"]))
        except (ValueError, KeyError, TypeError, RecursionError):
            damaged += 1
    if damaged:
        problems.append(f"events.jsonl has {damaged} damaged lines of {len(lines)}")
    if not times:
        return []
    told = ", ".join(f"{n} {kind.replace('_', ' ')}" for kind, n in sorted(kinds.items()))
    return [("ran from, to", f"{min(times)}, {max(times)}"), ("events", told)]
