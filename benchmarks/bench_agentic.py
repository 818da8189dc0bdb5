"""The agentic families shown: bots by twin, known horizons recovered, scaffold against model, a small real model.

Run: OMP_NUM_THREADS=1 python benchmarks/bench_agentic.py PART, for each PART below, then the part `page`.
A part writes docs/agentic/PART.json, `page` writes docs/agentic.md from them. Every agentic family that is registered takes
part. Episodes run through Inspect on public instances unless a part says otherwise; `draws` plays no episode.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from inspect_ai import eval as inspect_eval

from dangercurve._files import write_atomic
from dangercurve._json import jsonable
from dangercurve.analysis.elicitation import elicitation_curve
from dangercurve.analysis.estimates import estimate_all, usable
from dangercurve.analysis.intervals import clustered_rate
from dangercurve.analysis.simulated import parse_simulated
from dangercurve.analysis.suite_horizon import suite_horizon
from dangercurve.evals.ingest import find_logs, ingest_logs
from dangercurve.evals.panels.scaffold import context_panel, scaffold_panel
from dangercurve.evals.store import read_observations
from dangercurve.evals.suite_table import horizon_rows
from dangercurve.tasks.agentic.amnesia_ops import AmnesiaWorld
from dangercurve.tasks.agentic.ops_horizon import DepotWorld
from dangercurve.tasks.kernel import task as kernel_task
from dangercurve.tasks.kernel.actions import act
from dangercurve.tasks.kernel.bots import POLICIES, Reply
from dangercurve.tasks.kernel.cases import Case, oracle, play
from dangercurve.tasks.kernel.family import family_names, get_family
from dangercurve.tasks.kernel.seeds import load_salt
from dangercurve.tasks.kernel.solver import Decision
from dangercurve.tasks.kernel.task import build_task, make_cell
from dangercurve.tasks.kernel.world import Setting

if TYPE_CHECKING:
    import pandas as pd

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "agentic"
FAMILIES = tuple(n for n in family_names() if get_family(n).domain == "agentic")
BOTS = ("oracle", "null", "random", "imitator", "greedy")
SIMULATED = [f"sim/{family}@{c}" for family in ("smooth", "shifted") for c in ("21", "22", "23", "24")]
SMALL = "local/smollm2-135m-instruct"
Table = list[dict[str, object]]


def run(
    models: Sequence[str], cells: Sequence[tuple[str, dict[str, Any]]], floors: bool = False, **config: Any
) -> pd.DataFrame:
    """Observations of `models` on cells (family, arguments of `make_cell`). Without `floors` chance rates are left out: they
    take seconds a cell and these tables do not read them."""
    kept = kernel_task.random_floor
    if not floors:
        kernel_task.random_floor = lambda *cell: 0.0  # type: ignore[assignment]
    try:
        with tempfile.TemporaryDirectory() as folder:
            inspect_eval(
                [build_task(make_cell(get_family(name), **arguments)) for name, arguments in cells],
                model=list(models), display="none", log_dir=str(Path(folder) / "logs"), log_realtime=False,
                score_display=False, fail_on_error=False, log_level="error", max_tasks=1, **config,
            )  # fmt: skip
            found = ingest_logs(find_logs([Path(folder) / "logs"]), Path(folder), "bench")
            if found.refused:
                raise SystemExit(f"logs refused: {found.refused[:3]}")
            return read_observations(Path(folder))
    finally:
        kernel_task.random_floor = kept


def rate(rows: pd.DataFrame, column: str = "success") -> dict[str, object]:
    """Mean over instances with a two-sided 95 % interval."""
    keep = usable(rows, column)
    values = rows.loc[keep, column].to_numpy(np.float64)
    found = clustered_rate(values, rows.loc[keep, "instance_id"].to_numpy(), 0.05, 2)
    return {
        "rate": found.estimate,
        "lo": found.lcb,
        "hi": found.ucb,
        "n": found.n_instances,
        "missing": int((~keep).sum()),
    }


# --- parts ------------------------------------------------------------------------------------------------------


def bots(name: str) -> object:
    """One family: bots x twins, levels 1 to 3, tools, kappa 2."""
    twins = ",".join(get_family(name).all_twins())
    frame = run([f"bot/{b}" for b in BOTS], [(name, {"level": "1-3", "twin": twins, "n": 5})])
    return [
        {"family": name, "bot": str(model).removeprefix("bot/"), "twin": twin, **rate(part)}
        for (model, twin), part in frame.groupby(["model", "twin"], sort=False)
    ]


def length() -> object:
    """Drawing at level 6, and the oracle at the level whose jobs have about 4,096 steps, on the worlds directly."""
    rows: Table = []
    for name in FAMILIES:
        family = get_family(name)
        level = next(k for k in range(8, 16) if _steps(name, k) >= 3500)
        case = Case(family, level, 0, Setting())
        drawn = []
        for index in range(5):
            start = time.process_time()
            family.generate(family.instance(6, 100 + index, load_salt("dev")), Setting())
            drawn.append(time.process_time() - start)
        world = case.world()
        start = time.process_time()
        world = play(world, oracle, 4 * _steps(name, level))
        seconds = time.process_time() - start
        rows.append(
            {"family": name, "draw at level 6, ms": 1000 * sorted(drawn)[2], "level": level,
             "oracle steps": len(world.journal), "oracle": float(world.success()), "oracle s": seconds}
        )  # fmt: skip
    return rows


def _steps(name: str, level: int) -> int:
    family = get_family(name)
    return sum(
        family.oracle_cost(family.generate(family.instance(level, 0, load_salt("dev")), Setting())).values()
    )


def draws(studies: int = 60) -> object:
    """Coverage of the suite's horizon on SIMULATED draws: h50 and h80, two shapes, spreads, numbers of families."""
    rows: Table = []
    for shape in ("constant hazard", "logistic"):
        for families in (3, 5):
            for tau in (0.0, 0.5, 1.0):
                rng = np.random.default_rng(np.random.SeedSequence([8, families, int(10 * tau), len(shape)]))
                hit = {0.5: 0, 0.8: 0}
                miss: list[float] = []
                width: list[float] = []
                for _ in range(studies):
                    mu = rng.uniform(1.5, 5.0)
                    x, y, ids, names = _draw(shape, mu, tau, families, rng)
                    for level in hit:
                        found = suite_horizon(x, y, ids, names, level=level, sides=2)
                        truth = mu + _offset(shape, level)
                        hit[level] += bool(found.lcb <= truth <= found.ucb)
                        if level == 0.5:
                            miss.append(found.estimate - truth)
                            width.append(found.ucb - found.lcb)
                rows.append(
                    {"shape": shape, "families": families, "spread of families (log2)": tau, "studies": studies,
                     "h50 covered": hit[0.5] / studies, "h80 covered": hit[0.8] / studies,
                     "mean error (log2)": float(np.mean(miss)), "median width (log2)": float(np.median(width))}
                )  # fmt: skip
    return rows


