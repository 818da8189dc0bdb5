"""Harness cost: samples a CPU-second of a kernel family through `dangercurve run`, against a bare Inspect task.

Both are whole processes with the same number of samples and model calls and the same kind of offline provider. The
bare task runs under Inspect's defaults. Writes `docs/harness-cost.md`.

    python benchmarks/bench_harness.py [--samples 2000 20000]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from dangercurve._files import write_atomic

ROOT = Path(__file__).resolve().parents[1]
CALLS = 2
BARE = """
import sys
from inspect_ai import Task, eval
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import ModelOutput, ModelUsage, get_model
from inspect_ai.scorer import match
from inspect_ai.solver import Generate, Solver, TaskState, solver

@solver
def turns(calls: int) -> Solver:
    async def solve(state: TaskState, generate: Generate) -> TaskState:
        for _ in range(calls):
            state = await generate(state)
        return state
    return solve

def answer(input, tools, tool_choice, config):
    output = ModelOutput.from_content("mockllm/model", "ACT wait")
    output.usage = ModelUsage(input_tokens=100, output_tokens=3, total_tokens=103)
    return output

n, calls, logs = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
data = MemoryDataset([Sample(id=f"s{i}", input="Process the ticket. " * 20, target="ACT wait") for i in range(n)])
log, = eval(Task(dataset=data, solver=turns(calls), scorer=match()), model=get_model("mockllm/model", custom_outputs=answer),
            log_dir=logs, display="none")
assert log.status == "success" and log.results.completed_samples == n
"""
STUDY = """
name: harness
models: [bot/oracle]
tasks: [ops_horizon]
levels: [1]
interfaces: [text]
n: {n}
"""
TARGETS = {2000: 1.0, 20000: 1.5}
REST = """
What is left is nearly all Inspect's own cost of a sample, and ours has more of it than the bare one: two scorers
against one (each is two span events, a score event and a score in the sample), a system prompt and the world's answers in
the conversation, the episode record in the store. World, journal and bot are a few hundredths of it
(`python -m cProfile -m dangercurve.evals.cli run ...`). Start-up and ingest are a few fixed seconds. A busy machine moves
both columns: compare within a row.
"""


def start(command: list[str], core: int | None) -> subprocess.Popen[bytes]:
    """Start a whole process, on one core where one is named."""
    pin = ["taskset", "-c", str(core)] if core is not None else []
    return subprocess.Popen([*pin, *command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def wait(process: subprocess.Popen[bytes], started: float) -> tuple[float, float]:
    """CPU seconds (user plus system) and wall seconds of a process. Raises RuntimeError where it failed."""
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise RuntimeError(f"{process.args!r} ended with status {status}")
    return usage.ru_utime + usage.ru_stime, time.monotonic() - started


def measure(n: int, together: bool) -> dict[str, float]:
    """Both processes one after the other, or at the same time on a core each."""
    with tempfile.TemporaryDirectory() as folder:
        study = Path(folder) / "study.yaml"
        study.write_text(STUDY.format(n=n))
        theirs = [sys.executable, "-c", BARE, str(n), str(CALLS), str(Path(folder) / "bare")]
        mine = [
            sys.executable,
            "-m",
            "dangercurve.evals.cli",
            "run",
            str(study),
            "--run",
            str(Path(folder) / "run"),
        ]
        started = time.monotonic()
        first = start(theirs, 0 if together else None)
        if together:
            second = start(mine, 1)
            ours, ours_wall = wait(second, started)
            bare, bare_wall = wait(first, started)
        else:
            bare, bare_wall = wait(first, started)
            started = time.monotonic()
            ours, ours_wall = wait(start(mine, None), started)
    return {"n": n, "bare_cpu": bare, "ours_cpu": ours, "bare_wall": bare_wall, "ours_wall": ours_wall}


def of_engines() -> dict[str, float]:
    """The row of the scale page: the same two commands, as `bench_scale.py --part engines` last measured them."""
    data = json.loads((ROOT / "docs" / "scale" / "engines.json").read_text("utf-8"))
    n = int(str(data["title"]).split(" ", 1)[0].replace(",", ""))
    bare, ours = data["rows"][0], data["rows"][1]
    return {
        "n": n,
        "bare_cpu": float(bare[1]),
        "ours_cpu": float(ours[1]),
        "bare_wall": float(bare[2]),
        "ours_wall": float(ours[2]),
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--engines", action="store_true", help="Add the row of docs/scale.md.")
    parser.add_argument("--samples", type=int, nargs="+", default=[2000, 20000])
    parser.add_argument("--together", action="store_true", help="Both at the same time, on a core each.")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "harness-cost.md")
    arguments = parser.parse_args()
    rows = [measure(n, arguments.together) for n in arguments.samples]
    if arguments.engines:
        rows.append(of_engines())
    text = page(rows, arguments.together, arguments.engines)
    write_atomic(arguments.out, text)
    print(text, end="")


def page(rows: list[dict[str, float]], together: bool, engines: bool = False) -> str:
    """The page of `docs/` that states the rows of one run, the last one perhaps that of the scale page."""
    sizes = " ".join(f"{r['n']:.0f}" for r in (rows[:-1] if engines else rows))
    options = f"{' --together' if together else ''}{' --engines' if engines else ''}"
    lines = [
        "# Harness cost",
        "",
        "Whole processes side by side: `dangercurve run` on `ops_horizon` (level 1, text interface, `bot/oracle`,",
        f"{CALLS} model calls a sample) against a bare Inspect task with as many samples and model calls under Inspect's",
        "defaults. Both include start-up and writing the log; ours also ingests it into the store.",
        "",
        f"    python benchmarks/bench_harness.py --samples {sizes}{options}",
        "",
        *(
            [
                f"The row of {rows[-1]['n']:.0f} is that of [scale](scale.md), with its spread over runs.",
                "",
            ]
            if engines
            else []
        ),
        "| samples | bare CPU s | ours CPU s | samples a CPU-second, ours / bare | target | bare wall s | ours wall s |",
        "|---|---|---|---|---|---|---|",
    ]
    for r in rows:
        ratio = r["bare_cpu"] / r["ours_cpu"]
        target = TARGETS.get(int(r["n"]))
        verdict = "" if target is None else f"{target} {'met' if ratio >= target else '**missed**'}"
        lines.append(
            f"| {r['n']:.0f} | {r['bare_cpu']:.1f} | {r['ours_cpu']:.1f} | {ratio:.2f} | {verdict} | {r['bare_wall']:.1f} "
            f"| {r['ours_wall']:.1f} |"
        )
    lines += [
        "",
        f"Measured on {os.cpu_count()} cores shared with other work; CPU seconds are user plus system.",
    ]
    return "\n".join(lines) + "\n" + REST


if __name__ == "__main__":
    main()
