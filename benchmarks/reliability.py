"""What the fault drills share: a study, whole processes, the fingerprint of a run, and the page of results.

A drill compares a disturbed run with an undisturbed one by `fingerprint`: every observation, estimate and forecast and
the whole verdict, less time stamps, days counted from them, random identifiers, digests over these and the note that
counts the logs of interrupted attempts. Each part of a drill stores its result as one JSON file in
`docs/reliability/`; the page is written anew from all of them, so that a part can be run again by itself.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd

from dangercurve._files import write_atomic
from dangercurve.evals.run_folder import part_paths
from dangercurve.evals.store import read_observations

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "docs" / "reliability"
PAGE = ROOT / "docs" / "reliability.md"
CLI = (sys.executable, "-m", "dangercurve.evals.cli")
RANDOM_COLUMNS = (
    "completed_at",
    "log_path",
    "log_sha256",
    "sample_uuid",
    "eval_task_id",
    "working_s",
    "store_digest",
)
RANDOM_KEYS = ("as_of", "digests", "ledger_head", "transcripts", "attempts", "store_digest", "days", "notes")
POLICY = """
version: 1
framework: {id: drill, title: Policy of the fault drills, effective: 2026-11-01}
claims:
  - id: agentic.ops_horizon.success
    measure: {domain: agentic, family: ops_horizon, metric: success_rate, interface: INTERFACE}
    threshold: {reach: 0.97, alert: 0.9, direction: up}
    test: {alpha: 0.05, min_instances: MINIMUM, cluster: instance}
    allowance: {elicitation: 0, growth_months: 0, forecast_error: 0}
"""


@dataclass(frozen=True)
class Result:
    """One line of the page: what was done to how many runs, and what was lost, doubled or different."""

    fault: str
    how: str
    faults: int
    runs: int
    samples: int
    lost: int
    doubled: int
    different: int
    seconds: float
    note: str = ""

    @property
    def held(self) -> bool:
        return not (self.lost or self.doubled or self.different)


@dataclass(frozen=True)
class Print:
    """The fingerprint of a run: one digest a kind of content, and the samples with what they came to."""

    samples: Mapping[tuple[str, str, int], str]
    doubled: int
    rest: str

    def lost_from(self, whole: Print) -> int:
        """Samples of `whole` that are not here."""
        return len(set(whole.samples) - set(self.samples))

    def differences(self, whole: Print) -> int:
        """Samples that came to something else, and one more where estimates, forecasts or verdict differ."""
        shared = set(whole.samples) & set(self.samples)
        extra = len(set(self.samples) - set(whole.samples))
        return extra + sum(self.samples[k] != whole.samples[k] for k in shared) + (self.rest != whole.rest)


def write_study(folder: Path, text: str, interface: str = "text", minimum: int = 40) -> Path:
    """`study.yaml` and its policy in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "policy.yaml").write_text(
        POLICY.replace("INTERFACE", interface).replace("MINIMUM", str(minimum))
    )
    path = folder / "study.yaml"
    path.write_text(text)
    return path


def command(verb: str, study: Path, run: Path) -> list[str]:
    return [*CLI, verb, str(study), "--run", str(run)]


def finish(
    study: Path,
    run: Path,
    verb: str = "assess",
    env: Mapping[str, str] | None = None,
    limit_s: float = 600.0,
    options: Sequence[str] = (),
) -> subprocess.CompletedProcess[str]:
    """Run a verb to its end in a process of its own."""
    return subprocess.run(
        [*command(verb, study, run), *options], capture_output=True, text=True, check=False, timeout=limit_s,
        env={**os.environ, **(env or {})},
    )  # fmt: skip


def must_finish(
    study: Path,
    run: Path,
    env: Mapping[str, str] | None = None,
    limit_s: float = 600.0,
    options: Sequence[str] = (),
) -> str:
    """`finish`, and the last lines of its error stream. Raises RuntimeError where it did not end well."""
    done = finish(study, run, env=env, limit_s=limit_s, options=options)
    if done.returncode != 0:
        raise RuntimeError(f"assess ended with {done.returncode}:\n{done.stderr[-2000:]}")
    return done.stderr