def _draw(
    shape: str, mu: float, tau: float, families: int, rng: np.random.Generator
) -> tuple[list[float], list[float], list[str], list[str]]:
    x: list[float] = []
    y: list[float] = []
    ids: list[str] = []
    names: list[str] = []
    for f in range(families):
        h = mu + tau * rng.standard_normal()
        for level in range(8):
            p = 2.0 ** -(2.0 ** (level - h)) if shape == "constant hazard" else 1 / (1 + np.exp(level - h))
            for i in range(10):
                x.append(float(level))
                y.append(float(rng.random() < p))
                ids.append(f"{f}-{level}-{i}")
                names.append(f"f{f}")
    return x, y, ids, names


def _offset(shape: str, level: float) -> float:
    """log2 h(level) - log2 h50 of the truth."""
    return float(np.log2(-np.log2(level)) if shape == "constant hazard" else -np.log(level / (1 - level)))


def simulated() -> object:
    """SIMULATED models of known horizon through Inspect: suite and families; and how the families' scores go together."""
    cells = [(name, {"level": "0-5", "n": 4, "kappa": 1.0}) for name in FAMILIES]
    frame = run(SIMULATED, cells)
    rows: Table = []
    for row in horizon_rows(frame):
        truth = 2.0 ** parse_simulated(row.model.removeprefix("sim/")).log2_h50()
        keys = ("model", "scope", "h50", "h50_lo", "h50_hi", "h80", "h80_lo", "h80_hi", "ceiling", "floor", "lower_bound",
                "minutes50", "minutes50_lo", "minutes50_hi", "n_families", "n_instances", "minutes_sensitivity")  # fmt: skip
        rows.append({"truth": truth, **{k: getattr(row, k) for k in keys}})
    scores = frame.groupby(["model", "family"])["success"].mean().unstack()
    return {
        "horizons": rows,
        "correlations": correlations(scores.to_numpy(np.float64), list(scores.columns), len(scores)),
    }


