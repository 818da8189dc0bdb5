"""Known truth through the whole pipeline: simulated scale families run in Inspect, fitted, and their crossing recovered.

For each truth and seed a study of six sizes plays `ops_horizon`; the 90 % interval of the crossing of h50 = 16 steps is
compared with the stated truth. The same studies are also drawn as observations, without Inspect, which is fast enough
for hundreds. Writes `docs/recovery.md`; each part keeps its rows in a file, so that the parts can run one by one.

    python benchmarks/bench_recovery.py --part observations --seeds 200
    python benchmarks/bench_recovery.py --part inspect --seeds 10
    python benchmarks/bench_recovery.py --part page
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import NormalDist

import numpy as np
import pandas as pd
import yaml
from scipy import stats

from dangercurve._files import write_atomic
from dangercurve.analysis.crossing import crossing, fit_shapes
from dangercurve.analysis.estimates import estimate_all
from dangercurve.analysis.points import curve_data, points_from_estimates
from dangercurve.analysis.simulated import (
    RESIDUAL_SD,
    TRUTHS,
    Truth,
    parse_simulated,
    true_crossing,
    unit,
)
from dangercurve.evals import pipeline
from dangercurve.evals.run import open_run, run_study
from dangercurve.evals.study import load_study
from dangercurve.tasks.kernel.family import oracle_steps
from dangercurve.tasks.kernel.seeds import load_salt
from dangercurve.tasks.kernel.world import Setting

ROOT = Path(__file__).resolve().parents[1]
SIZES = (20.5, 21.0, 21.5, 22.0, 22.5, 23.0)
NAMES = ("smooth", "broken", "saturating", "shifted")
LEVELS = (0, 1, 2, 3)
THRESHOLD = 16.0
CAP, DRAWS = 32.0, 1000
FAMILY = "ops_horizon"


@dataclass(frozen=True)
class Recovery:
    """One study: the truth, the interval of the crossing, and whether it holds the truth (None: not identified)."""

    truth: str
    seed: int
    crossing: float
    low: float | None
    median: float | None
    high: float | None
    status: str

    @property
    def covered(self) -> bool | None:
        """Whether the interval holds the truth; None where the crossing is not identified."""
        return None if self.status == "not_identified" else self.holds

    @property
    def holds(self) -> bool:
        low = -math.inf if self.low is None else self.low
        high = math.inf if self.high is None else self.high
        return low <= self.crossing <= high


def recover(truth: str, seed: int, n: int, levels: tuple[int, ...] = (0, 1, 2, 3)) -> Recovery:
    """Run one study in a temporary folder and forecast its crossing."""
    study = {
        "name": f"recovery-{truth.replace('_', '-')}-{seed}",
        "seed": seed,
        "models": [f"sim/{truth}-s{seed}@{size:g}" for size in SIZES],
        "tasks": ["ops_horizon"],
        "levels": list(levels),
        "interfaces": ["text"],
        "n": n,
    }
    with tempfile.TemporaryDirectory() as folder:
        path, run = Path(folder) / "study.yaml", Path(folder) / "run"
        path.write_text(yaml.safe_dump(study))
        loaded, _ = load_study(path)
        open_run(path, run, loaded)
        run_study(loaded, run, lambda _: None)
        estimates = pipeline.write_estimates(run)
    return judge(truth, seed, estimates, [str(m) for m in study["models"]])


def observed(truth: str, seed: int, n: int, levels: tuple[int, ...] = LEVELS) -> Recovery:
    """The same study drawn without Inspect: success in an instance of k oracle steps with the model's own probability."""
    rng = np.random.default_rng([seed, NAMES.index(truth)])
    salt, rows = load_salt("dev"), []
    for size in SIZES:
        name = f"{truth}-s{seed}@{size:g}"
        model = parse_simulated(name)
        for level in levels:
            for index in range(n):
                steps = oracle_steps(FAMILY, level, index, salt, Setting())
                won = float(rng.random() < model.success(steps))
                rows.append((f"sim/{name}", f"{level}-{index}", float(steps), won))
    frame = pd.DataFrame(rows, columns=["model", "instance_id", "oracle_steps", "success"])
    frame = frame.assign(family=FAMILY, status="scored", random_floor=0.0, simulated=True)
    return judge(truth, seed, estimate_all(frame), sorted(set(frame["model"])))


def judge(truth: str, seed: int, estimates: pd.DataFrame, models: list[str]) -> Recovery:
    """Forecast the crossing of a new model of the models' own family, its residual included, and set it against the truth."""
    residual = NormalDist(0.0, RESIDUAL_SD).inv_cdf(unit(f"new|{truth}|{seed}"))
    line = TRUTHS[truth].log2_h50
    at = true_crossing(Truth(truth, lambda c: line(c) + residual), THRESHOLD)
    compute = pipeline.compute_table(models)
    data = curve_data(points_from_estimates(estimates, compute, "h50_steps"))
    found = crossing(
        fit_shapes(data, n_draws=DRAWS, seed=seed),
        math.log2(THRESHOLD),
        cap=CAP,
        family=str(compute["model_family"].iloc[0]),
    )
    low, median, high = (v if math.isfinite(v := found.quantile(q)) else None for q in (0.05, 0.5, 0.95))
    return Recovery(truth, seed, at, low, median, high, found.status)