def fingerprint(run: Path) -> Print:
    """What a run came to. Raises EvidenceError where the store cannot be read."""
    frame = read_observations(run)
    kept = frame.drop(columns=[c for c in RANDOM_COLUMNS if c in frame])
    keys = list(
        zip(
            frame["model"].astype(str),
            frame["sample_id"].astype(str),
            frame["epoch"].astype(int),
            strict=True,
        )
    )
    lines = kept.to_json(orient="records", lines=True, double_precision=12).splitlines()
    samples = dict(zip(keys, map(_digest, lines), strict=True))
    estimates = pd.concat([pd.read_parquet(p) for p in sorted((run / "estimates").glob("*.parquet"))])
    rest = [
        estimates.drop(columns=[c for c in RANDOM_COLUMNS if c in estimates]).to_json(orient="records"),
        _canonical(json.loads((run / "verdict.json").read_text())),
        _canonical(json.loads((run / "forecasts" / "forecasts.json").read_text())),
    ]
    return Print(samples, len(keys) - len(samples), _digest("\n".join(rest)))


def verdict_of(run: Path) -> str:
    return str(json.loads((run / "verdict.json").read_text())["overall"])


def leftovers(run: Path) -> list[str]:
    """Names of temporary files that a run left behind."""
    return sorted(p.relative_to(run).as_posix() for p in run.rglob("*.tmp"))


def parts(run: Path) -> int:
    return len(part_paths(run))


def _canonical(data: object) -> str:
    return json.dumps(_without(data), sort_keys=True)


def _without(data: object) -> object:
    if isinstance(data, dict):
        return {k: _without(v) for k, v in data.items() if k not in RANDOM_KEYS}
    return [_without(v) for v in data] if isinstance(data, list) else data


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def keep(part: str, claim: str, rows: Sequence[Result], command_line: str) -> None:
    """Store one part's results, write the page anew from all parts, print the rows.

    Ends the process with code 1 where a row did not hold.
    """
    RESULTS.mkdir(parents=True, exist_ok=True)
    data = {"part": part, "claim": claim, "command": command_line, "rows": [asdict(r) for r in rows]}
    write_atomic(RESULTS / f"{part}.json", json.dumps(data, indent=1) + "\n")
    write_atomic(PAGE, page())
    print("\n".join(_table(data)))
    if not all(r.held for r in rows):
        sys.exit(1)


def page() -> str:
    """The text of `docs/reliability.md` from the stored results of all parts."""
    stored = [json.loads(p.read_text()) for p in sorted(RESULTS.glob("*.json"))]
    lines = [
        "# Reliability under faults",
        "",
        "What happens to a run when the machine, the disk, the clock, the network or the provider fails. Each part is a",
        "script that disturbs runs on purpose, lets the same command finish, and compares the result with an undisturbed",
        "run of the same study: every sample with its status, scores and journal head, every estimate and forecast, and",
        "the verdict, less time stamps, days counted from them, random identifiers, digests over these and the note that",
        "counts the logs of interrupted attempts. **lost** are samples of the undisturbed run that are missing, **doubled**",
        "those counted twice, **different** those that came to something else (and one more a run whose estimates, forecasts",
        "or verdict differ, or whose error was no clear line). `make drills` runs all parts; each can be run by itself.",
        "",
        "All samples but those of `ladder/...` are played by SIMULATED models or by a scripted server.",
    ]
    for data in stored:
        lines += ["", *_table(data)]
    return "\n".join(lines) + "\n"


def _table(data: Mapping[str, object]) -> list[str]:
    lines = [
        f"## {data['part']}",
        "",
        str(data["claim"]),
        "",
        f"    {data['command']}",
        "",
        "| fault | how | faults | runs | samples | lost | doubled | different | s |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    notes = []
    rows = data["rows"]
    assert isinstance(rows, list)
    for row in rows:
        r = Result(**row)
        lines.append(
            f"| {r.fault} | {r.how} | {r.faults} | {r.runs} | {r.samples} | {r.lost} | {r.doubled} | {r.different} "
            f"| {r.seconds:.0f} |"
        )
        if r.note:
            notes.append(f"- *{r.fault}*: {r.note}")
    return [*lines, *([""] if notes else []), *notes]


class Watch:
    """Seconds since it was made."""

    def __init__(self) -> None:
        self._started = time.monotonic()

    def seconds(self) -> float:
        return time.monotonic() - self._started