def correlations(table: np.ndarray, names: list[str], models: int, n_boot: int = 2000) -> Table:
    """Spearman correlation of each pair of families over models, 95 % interval by resampling models."""
    from scipy import stats

    rng = np.random.default_rng(8)
    rows: Table = []
    for i, a in enumerate(names):
        for j in range(i + 1, len(names)):
            seen = []
            for _ in range(n_boot):
                pick = rng.integers(0, models, models)
                if np.ptp(table[pick, i]) > 0 and np.ptp(table[pick, j]) > 0:
                    seen.append(float(stats.spearmanr(table[pick, i], table[pick, j]).statistic))
            lo, hi = np.quantile(seen, [0.025, 0.975])
            value = float(stats.spearmanr(table[:, i], table[:, j]).statistic)
            rows.append(
                {"families": f"{a}, {names[j]}", "correlation": value, "lo": lo, "hi": hi, "models": models}
            )
    return rows


def scaffold() -> object:
    """Bots and SIMULATED models in the bare loop and with the planner."""
    both: list[pd.DataFrame] = []
    rows: Table = []
    for name in FAMILIES:
        cells = [(name, {"level": "2-3", "n": 3, "scaffold": s}) for s in ("kernel", "planner")]
        frame = run([f"bot/{b}" for b in ("oracle", "null", "random")], cells)
        for (model, kind), part in frame.groupby(["model", "scaffold"]):
            rows.append(
                {"family": name, "bot": str(model).removeprefix("bot/"), "scaffold": kind, **rate(part)}
            )
    for name in FAMILIES[:2]:
        cells = [(name, {"level": "3", "n": 30, "kappa": 1.0, "scaffold": s}) for s in ("kernel", "planner")]
        both.append(run(["sim/scaffolded@23", "sim/smooth@23"], cells))
    import pandas as pd

    panels = scaffold_panel(pd.concat(both, ignore_index=True))
    truth = parse_simulated("scaffolded@23")
    return {"bots": rows, "panels": panels, "gain at 8 steps": truth.success(8, -1 / 1.6) - truth.success(8)}


def slow_policy(waits: int) -> Callable[[Decision, random.Random], Reply]:
    """Fails three instances in ten whatever the budget, and on the others plays the oracle but waits before each step with
    probability waits / (waits + 1): it needs kappa of about waits + 1."""

    def policy(decision: Decision, rng: random.Random) -> Reply:
        return (
            Reply(act("wait"))
            if rng.random() < waits / (waits + 1)
            else POLICIES["honest_weak"](decision, rng)
        )

    return policy


def forgetful(decision: Decision, rng: random.Random) -> Reply:
    """The oracle without notes: a tag that was told before the last wipe is lost to it."""
    world = decision.episode.world
    action = world.oracle()
    if not isinstance(world, AmnesiaWorld):
        return Reply(action)
    action = DepotWorld.oracle(world)
    if action.name == "process" and action["tag"] != "none":
        known = any(str(action["tag"]) in e.result for e in world.journal.entries[world.forgotten() :])
        if not known:
            return Reply(act("process", ticket=action["ticket"], bay=action["bay"], tag="lost"))
    return Reply(action)


