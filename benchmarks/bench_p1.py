"""Protocol P1 on the open benchmarks: writes `docs/forecast-p1.md`. Every run at the held-out cut is logged there.

python benchmarks/bench_p1.py --dev      # development splits only: choose here
python benchmarks/bench_p1.py            # development splits and the held-out cut, logged
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

from dangercurve.analysis.backtest import Backtest, backtest_compute
from dangercurve.analysis.scores import read_scores
from dangercurve.evals.verbs._common import table

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "forecast-p1.md"
DATA = Path(os.environ.get("DANGERCURVE_PUBLIC_DATA", ROOT.parent / "shared" / "data"))
CUT = 8.4e22
DEVELOPMENT = ((1e22, 8.4e22), (2.5e22, 8.4e22), (4e21, 2.2e22))
LOG = "## Every run at the held-out cut"


def overview(result: Backtest) -> list[dict[str, object]]:
    rows = []
    for method, s in result.summary.items():
        row: dict[str, object] = {"method": method}
        for name in ("mae", "crps", "coverage50", "coverage80", "coverage90", "width90", "interval_score90"):
            row[name] = f"{s[name]:.3f}"
        row["coverage90"] = f"{s['coverage90']:.3f} ({s['coverage90_lo']:.2f} to {s['coverage90_hi']:.2f})"
        for name, interval in result.paired.get(method, {}).items():
            row[name] = f"{interval.est:+.3f} ({interval.lo:+.3f} to {interval.hi:+.3f})"
        rows.append(row)
    return rows


def each_benchmark(result: Backtest) -> list[dict[str, object]]:
    rows = []
    ours = result.summary["dangercurve"]["by_benchmark"]
    assert isinstance(ours, dict)
    for name, s in ours.items():
        row: dict[str, object] = {"benchmark": name, "cells": s["n"]}
        row |= {k: f"{s[k]:.3f}" for k in ("mae", "coverage90", "interval_score90")}
        others = [
            v["by_benchmark"][name]["interval_score90"]  # type: ignore[index]
            for m, v in result.summary.items()
            if m != "dangercurve"
        ]
        row["best reference interval_score90"] = f"{min(others):.3f}"
        rows.append(row)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dev", action="store_true", help="development splits only; writes nothing")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    source = DATA / "capability_vs_compute.csv"
    if not source.exists():
        sys.exit(f"skipped: no {source.name}; set DANGERCURVE_PUBLIC_DATA to the folder that holds it")
    scores = read_scores(source)
    parts = []
    for cut, cap in DEVELOPMENT:
        result = backtest_compute(scores, cut, options.seed, cap_flops=cap, min_train=8)
        text = table(overview(result), markdown=True)
        parts.append(f"Train on compute up to {cut:g}, predict ({cut:g}, {cap:g}] FLOP:\n\n{text}")
        print(parts[-1], flush=True)
    if options.dev:
        return
    start, clock = time.process_time(), time.perf_counter()
    result = backtest_compute(scores, CUT, options.seed)
    cpu, wall = time.process_time() - start, time.perf_counter() - clock
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    held_out, by = table(overview(result), markdown=True), table(each_benchmark(result), markdown=True)
    print(held_out, by, f"{cpu:.1f} CPU-s, {wall:.1f} s, peak {peak:.0f} MB", sep="\n")
    page = PAGE.read_text(encoding="utf-8")
    log = page.split(LOG, 1)[1].rstrip("\n")
    s = result.summary["dangercurve"]
    lowest = min(v["coverage90"] for v in s["by_benchmark"].values())  # type: ignore[attr-defined]
    log += (
        f"\n| {dt.datetime.now(dt.UTC):%Y-%m-%d %H:%M} | {_commit()} | {s['mae']:.4f} | {s['crps']:.4f} | "
        f"{s['coverage90']:.3f} | {lowest:.2f} | {s['interval_score90']:.4f} | bench_p1, seed {options.seed} |\n"
    )
    head = page.split("<!-- tables -->", 1)[0]
    cells = len(result.cells) // len(result.summary)
    PAGE.write_text(
        f"{head}<!-- tables -->\n\n## Development splits\n\n" + "\n".join(parts) + f"\n## Held out: {cells} "
        f"cells of {len(each_benchmark(result))} benchmarks above {CUT:g} FLOP\n\n{held_out}\n"
        f"{cpu:.0f} CPU-seconds for all methods, peak memory {peak:.0f} MB.\n\n{by}\n{LOG}{log}",
        encoding="utf-8",
    )


def _commit() -> str:
    git = ["git", "-C", str(ROOT)]
    short = subprocess.run([*git, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True)
    dirty = subprocess.run(
        [*git, "status", "--porcelain", "analysis"], capture_output=True, text=True, check=True
    )
    return short.stdout.strip() + ("+" if dirty.stdout.strip() else "")


if __name__ == "__main__":
    main()
