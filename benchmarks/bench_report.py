"""Size and time of the report page for studies from empty to full; writes the table of docs/report.md.

Usage: python benchmarks/bench_report.py
"""

from __future__ import annotations

import math
import time
from pathlib import Path

from dangercurve.analysis.intervals import clopper_pearson
from dangercurve.analysis.report import bundle
from dangercurve.analysis.report.data import Cost, LevelRate, Point, ReportData, Scaling, Statuses
from dangercurve.analysis.report.data_panels import Behind, Cell, Sample
from dangercurve.analysis.report.page import render
from dangercurve.evals.reporting.counts import STATUSES
from dangercurve.evals.reporting.samples import MAX_CELLS, MAX_SAMPLES

SIZES = ((0, 0), (1, 1), (8, 2), (60, 12))
LEVELS, TWINS, N = 6, ("base", "surface", "rule_flip"), 40
PAGE = Path(__file__).parents[1] / "docs" / "report.md"
START, END = "<!-- sizes: benchmarks/bench_report.py -->", "<!-- end of sizes -->"


def study(n_models: int, n_families: int) -> ReportData:
    """A study of so many models over so many task families: every table as long as a real one's."""
    models = [(f"sim/smooth{i % 12}@{19 + 6 * i / max(n_models, 1):.2f}", f"sim-{i % 12}", 19 + 6 * i / max(n_models, 1))
              for i in range(n_models)]  # fmt: skip
    families = [f"family_{i}" for i in range(n_families)]
    levels, points, behind = [], [], []
    each = max(1, MAX_SAMPLES // max(len(models) * len(families) * LEVELS * len(TWINS), 1))
    room = MAX_CELLS
    for family in families:
        row = []
        for model, model_family, compute in models:
            ability = 1 / (1 + math.exp(22 - compute))
            cells = []
            for level in range(LEVELS):
                for twin in TWINS:
                    k = round(N * ability / (1 + 0.2 * level))
                    bounds = clopper_pearson(k, N)
                    levels.append(
                        LevelRate(
                            model, "SIMULATED", family, "tools", twin, level, k / N, *bounds, N, 2, 0.05
                        )
                    )
                    ids = [f"{family}-L{level}-{i}-{twin}" for i in range(each)]
                    href = "view/index.html#/logs/cell-0123456789/2026-11-22_log.eval/samples/sample/{}/1/"
                    cells.append(Cell("tools", twin, level, N, k, 2, tuple(
                        Sample(name, 1, "failed", href.format(name)) for name in ids)))  # fmt: skip
            row.append(
                Point(
                    model,
                    model_family,
                    "SIMULATED",
                    compute,
                    ability,
                    max(ability - 0.1, 0),
                    min(ability + 0.1, 1),
                    N,
                )
            )
            if room > 0:
                behind.append(
                    Behind(model, "SIMULATED", family, tuple(cells[:room]), (("2026-11-22_log.eval", href),))
                )
                room -= len(cells)
        points.append(
            Scaling(family, "success_rate", "success rate", "share of instances", "logit", tuple(row), 0.05)
        )
    return ReportData(
        "full", "0", scalings=tuple(points), levels=tuple(levels), status_names=STATUSES,
        statuses=tuple(Statuses(m, "SIMULATED", (700, 10, 0, 5, 4, 1)) for m, _, _ in models),
        costs=tuple(Cost(m, "SIMULATED", 720, 410_000, 9_000, 1.5, 900.0) for m, _, _ in models),
        log10_flop={m: c for m, _, c in models}, behind=tuple(behind),
    )  # fmt: skip


def main() -> None:
    """Print the table and write it into the page of the documentation."""
    lines = [
        "| models x families | samples | page, MB | of it the script, MB | CPU seconds |",
        "|---|---|---|---|---|",
    ]
    script = len(bundle.script().encode()) / 1e6
    for n_models, n_families in SIZES:
        data = study(n_models, n_families)
        start = time.process_time()
        size = len(render(data).encode()) / 1e6
        samples = n_models * n_families * LEVELS * len(TWINS) * N
        seconds = time.process_time() - start
        lines.append(
            f"| {n_models} x {n_families} | {samples:,} | {size:.2f} | {script:.2f} | {seconds:.1f} |"
        )
    table = "\n".join(lines)
    print(table)
    page = PAGE.read_text(encoding="utf-8")
    head, _, rest = page.partition(START)
    _, _, tail = rest.partition(END)
    PAGE.write_text(f"{head}{START}\n{table}\n{END}{tail}", encoding="utf-8")


if __name__ == "__main__":
    main()
