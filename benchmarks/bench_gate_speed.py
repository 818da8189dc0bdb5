"""Speed of the gate as a whole process: writes docs/speed-gate.md.

    python benchmarks/bench_gate_speed.py --out docs/speed-gate.md

Each command is started cold, in turn with the others and with `python -c pass` as the yardstick, and measured by the
operating system: wall seconds, processor seconds (user and system, all threads) and peak memory. The targets: 1.5 s on
stored estimates, 5 s on a million observations.
"""

from __future__ import annotations

import argparse
import datetime as dt
import hashlib
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from dangercurve._files import write_atomic
from dangercurve.evals.gating.gate_world import (
    World,
    estimate,
    observations,
    policy_text,
    write_estimates,
    write_policy,
    write_run,
)
from dangercurve.evals.run_folder import store_digest

PARTS = 20
MODEL = "sim/smooth@22"


@dataclass(frozen=True)
class Run:
    """One process: seconds on the clock, seconds of all processors, peak memory in MB."""

    wall: float
    cpu: float
    memory: float


MEASURER = """
import json, os, sys, time
words = json.loads(sys.argv[1])
quiet = [(os.POSIX_SPAWN_OPEN, n, os.devnull, os.O_WRONLY, 0) for n in (1, 2)]
started = time.perf_counter()
_, status, used = os.wait4(os.posix_spawn(words[0], words, os.environ, file_actions=quiet), 0)
wall = time.perf_counter() - started
print(json.dumps([os.waitstatus_to_exitcode(status), wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024]))
"""
"""A process of its own starts the command: a child's peak memory is counted from its parent's, which must be small."""


def measure(words: Sequence[str]) -> Run:
    """Start `words`, wait for the end, and ask the operating system. Raises RuntimeError where it fails."""
    done = subprocess.run(
        [sys.executable, "-S", "-c", MEASURER, json.dumps(words)], capture_output=True, text=True, check=True
    )
    code, wall, cpu, memory = json.loads(done.stdout)
    if code:
        raise RuntimeError(f"{words}: exit {code}")
    return Run(wall, cpu, memory)


def gate(root: Path) -> list[str]:
    """The command line that asks the gate about `root`, by its console script."""
    write_policy(root / "policy.yaml", policy_text(reach=0.2, alert=0.1))
    script = Path(sys.executable).with_name("dangercurve")
    return [str(script), "gate", str(root / "policy.yaml"), "--store", str(root), "--model", MODEL]


def large_store(root: Path, rows: int) -> Path:
    """A run folder of `rows` observations in PARTS parts, each sample an instance of its own."""
    per = rows // PARTS
    base = observations(World(success=[0]))[0]
    (root / "store").mkdir(parents=True)
    for part in range(PARTS):
        log = hashlib.sha256(str(part).encode()).hexdigest()
        columns: dict[str, object] = {name: pa.repeat(pa.scalar(value), per) for name, value in base.items()}
        ids = [f"i{part * per + i}" for i in range(per)]
        columns |= {"sample_id": ids, "instance_id": ids, "sample_uuid": ids, "log_sha256": [log] * per}
        pq.write_table(pa.table(columns), root / "store" / f"{log}.parquet", compression="zstd")
    row = estimate(World(success=[0] * 1000), store_digest(root))
    write_estimates(root, [{**row, "n_instances": per * PARTS}])
    return root


PAGE = """# Speed of the gate

Written by `python benchmarks/bench_gate_speed.py` on {date}: {repeats} starts of each command, in turn, on {cores} cores
({machine}, Python {python}), load {load:.1f} before and {load_after:.1f} after. Whole processes, from the start of the
interpreter to the exit code. Wall seconds depend on what else the machine does; processor seconds much less.

| command | wall s, best | wall s, median | processor s, best | processor s, median | peak MB | wall target |
|---|---|---|---|---|---|---|
{rows}

`python -c pass` is the yardstick: what starting the interpreter costs in the same environment, at the same time. The
large store has {large:,} observations in {parts} parts, one claim, and goes through every check of the gate: digests of all
files, schema, duplicates, statuses, the mean over instances. DuckDB uses two threads, so on two idle cores its wall time
lies below its processor time.
"""


def main() -> None:
    """Measure and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--out", type=Path, default=Path("docs/speed-gate.md"))
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args()
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as name:
        small = write_run(Path(name) / "small", [World(success=[0] * 300)])
        large = large_store(Path(name) / "large", options.rows)
        commands = {
            "`python -c pass`": ([sys.executable, "-c", "pass"], "-"),
            "`dangercurve --help`": ([str(Path(sys.executable).with_name("dangercurve")), "--help"], "0.3"),
            "`dangercurve gate`, 300 observations": (gate(small), "1.5"),
            f"`dangercurve gate`, {options.rows:,} observations": (gate(large), "5"),
        }
        runs: dict[str, list[Run]] = {label: [] for label in commands}
        for _ in range(options.repeats):
            for label, (words, _target) in commands.items():
                runs[label].append(measure(words))
    rows = []
    for label, (_, target) in commands.items():
        wall, cpu, memory = ([getattr(r, part) for r in runs[label]] for part in ("wall", "cpu", "memory"))
        rows.append(
            f"| {label} | {min(wall):.2f} | {statistics.median(wall):.2f} | {min(cpu):.2f} | "
            f"{statistics.median(cpu):.2f} | {max(memory):.0f} | {target} |"
        )
    page = PAGE.format(
        date=dt.datetime.now(dt.UTC).date(),
        repeats=options.repeats,
        cores=os.cpu_count(),
        machine=platform.machine(),
        python=platform.python_version(),
        load=load,
        load_after=os.getloadavg()[0],
        rows="\n".join(rows),
        large=options.rows,
        parts=PARTS,
    )
    write_atomic(options.out, page)
    print(page)


if __name__ == "__main__":
    main()
