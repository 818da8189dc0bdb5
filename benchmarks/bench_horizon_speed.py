"""CPU time and peak memory of `dangercurve horizon`, whole process, on SIMULATED runs of the stated size.

Run: OMP_NUM_THREADS=1 python benchmarks/bench_horizon_speed.py [--write docs/speed-horizon.md]
Work: 21 models x 228 tasks in 76 task families, 6 runs a task (28,728 runs); 1,000 replicates; p50 and p80.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv

from dangercurve._files import write_atomic

MODELS, TASKS, FAMILIES, RUNS = 21, 228, 76, 6


def simulated_runs(seed: int = 0) -> pa.Table:
    """SIMULATED runs: success is logistic in log2 minutes, with a task effect, horizons from seconds to hours."""
    rng = np.random.default_rng(seed)
    family = rng.permutation(np.arange(TASKS) % FAMILIES)
    log2_minutes = rng.uniform(-4, 10, TASKS)
    effect = rng.normal(0, 1.0, TASKS)
    horizon = np.linspace(-3, 8, MODELS)
    rate = 1 / (1 + np.exp(0.6 * (log2_minutes - horizon[:, None]) - effect))
    model, task, run = np.indices((MODELS, TASKS, RUNS)).reshape(3, -1)
    return pa.table(
        {
            "model": [f"model-{i:02d}" for i in model],
            "task_id": [f"task-{i:03d}" for i in task],
            "task_family": [f"family-{family[i]:02d}" for i in task],
            "human_minutes": 2.0 ** log2_minutes[task],
            "score": (rng.random(len(model)) < rate[model, task]).astype(float),
            "run_id": [f"{m}-{t}-{r}" for m, t, r in zip(model, task, run, strict=True)],
        }
    )


def cpu_and_memory(command: list[str]) -> tuple[float, float]:
    """CPU seconds and peak resident megabytes of one child process on one core."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(command)} failed with status {status}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--write", type=Path)
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        path, out = Path(folder) / "runs.csv", Path(folder) / "out.json"
        pyarrow.csv.write_csv(simulated_runs(), path)
        for replicates in (0, 1000):
            command = [
                sys.executable,
                "-m",
                "dangercurve.evals.cli",
                "horizon",
                str(path),
                "--format",
                "json",
            ]
            command += ["--bootstrap", str(replicates), "-o", str(out)]
            spent = [cpu_and_memory(command) for _ in range(options.repeats)]
            finite = sum(row["p50"] is not None for row in json.loads(out.read_text()))
            rows.append((replicates, np.median([s[0] for s in spent]), max(s[1] for s in spent), finite))
    lines = [
        "# Speed of the joint hierarchical bootstrap",
        "",
        f"`OMP_NUM_THREADS=1 python benchmarks/bench_horizon_speed.py --repeats {options.repeats}` writes this page: "
        f"`dangercurve horizon` on a CSV of {MODELS * TASKS * RUNS:,} SIMULATED runs ({MODELS} models, {TASKS} tasks, "
        f"{FAMILIES} task families), p50 and p80 with 95 % intervals. CPU seconds of the whole process (interpreter, "
        "imports, reading, fitting, writing), median of the repeats; the target is 1.5.",
        "",
        "| bootstrap replicates | CPU-s, whole process | peak memory, MB | models with a finite p50 |",
        "|---|---|---|---|",
        *(f"| {n:,} | {cpu:.2f} | {memory:.0f} | {finite} of {MODELS} |" for n, cpu, memory, finite in rows),
        "",
        f"Python {sys.version.split()[0]}, NumPy {np.__version__}, one core of {os.cpu_count()}.",
        "",
    ]
    text = "\n".join(lines)
    print(text)
    if options.write:
        write_atomic(options.write, text)


if __name__ == "__main__":
    main()
