"""Ray drill: workers and the driver are killed with signal 9 at random points of a study on a real local cluster.

    python benchmarks/drill_ray.py [--kills 24] [--seed 0]

The cluster (two workers, loopback) belongs to this script and outlives the drivers, as a fleet's does. Half of the kills
hit the worker processes that play cells, half the driver; then the same command finishes the study. It is compared with
an undisturbed run by one process without Ray.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from reliability import (
    CLI,
    Result,
    Watch,
    fingerprint,
    keep,
    leftovers,
    must_finish,
    verdict_of,
    write_study,
)

STUDY = """
name: fleet
models: [sim/smooth@21.5, sim/smooth@23, sim/smooth@24.5]
tasks: [ops_horizon]
levels: [0, 1, 2, 3, 4]
interfaces: [text]
n: 48
shard: 12
policy: policy.yaml
subject: sim/smooth@23
"""
WORKERS = 2
ATTEMPTS = 50


@contextlib.contextmanager
def cluster() -> Iterator[str]:
    """A Ray cluster of this process on loopback; its address."""
    import ray

    from dangercurve.evals.engines.ray_cluster import LOOPBACK, connect

    os.environ.update(LOOPBACK)
    connect(ray, WORKERS, None)
    try:
        yield str(ray.get_runtime_context().gcs_address)
    finally:
        ray.shutdown()


def children(parent: int) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, IndexError, ValueError):
            if int((path / "stat").read_text().rsplit(")", 1)[1].split()[1]) == parent:
                found.append(int(path.name))
    return found


def title(pid: int) -> str:
    try:
        return (Path("/proc") / str(pid) / "cmdline").read_bytes().decode(errors="replace")
    except OSError:
        return ""


def players() -> list[int]:
    """Worker processes of our own cluster that play a cell now."""
    raylets = [pid for pid in children(os.getpid()) if "/raylet/raylet" in title(pid).split("\0")[0]]
    return [pid for raylet in raylets for pid in children(raylet) if title(pid).startswith("ray::_work")]


def start(study: Path, run: Path, address: str) -> subprocess.Popen[bytes]:
    command = [
        *CLI,
        "assess",
        str(study),
        "--run",
        str(run),
        "--quiet",
        "--engine",
        "ray",
        "--address",
        address,
    ]
    command += ["--workers", str(WORKERS), "--attempts", str(ATTEMPTS)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def wait_for_players(driver: subprocess.Popen[bytes], limit_s: float = 60.0) -> list[int]:
    deadline = time.monotonic() + limit_s
    while driver.poll() is None and time.monotonic() < deadline:
        found = players()
        if found:
            return found
        time.sleep(0.05)
    return []


def disturbed(study: Path, run: Path, address: str, kills: int, rng: np.random.Generator) -> Counter[str]:
    """Kill workers and drivers in random order at random times; a driver that ended early leaves the rest of the kills."""
    done: Counter[str] = Counter()
    plan = rng.permutation(["worker", "driver"] * (kills // 2))
    driver = start(study, run, address)
    try:
        for target in plan:
            alive = wait_for_players(driver)
            time.sleep(float(rng.uniform(0.0, 4.0)))
            if driver.poll() is not None:
                break
            if target == "worker":
                alive = [pid for pid in players() if pid in alive] or players()
                if alive:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(int(rng.choice(alive)), signal.SIGKILL)
                        done["worker"] += 1
            else:
                driver.kill()
                driver.wait()
                done["driver"] += 1
                driver = start(study, run, address)
        _, errors = driver.communicate(timeout=600)
    finally:
        driver.kill()
    if driver.returncode != 0:
        raise RuntimeError(f"assess ended with {driver.returncode}:\n{errors.decode()[-2000:]}")
    return done


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=24)
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    rng = np.random.default_rng(arguments.seed)
    with tempfile.TemporaryDirectory() as name, cluster() as address:
        folder = Path(name)
        study = write_study(folder, STUDY)
        must_finish(study, folder / "whole")
        whole, watch = fingerprint(folder / "whole"), Watch()
        total, killed = Counter[str](), Counter[str]()
        aside = left = 0
        for index in range(arguments.runs):
            run = folder / f"run{index}"
            killed += disturbed(study, run, address, arguments.kills // arguments.runs, rng)
            mine = fingerprint(run)
            total += Counter(
                samples=len(mine.samples), lost=mine.lost_from(whole), doubled=mine.doubled,
                different=mine.differences(whole),
            )  # fmt: skip
            aside += sum(1 for _ in run.glob("set-aside/**/*.eval"))
            left += len(leftovers(run))
        verdicts = {verdict_of(folder / f"run{index}") for index in range(arguments.runs)}
        row = Result(
            "kill -9 on a Ray cluster", "a random worker or the driver, at random times", sum(killed.values()),
            arguments.runs,
            total["samples"], total["lost"], total["doubled"], total["different"], watch.seconds(),
            f"{killed['worker']} workers and {killed['driver']} drivers killed; verdict {', '.join(sorted(verdicts))} "
            f"(undisturbed, one process without Ray: {verdict_of(folder / 'whole')}); second beginnings of a cell set aside: "
            f"{aside}; temporary files left behind: {left}",
        )  # fmt: skip
    keep(
        "ray-kills",
        "Workers and driver of a study on a Ray cluster are killed with signal 9; the same command finishes the study.",
        [row],
        f"python benchmarks/drill_ray.py --kills {arguments.kills} --runs {arguments.runs} --seed {arguments.seed}",
    )


if __name__ == "__main__":
    main()