def effort() -> object:
    """kappa: two slow participants and their plateau test."""
    POLICIES.update({"slow": slow_policy(1), "slower": slow_policy(5)})
    sweep: Table = []
    curves: Table = []
    kappas = (1.0, 2.0, 4.0, 8.0)
    frame = run(
        ["bot/slow", "bot/slower"], [("ops_horizon", {"level": "2", "n": 60, "kappa": k}) for k in kappas]
    )
    for model, rows in frame.groupby("model"):
        points = [rate(rows[rows["kappa"] == k]) for k in kappas]
        sweep += [{"participant": model, "kappa": k, **p} for k, p in zip(kappas, points, strict=True)]
        shrunk = [min(max(float(str(p["rate"])), 0.5 / 60), 1 - 0.5 / 60) for p in points]
        se = [1 / np.sqrt(60 * p * (1 - p)) for p in shrunk]
        fitted = elicitation_curve(kappas, [float(np.log(p / (1 - p))) for p in shrunk], se, tolerance=0.75)
        curves.append({"participant": model, "plateau": fitted.plateau, "slope of the last doubling (logit)": fitted.slope,
                       "lcb": fitted.slope_lcb, "ucb": fitted.slope_ucb})  # fmt: skip
    return {"sweep": sweep, "curves": curves}


def context() -> object:
    """The same job with and without notes, by the steps between two wipes of the memory."""
    POLICIES["forgetful"] = forgetful
    arguments = {"level": "4", "n": 20, "kappa": 2.0, "dose": "every=4|8|16|40"}
    frame = run(["bot/oracle", "bot/forgetful"], [("amnesia_ops", arguments)])
    rows: Table = []
    for (model, every), part in frame.groupby(["model", "dose_every"]):
        rows.append({"participant": model, "steps between wipes": every, **rate(part, "outcome")})
    return {"rows": rows, "slopes": context_panel(frame)}


def goal() -> object:
    """The four rates of goal_persistence for bots whose persistence is known, level 1, tools."""
    from dangercurve.tasks.deception.goal_persistence import AIM_ARMS, EVENTS

    arm = "aim=" + "|".join(a for a in AIM_ARMS if a != "none")
    frame = run(
        [f"bot/{b}" for b in ("goal_keeper", "honest", "goal_drifter", "null")],
        [("goal_persistence", {"level": 1, "n": 8, "arm": arm})],
    )
    table = estimate_all(frame)
    keep = table[table["metric"].isin(EVENTS.values())]
    return keep[["model", "metric", "estimate", "lcb", "ucb", "n_instances", "n_opportunity"]].to_dict(
        "records"
    )


def small() -> object:
    """SmolLM2-135M-Instruct on every family: forced choice by log-probability, 20 instances of level 0 and 4 of level 1,
    kappa 2, with chance rates."""
    forced = {"interface": "choice", "choice_by": "logprob"}
    cells = [
        (name, {"level": level, "n": n, **forced}) for name in FAMILIES for level, n in ((0, 20), (1, 4))
    ]
    start = time.monotonic()
    frame = run([SMALL], cells, floors=True, max_connections=1, max_samples=1)
    rows: Table = []
    parts = [(key, part) for key, part in frame.groupby(["family", "level"])]
    parts += [(("all", level), part) for level, part in frame.groupby("level")]
    for (name, level), part in parts:
        floor = float(part["random_floor"].mean())
        rows.append({"family": name, "level": level, **rate(part), "chance": floor, "outcome": rate(part, "outcome")["rate"],
                     "statuses": dict(part["status"].value_counts())})  # fmt: skip
    horizon = [
        {
            k: getattr(r, k)
            for k in ("scope", "h50", "h50_lo", "h50_hi", "floor", "ceiling", "n_families", "n_instances")
        }
        for r in horizon_rows(frame)
    ]
    return {"rows": rows, "horizon": horizon, "seconds": time.monotonic() - start}


PARTS: dict[str, Callable[[], object]] = {
    **{f"bots-{name}": partial(bots, name) for name in FAMILIES}, "length": length, "draws": draws,
    "simulated": simulated, "scaffold": scaffold, "effort": effort, "context": context, "goal": goal, "small": small,
}  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=[*PARTS, "page"])
    chosen = parser.parse_args().part
    if chosen == "page":
        from agentic_page import write_page

        return write_page(FOLDER)
    start = time.process_time()
    found = PARTS[chosen]()
    spent = time.process_time() - start
    data = {"part": chosen, "families": FAMILIES, "cpu_s": round(spent), "found": found}
    write_atomic(FOLDER / f"{chosen}.json", json.dumps(jsonable(data), indent=1) + "\n")
    print(f"{chosen}: {spent:.0f} CPU seconds")
    return 0


if __name__ == "__main__":
    sys.exit(main())