def run_part(arguments: argparse.Namespace, study: Callable[[str, int, int], Recovery]) -> None:
    """Run `seeds` studies of each truth and keep their rows."""
    rows = []
    started = time.process_time()
    for truth in NAMES:
        for seed in range(arguments.first, arguments.first + arguments.seeds):
            rows.append(study(truth, seed, arguments.n))
        print(truth, f"{time.process_time() - started:.0f} CPU-s", flush=True)
    kept = {
        "cpu": time.process_time() - started,
        "n": arguments.n,
        "version": version(),
        "rows": [asdict(r) for r in rows],
    }
    write_atomic(arguments.keep / f"recovery-{arguments.part}.json", json.dumps(kept))


def version() -> str:
    """Hash of the code that decides a crossing: what rows of another version cannot speak for."""
    names = ("latent", "crossing", "held_out", "points", "posterior", "measure")
    code = b"".join((ROOT / "analysis" / f"{name}.py").read_bytes() for name in names)
    return hashlib.sha256(code).hexdigest()[:12]


def table(rows: list[Recovery]) -> list[str]:
    """A line a truth."""
    lines = [
        "| truth | true log10 FLOP (median) | studies | covered (95 % interval of the share) | truth earlier | truth later "
        "| not identified | not within cap | median error (OOM) | median width (OOM) |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for truth in dict.fromkeys(r.truth for r in rows):
        mine = [r for r in rows if r.truth == truth]
        at = np.array([min(r.crossing, CAP) for r in mine])
        ends = [(r.low if r.low is not None else CAP, r.high if r.high is not None else CAP) for r in mine]
        inside = sum(r.holds for r in mine)
        share = stats.binomtest(inside, len(mine)).proportion_ci(0.95, method="exact")
        errors = [abs((r.median if r.median is not None else CAP) - c) for r, c in zip(mine, at, strict=True)]
        early = sum(c < low for c, (low, _) in zip(at, ends, strict=True))
        unknown = sum(r.status == "not_identified" for r in mine)
        beyond = sum(r.status == "not_within_cap" for r in mine)
        lines.append(
            f"| {truth} | {np.median(at):.2f} | {len(mine)} | {inside / len(mine):.3f} ({share.low:.3f} to {share.high:.3f}) "
            f"| {early} | {len(mine) - inside - early} | {unknown} | {beyond} | {np.median(errors):.2f} "
            f"| {np.median([b - a for a, b in ends]):.2f} |"
        )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--part", choices=["observations", "inspect", "page"], required=True)
    parser.add_argument("--seeds", type=int, default=10, help="Studies of each truth.")
    parser.add_argument("--first", type=int, default=2001, help="First seed; choices were made on others.")
    parser.add_argument("--n", type=int, default=15, help="Instances a level.")
    parser.add_argument("--keep", type=Path, default=ROOT / "build", help="Folder for the rows of each part.")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "recovery.md")
    arguments = parser.parse_args()
    arguments.keep.mkdir(parents=True, exist_ok=True)
    if arguments.part == "page":
        write_page(arguments.keep, arguments.out)
    else:
        run_part(arguments, observed if arguments.part == "observations" else recover)


def write_page(keep: Path, out: Path) -> None:
    """The page from the kept rows of both parts."""
    lines = [
        "# Recovery of a known crossing through the whole pipeline",
        "",
        "SIMULATED scale families with stated truth play `ops_horizon` (levels 0-3, 15 instances a level, six sizes from",
        f"10^20.5 to 10^23 FLOP, residual sd {RESIDUAL_SD:g} doublings a model). The question is the compute at which a",
        f"*new* model of that family, with its own residual, has h50 = {THRESHOLD:g} steps; covered means that the 90 %",
        "interval holds that truth. Intervals count whatever the status, open ends to",
        f"10^{CAP:g} FLOP. Target: 85 to 95 % in each row.",
        "",
        "An earlier version asked for a family not seen, whose prior spread between families made intervals of three to four",
        "orders of magnitude that covered every time. Asked of the family that was measured they are narrower; the",
        "broken truth then covered .62 (seeds 1 to 200, the curve alone), every miss too late, because a broken line had",
        "an eighth of the line's prior weight. It has equal weight now, for metrics without other shapes that bend; that was",
        "chosen on seeds 1,001 to 1,008, and the tables below are made on seeds that no choice has seen.",
        "",
        "Tried for the broken truth and not kept: reading the error of a horizon one standard error beyond the outermost",
        "estimates. It took coverage from .853 to .907 on seeds 1,001 to 1,150, but 150 new studies a truth (from 4,001",
        "on) covered .807 for broken, .887 smooth, .860 saturating and .907 shifted: the gain did not repeat. Less weight",
        "of the line gave .867 at most.",
        "",
        "    python benchmarks/bench_recovery.py --part observations --seeds 200",
        "    python benchmarks/bench_recovery.py --part inspect --seeds 10",
        "    python benchmarks/bench_recovery.py --part page",
    ]
    for part, title in (
        ("inspect", "Through Inspect: every step played, logged, ingested, estimated"),
        ("observations", "From observations: the same distribution, drawn without playing"),
    ):
        source = keep / f"recovery-{part}.json"
        if not source.exists():
            lines += ["", f"## {title}", "", "Not run for this version of the page."]
            continue
        kept = json.loads(source.read_text())
        rows = [Recovery(**row) for row in kept["rows"]]
        lines += ["", f"## {title}", "", *table(rows), "", f"{kept['cpu']:.0f} CPU seconds in one process."]
        if kept["version"] != version():
            lines += [
                "",
                "Made by an earlier version of the estimator than the one beside this page: run it again.",
            ]
    write_atomic(out, "\n".join([*lines, ""]))
    print("\n".join(lines))


if __name__ == "__main__":
    main()
