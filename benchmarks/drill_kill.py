"""Kill drill: signal 9 to the driver and to the llama.cpp server at random points; the same command then finishes.

    python benchmarks/drill_kill.py [--part driver-time] [--part driver-write] [--part server] [--seed 0]

Half of the driver's kills come after a random time, half at a random write: the moment at which the run folder has
changed for the n-th time. The server's kills come after a random time, at most three a driver process, which is what a
server is started again for; a last run is killed until it gives up.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import signal
import subprocess
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

import numpy as np
from reliability import (
    Print,
    Result,
    Watch,
    command,
    fingerprint,
    keep,
    leftovers,
    must_finish,
    verdict_of,
    write_study,
)

from dangercurve.evals.store import read_observations

DRIVEN = """
name: killed
models: [sim/smooth@21.5, sim/smooth@23, sim/smooth@24.5]
tasks: [ops_horizon]
levels: [0, 1, 2, 3]
interfaces: [text]
n: 12
policy: policy.yaml
subject: sim/smooth@23
"""
SERVED = """
name: served
models: [ladder/105k]
tasks: [ops_horizon]
levels: [0, 1]
interfaces: [text]
n: 60
policy: policy.yaml
"""
WAYS = {"time": "after a random time", "write": "at a random change of the run folder"}
SERVER_MODULE = "dangercurve.evals.participants.llama_child"
KILLS_A_DRIVER = 3


def kill_driver_part(how: str, seed: int, runs: int, kills: int) -> None:
    rng = np.random.default_rng([seed, how == "write"])
    with tempfile.TemporaryDirectory() as name:
        folder, watch = Path(name), Watch()
        study = write_study(folder, DRIVEN)
        must_finish(study, folder / "whole")
        whole, length = fingerprint(folder / "whole"), watch.seconds()
        watch, total, seen = Watch(), Counter[str](), set()
        for index in range(runs):
            run = folder / f"run{index}"
            for _ in range(kills):
                total["kills"] += kill_once(study, run, how, length, rng)
            must_finish(study, run)
            total += compare(run, whole)
            seen.add(verdict_of(run))
        row = Result(
            "kill -9 of `assess`", WAYS[how], total["kills"], runs, total["samples"], total["lost"], total["doubled"],
            total["different"], watch.seconds(),
            f"verdict {' and '.join(sorted(seen))}; temporary files left behind: {total['leftovers']}",
        )  # fmt: skip
    keep(
        f"kill-driver-{how}",
        "The driver is killed with signal 9 again and again; the same command, run once more, finishes the study.",
        [row],
        f"python benchmarks/drill_kill.py --part driver-{how} --seed {seed} --runs {runs} --kills {kills}",
    )


def kill_once(study: Path, run: Path, how: str, length: float, rng: np.random.Generator) -> int:
    """Start the run and kill its whole process group once, after it has begun. Returns 1, or 0 where it ended before."""
    wait = float(rng.uniform(0.0, 0.5)) * length
    changes = int(rng.integers(1, 25))
    with subprocess.Popen(
        command("assess", study, run),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as driver:
        assert driver.stderr is not None
        driver.stderr.readline()  # "study killed: run folder ..."
        threading.Thread(target=driver.stderr.read, daemon=True).start()
        deadline = time.monotonic() + (wait if how == "time" else length)
        state, seen = state_of(run), 0
        while driver.poll() is None and time.monotonic() < deadline:
            if how == "write":
                now = state_of(run)
                seen += now != state
                state = now
                if seen >= changes:
                    break
            time.sleep(0.002)
        if driver.poll() is not None:
            return 0
        os.killpg(driver.pid, signal.SIGKILL)
    return 1


def state_of(run: Path) -> tuple[tuple[str, int], ...]:
    """Names and sizes of all files of a run."""
    found = []
    for path in run.rglob("*") if run.is_dir() else ():
        with contextlib.suppress(OSError):  # gone since it was listed
            found.append((path.name, path.stat().st_size))
    return tuple(sorted(found))


def compare(run: Path, whole: Print) -> Counter[str]:
    mine = fingerprint(run)
    return Counter(
        samples=len(mine.samples),
        lost=mine.lost_from(whole),
        doubled=mine.doubled,
        different=mine.differences(whole),
        leftovers=len(leftovers(run)),
    )


def kill_server_part(seed: int, runs: int) -> None:
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as name:
        folder, watch = Path(name), Watch()
        study = write_study(folder, SERVED, "text", 20)
        must_finish(study, folder / "whole")
        whole, length = fingerprint(folder / "whole"), watch.seconds()
        watch, total = Watch(), Counter[str]()
        for index in range(runs):
            run = folder / f"run{index}"
            total["kills"] += kill_servers(study, run, length, KILLS_A_DRIVER, rng)
            total += compare(run, whole)
        survived = Result(
            "kill -9 of llama.cpp", f"{KILLS_A_DRIVER} times a driver process", total["kills"], runs, total["samples"],
            total["lost"], total["doubled"], total["different"], watch.seconds(),
            "a member of the reference ladder in the text interface; the request that a server died under is asked again",
        )  # fmt: skip
        given_up = give_up(study, folder / "given-up", whole, length, rng)
        again = retried(study, folder / "given-up", whole)
    keep(
        "kill-server",
        "The llama.cpp server of a model of the ladder is killed with signal 9 while it answers.",
        [survived, given_up, again],
        f"python benchmarks/drill_kill.py --part server --seed {seed} --server-runs {runs}",
    )


def give_up(study: Path, run: Path, whole: Print, length: float, rng: random.Random) -> Result:
    """Kill the server until the driver starts it no more: what is left must be missing evidence, never a score."""
    watch = Watch()
    kills = kill_servers(study, run, length, 8, rng)
    mine, frame = fingerprint(run), read_observations(run)
    crashed = frame[frame["status"] == "infra_error"]
    scored = int(crashed["success"].notna().sum() + crashed["outcome"].notna().sum())
    gone = set(zip(crashed["model"], crashed["sample_id"], crashed["epoch"].astype(int), strict=True))
    others = sum(mine.samples[k] != whole.samples.get(k) for k in set(mine.samples) - gone)
    return Result(
        "kill -9 of llama.cpp", "until the driver gives up", kills, 1, len(mine.samples), mine.lost_from(whole), mine.doubled,
        scored + others, watch.seconds(),
        f"after {kills} kills {len(crashed)} of {len(frame)} samples were infra_error, none of them with a score; the others "
        f"are as undisturbed; verdict {verdict_of(run)} (whole run: {verdict_of(run.parent / 'whole')})",
    )  # fmt: skip


def retried(study: Path, run: Path, whole: Print) -> Result:
    """The same folder once more with `--retry-crashed`: nothing is left that differs from the undisturbed run.

    Without the attempt ledger: a second look at a claim has less alpha than the undisturbed run's only one.
    """
    watch, before = Watch(), read_observations(run)
    (run / "attempts.jsonl").unlink()
    must_finish(study, run, options=("--retry-crashed",))
    total, after = compare(run, whole), read_observations(run)
    kept = before[before["status"] != "infra_error"]["sample_uuid"]
    return Result(
        "kill -9 of llama.cpp", "the same run folder again, with `--retry-crashed`", 0, 1, total["samples"], total["lost"],
        total["doubled"], total["different"], watch.seconds(),
        f"{len(before) - len(kept)} samples were played again, {int(kept.isin(after['sample_uuid']).sum())} of the "
        f"{len(kept)} others are the same samples; verdict {verdict_of(run)}",
    )  # fmt: skip


def kill_servers(study: Path, run: Path, length: float, kills: int, rng: random.Random) -> int:
    """Run to the end while its server is killed `kills` times. Returns how often it was."""
    done = 0
    with subprocess.Popen(
        command("assess", study, run), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as driver:
        pause = 0.7 * length / (kills + 1)
        while driver.poll() is None and done < kills:
            time.sleep(rng.uniform(0.2, 1.0) * pause)
            for pid in servers_of(driver.pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                    done += 1
        _, errors = driver.communicate(timeout=600)
        if driver.returncode != 0:
            raise RuntimeError(f"assess ended with {driver.returncode}:\n{errors[-2000:]}")
    return done


def servers_of(parent: int) -> list[int]:
    """Process ids of the llama.cpp children of a process."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, IndexError):
            its_parent = int((path / "stat").read_text().rsplit(")", 1)[1].split()[1])
            if its_parent == parent and SERVER_MODULE.encode() in (path / "cmdline").read_bytes():
                found.append(int(path.name))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--part", choices=("driver-time", "driver-write", "server"), action="append")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--kills", type=int, default=7)
    parser.add_argument("--server-runs", type=int, default=5)
    arguments = parser.parse_args()
    for part in arguments.part or ["driver-time", "driver-write", "server"]:
        if part == "server":
            kill_server_part(arguments.seed, arguments.server_runs)
        else:
            kill_driver_part(part.removeprefix("driver-"), arguments.seed, arguments.runs, arguments.kills)


if __name__ == "__main__":
    main()
