"""The history of a lineage of models: assessments in time, what changed between them, what is due, what came true."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from dangercurve._errors import ConfigError, DangercurveError
from dangercurve._text import printable
from dangercurve.analysis.ledger_lines import Line, read_lines
from dangercurve.evals.gating.comparability import distinct_names
from dangercurve.evals.gating.observed import parse_time
from dangercurve.evals.gating.verdict import Verdict, read_verdict, verdict_digest
from dangercurve.evals.policy import LoadedPolicy
from dangercurve.evals.tracking.changes import Change, changes_between
from dangercurve.evals.tracking.forecasts import ForecastRow, forecast_rows
from dangercurve.evals.tracking.triggers import Due, due_of

MAX_RUNS = 2000
PIECES = ("study.yaml", "store", "progress.json", "events.jsonl", "logs")


@dataclass(frozen=True)
class Assessment:
    """One verdict, where it lies, and the training compute of its subject where that is known."""

    label: str
    path: Path
    verdict: Verdict
    log10_flop: float | None

    @property
    def root(self) -> Path | None:
        """The run folder; None where the verdict was given as a file of its own."""
        return self.path.parent if self.path.name == "verdict.json" else None

    @property
    def as_of(self) -> dt.datetime:
        return parse_time(self.verdict.as_of)


@dataclass(frozen=True)
class Track:
    """A lineage, oldest first. `changes[i]` are what changed from the assessment before with the same policy id;
    `pending` are run folders without a verdict yet."""

    assessments: tuple[Assessment, ...]
    changes: tuple[tuple[Change, ...], ...]
    due: tuple[Due, ...]
    forecasts: tuple[ForecastRow, ...]
    pending: tuple[str, ...]
    notes: tuple[str, ...]
    as_of: str

    @property
    def simulated(self) -> bool:
        return any(a.verdict.simulated for a in self.assessments)


def find_runs(paths: Sequence[Path]) -> list[Path]:
    """Run folders and verdict files: those given, or where a folder is none itself, those directly below it.

    Raises ConfigError for a path that is not there, holds no run, or was given twice.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_file() or _is_run(path):
            found.append(path)
        elif path.is_dir():
            below = sorted(p for p in path.iterdir() if p.is_dir() and _is_run(p))
            if not below:
                raise ConfigError(
                    f"{printable(path)} is no run folder and holds none; make one with `dangercurve assess`"
                )
            found += below
        else:
            raise ConfigError(
                f"{printable(path)}: no such run folder or verdict; make one with `dangercurve assess`"
            )
    if len(found) > MAX_RUNS:
        raise ConfigError(f"{len(found)} runs are more than {MAX_RUNS}; name those that you want to see")
    where = [p.resolve() for p in found]
    twice = next((p for i, p in enumerate(found) if where[i] in where[:i]), None)
    if twice is not None:
        raise ConfigError(f"{printable(twice)} is given twice")
    return found


def track(
    paths: Sequence[Path],
    *,
    policy: LoadedPolicy | None = None,
    ledgers: Iterable[Path] = (),
    as_of: dt.datetime | None = None,
) -> Track:
    """Read the runs and verdicts in `paths` and say what happened between them.

    With `policy` its triggers are asked again as of `as_of` (default: now); without, they stand as each verdict saw
    them. Forecast ledgers are those of the run folders and `ledgers`. Raises ConfigError for what is not there and
    EvidenceError, naming the file, for a damaged verdict or ledger and for one of a newer schema.
    """
    now = as_of or dt.datetime.now(dt.UTC)
    runs = find_runs(paths)
    places = [_place(path) for path in runs]
    names = distinct_names(places)
    notes = _same_names(places, names)
    read: list[Assessment] = []
    pending: list[str] = []
    for path, label in zip(runs, names, strict=True):
        target = path / "verdict.json" if path.is_dir() else path
        if not target.is_file():
            pending.append(label)
            continue
        verdict = read_verdict(target)
        read.append(Assessment(label, target, verdict, _log10_flop(verdict.subject, notes)))
    read.sort(key=lambda a: (a.as_of, a.label))
    _refuse_copies(read)
    changes = tuple(changes_between(_before(read, i), read[i]) for i in range(len(read)))
    lines = _ledger_lines([*(a.root for a in read), *(p for p in runs if p.is_dir())], ledgers)
    return Track(
        tuple(read),
        changes,
        tuple(due_of(read, policy, now)),
        tuple(forecast_rows(lines, [a.verdict for a in read], now)),
        tuple(pending),
        tuple(notes),
        now.isoformat(timespec="seconds"),
    )


def _is_run(path: Path) -> bool:
    return path.is_dir() and ((path / "verdict.json").is_file() or any((path / n).exists() for n in PIECES))


def _place(path: Path) -> Path:
    """What names a run: its folder, or a verdict file without its ending."""
    found = path.resolve()
    return found if path.is_dir() else found.parent if found.name == "verdict.json" else found.with_suffix("")


def _same_names(places: Sequence[Path], names: Sequence[str]) -> list[str]:
    plain = [place.name for place in places]
    twice = sorted({n for n in plain if plain.count(n) > 1})
    return [
        f"{plain.count(n)} runs are named '{printable(n, 80)}': shown as "
        + ", ".join(printable(label, 120) for label, name in zip(names, plain, strict=True) if name == n)
        for n in twice
    ]


def _before(read: Sequence[Assessment], i: int) -> Assessment | None:
    """The newest earlier assessment under a policy of the same id."""
    same = [a for a in read[:i] if a.verdict.policy.id == read[i].verdict.policy.id]
    return same[-1] if same else None


def _refuse_copies(read: Sequence[Assessment]) -> None:
    seen: dict[str, str] = {}
    for each in read:
        digest = verdict_digest(each.verdict)
        if digest in seen:
            raise ConfigError(
                f"{printable(each.label)} holds the same verdict as {printable(seen[digest])}: give one of them"
            )
        seen[digest] = each.label


def _log10_flop(subject: str | None, notes: list[str]) -> float | None:
    from dangercurve.evals.pipeline import compute_table
    from dangercurve.evals.run_folder import number

    if subject is None:
        return None
    try:
        rows = compute_table([subject]).to_dict("records")
    except (DangercurveError, ValueError) as exc:
        notes.append(f"compute of {printable(subject, 80)}: {printable(exc, 160)}")
        return None
    flop = number(rows[0].get("training_flop")) if rows else math.nan
    return math.log10(flop) if flop > 0 else None


def _ledger_lines(roots: Iterable[Path | None], ledgers: Iterable[Path]) -> list[Line]:
    """The lines of all ledgers, each once."""
    paths = {root / "forecast_ledger.jsonl" for root in roots if root is not None}
    given = list(ledgers)
    missing = next((p for p in given if not p.is_file()), None)
    if missing is not None:
        raise ConfigError(f"--ledger {printable(missing)}: no such file")
    found: dict[str, Line] = {}
    for path in [*sorted(paths), *given]:
        for line in read_lines(path):
            found.setdefault(str(line["hash"]), line)
    return list(found.values())
