"""What was added to a run folder after a verdict: later waivers and signatures are named and laid aside, nothing else may be.

Waivers, signatures and forecasts live in append-only files. Their bytes at the time of the verdict must still stand at
the start of the file; what follows came later and takes no part in the replay.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from dangercurve._errors import EvidenceError
from dangercurve._text import printable
from dangercurve.analysis.ledger_lines import read_lines
from dangercurve.evals.gating.chain import read_chain
from dangercurve.evals.run_folder import read_run_folder

WAIVERS = "--waivers"


def _read_events(path: Path) -> list[dict[str, object]]:
    """The lines of a run's event log; unlike the others it is not chained."""
    try:
        found = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, ValueError, RecursionError) as exc:
        raise EvidenceError(f"{path.name}: cannot be read: {printable(exc, 80)}") from exc
    return [line if isinstance(line, dict) else {} for line in found]


APPENDED: dict[str, Callable[[Path], list[dict[str, object]]]] = {
    "waivers.jsonl": read_chain,
    "signoff.jsonl": read_chain,
    "forecast_ledger.jsonl": read_lines,
    "events.jsonl": _read_events,
    WAIVERS: read_chain,
}
ENTRIES = (
    "store",
    "estimates",
    "forecasts",
    "evidence",
    "logs",
    "study.yaml",
    "history.jsonl",
    "attempts.jsonl",
)


@dataclass(frozen=True)
class Later:
    """`then` holds the bytes that an append-only file had at the verdict (None: it was not there), for those that grew;
    `notes` name what was added since, `problems` what must not have been."""

    then: Mapping[str, bytes | None] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


def added_later(root: Path, files: Mapping[str, str], waivers: Path | None) -> Later:
    """What the run folder `root` holds beyond the `files` (name to SHA-256) of a verdict.

    `waivers` is the ledger of waivers outside the folder that the gate was given, if any. A file that was changed in
    what it held at the verdict is not reported here: its digest refuses it.
    """
    then: dict[str, bytes | None] = {}
    notes: list[str] = []
    problems: list[str] = []
    present = read_run_folder(root).files
    for name, read in APPENDED.items():
        path = waivers if name == WAIVERS else root / name
        if path is None or not path.is_file():
            continue
        data = path.read_bytes()
        wanted = files.get(name)
        if wanted is None and name not in (*present, WAIVERS):
            continue  # it is no evidence: the gate does not read it
        if wanted == hashlib.sha256(data).hexdigest():
            continue
        start = 0 if wanted is None else _prefix(data, wanted)
        if start is None:
            continue
        shown = f"{name} {printable(path.name)}" if name == WAIVERS else name
        try:
            added = read(path)[data[:start].count(b"\n") :]
        except EvidenceError as exc:
            problems.append(f"{shown}: what was added after the verdict is damaged: {exc}")
            continue
        then[name] = None if wanted is None else data[:start]
        what = "; ".join(_said(record) for record in added[:5]) + (" ..." if len(added) > 5 else "")
        notes.append(
            f"{shown}: {len(added)} line{'s' if len(added) != 1 else ''} added after the verdict, "
            f"no part of it ({what})"
        )
    named = {*files, *APPENDED}
    problems += [f"{name} was added after the verdict" for name in sorted(present) if name not in named]
    return Later(then, tuple(notes), tuple(problems))


@contextmanager
def folder_then(root: Path, waivers: Path | None, later: Later) -> Iterator[tuple[Path, Path | None]]:
    """The run folder and the ledger of waivers as they were at the verdict; links into `root` where nothing grew."""
    if not later.then:
        yield root, waivers
        return
    with TemporaryDirectory(prefix="dangercurve-then-") as name:
        view = Path(name) / "run"
        view.mkdir()
        for entry in (*ENTRIES, *(n for n in APPENDED if n not in later.then and n != WAIVERS)):
            if (root / entry).exists():
                (view / entry).symlink_to((root / entry).resolve())
        for entry, data in later.then.items():
            if data is not None and entry != WAIVERS:
                (view / entry).write_bytes(data)
        given = waivers
        if WAIVERS in later.then:
            data = later.then[WAIVERS]
            given = Path(name) / "waivers-then.jsonl"
            given.write_bytes(data or b"")
            given = given if data is not None else None
        yield view, given


def _prefix(data: bytes, digest: str) -> int | None:
    """Length of the whole lines at the start of `data` that have this SHA-256; None where there are none."""
    running, end = hashlib.sha256(), 0
    if running.hexdigest() == digest:
        return 0
    for line in data.splitlines(keepends=True):
        running.update(line)
        end += len(line)
        if running.hexdigest() == digest:
            return end
    return None


def _said(record: Mapping[str, object]) -> str:
    keys = ("id", "claim", "expires", "role", "name", "decision", "kind", "model", "metric")
    return printable(" ".join(str(record[key]) for key in keys if record.get(key) is not None), 160)
