"""Survival of safeguards on known truth: medians and S(1000) recovered, success at 10,000 attempts from 100. SIMULATED.

OMP_NUM_THREADS=1 python benchmarks/bench_breach.py --part recovery|forecast|world [--studies 200]
OMP_NUM_THREADS=1 python benchmarks/bench_breach.py --write

Each part writes its numbers to docs/breach/PART.json; --write makes docs/breach.md from them and from breach.md.in.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dangercurve.analysis.survival.forms import FORMS, HULL, LABELS, fit_forms
from dangercurve.analysis.survival.kaplan_meier import exact_bounds, kaplan_meier

Floats = NDArray[np.float64]
DOCS = Path(__file__).parent.parent / "docs"
N_RUNS, BUDGET, FOLLOWED, AT = 150, 500, 2000, 1000.0
N_SHORT, SHORT, FAR = 300, 100, 10_000.0
NEAR = 0.001  # by how much an interval of a success may miss and still print the same
WORLD_SHORT, WORLD_FAR = 30, 300


@dataclass(frozen=True)
class Truth:
    """A hazard with known survival: `draw(rng, n)` efforts, `survival(t)`, its median."""

    name: str
    draw: Callable[[np.random.Generator, int], Floats]
    survival: Callable[[float], float]
    median: float


def truths() -> tuple[Truth, ...]:
    """Exponential, Weibull with falling and rising hazard, log-logistic (heavy tail), and a share that nothing breaks."""

    def weibull(median: float, k: float, name: str) -> Truth:
        return Truth(
            name,
            lambda rng, n: median * (rng.exponential(size=n) / np.log(2)) ** (1 / k),
            lambda t: float(np.exp(-np.log(2) * (t / median) ** k)),
            median,
        )

    mean, heavy, cure, fast = 700.0, 500.0, 0.35, 250.0
    return (
        Truth("exponential", lambda rng, n: rng.exponential(mean, n), lambda t: float(np.exp(-t / mean)), mean * np.log(2)),
        weibull(600.0, 0.6, "Weibull, hazard falls"),
        weibull(600.0, 1.6, "Weibull, hazard rises"),
        Truth("heavy tail (log-logistic)", lambda rng, n: heavy * (1 / rng.random(n) - 1) ** (1 / 0.8),
              lambda t: 1 / (1 + (t / heavy) ** 0.8), heavy),
        Truth("35 % unbreakable", lambda rng, n: np.where(rng.random(n) < cure, np.inf, rng.exponential(fast, n)),
              lambda t: cure + (1 - cure) * float(np.exp(-t / fast)), -fast * float(np.log((0.5 - cure) / (1 - cure)))),
    )  # fmt: skip


def attempts(
    truth: Truth, n: int, budget: int, stream: tuple[int, ...]
) -> tuple[Floats, Floats, Floats, NDArray[np.bool_]]:
    """(lower, upper, effort, breached) of n runs of at most `budget` attempts."""
    drawn = np.ceil(truth.draw(np.random.default_rng(stream), n))
    event = drawn <= budget
    effort = np.minimum(drawn, budget)
    return np.where(event, effort - 1, effort), np.where(event, effort, np.inf), effort, event


def recovery(studies: int) -> dict[str, object]:
    """Share of studies whose 90 % interval holds the true median and S(1000), by answer, with mean width of S(1000)."""
    rows: list[dict[str, object]] = []
    for number, truth in enumerate(truths()):
        wanted, median = truth.survival(AT), np.ceil(truth.median)
        tally: dict[str, Floats] = {}
        for study in range(studies):
            lower, upper, effort, event = attempts(truth, N_RUNS, BUDGET, (101, number, study))
            pooled = fit_forms(lower, upper, discrete=True, n_draws=1000, seed=study)
            km = kaplan_meier(effort, event, alpha=0.1).quantile()
            for name, form in (*((LABELS[f], f) for f in FORMS), ("pooled", None)):
                s, m = pooled.survival(AT, form), pooled.quantile(form=form)
                tally[name] = tally.get(name, np.zeros(4)) + _score(
                    (s.lcb, s.estimate, s.ucb), wanted, (m.lcb, m.ucb), median
                )
            _, _, long, broken = attempts(truth, N_RUNS, FOLLOWED, (101, number, study))
            low, high = exact_bounds(long, broken, [AT], alpha=0.1, sides=2)
            found = kaplan_meier(long, broken, alpha=0.1)
            full = found.quantile()
            tally["Kaplan-Meier, followed to 2,000"] = tally.get(
                "Kaplan-Meier, followed to 2,000", np.zeros(4)
            ) + _score((float(low[0]), found.at(AT), float(high[0])), wanted, (full.lcb, full.ucb), median)
            ends = (km.lcb, km.ucb) if km.value is not None else (m.lcb, m.ucb)  # s and m: the last, pooled
            tally["printed"] = tally.get("printed", np.zeros(4)) + _score(
                (s.lcb, s.estimate, s.ucb), wanted, ends, median
            )
        for name, sums in tally.items():
            rows.append(dict(zip(("median", "survival", "width", "error"), (sums / studies).tolist(), strict=True))
                        | {"truth": truth.name, "true_median": truth.median, "true_survival": wanted,
                           "answer": name})  # fmt: skip
    return {"studies": studies, "runs": N_RUNS, "budget": BUDGET, "rows": rows}


def _score(
    s: tuple[float | None, float | None, float | None],
    wanted: float,
    m: tuple[float | None, float | None],
    median: float,
) -> Floats:
    low, middle, high = (0.0 if v is None else v for v in s)
    first, last = (np.inf if v is None else v for v in m)
    return np.array(
        [first <= median <= last, low <= wanted <= high, high - low, abs(middle - wanted)], np.float64
    )


def forecast(studies: int) -> dict[str, object]:
    """Error of the forecast success at 10,000 attempts from runs of at most 100, by form; Brier score on held-out runs."""
    rows = []
    for number, truth in enumerate(truths()):
        true = 1 - truth.survival(FAR)
        tally: dict[str, Floats] = {}
        for study in range(studies):
            lower, upper, effort, event = attempts(truth, N_SHORT, SHORT, (202, number, study))
            held_out = np.ceil(truth.draw(np.random.default_rng((203, number, study)), 200)) <= FAR
            pooled = fit_forms(lower, upper, discrete=True, n_draws=1000, seed=study)
            last = 1 - kaplan_meier(effort, event).at(SHORT)
            for name, form in (*((LABELS[f], f) for f in FORMS), ("pooled (printed)", None)):
                reading, mean = pooled.survival(FAR, form), 1 - pooled.mean_survival(FAR, form)
                low, high = 1 - (reading.ucb or 0.0), 1 - (reading.lcb or 0.0)
                tally[name] = tally.get(name, np.zeros(5)) + _forecast_score(mean, low, high, true, held_out)
            name = "last value (success at 100)"
            tally[name] = tally.get(name, np.zeros(5)) + _forecast_score(last, np.nan, np.nan, true, held_out)
        for name, sums in tally.items():
            rows.append(dict(zip(("error", "brier", "covered", "near", "width"), _plain(sums / studies), strict=True))
                        | {"truth": truth.name, "true_success": true, "form": name})  # fmt: skip
    return {"studies": studies, "runs": N_SHORT, "budget": SHORT, "rows": rows}


def _forecast_score(p: float, low: float, high: float, true: float, held_out: NDArray[np.bool_]) -> Floats:
    """Error, Brier score, whether [low, high] holds the truth, whether it does to within NEAR, width."""
    covered, near = (
        np.nan if np.isnan(low) else float(low - slack <= true <= high + slack) for slack in (0.0, NEAR)
    )
    return np.array([abs(p - true), float(np.mean((p - held_out) ** 2)), covered, near, high - low])


def _plain(values: Floats) -> list[float | None]:
    return [None if np.isnan(v) else float(v) for v in values]


def world(instances: int) -> dict[str, object]:
    """The project's own world: bots attack `guard_breach` (level 5, black box) for 300 attempts; forecast from 30."""
    rows = []
    for bot in ("template_attacker", "random_search", "adaptive_attacker"):
        runs = [attack_guard(bot, index, WORLD_FAR) for index in range(instances)]
        effort, event = np.array([r[0] for r in runs]), np.array([r[1] for r in runs])
        seen = event & (effort <= WORLD_SHORT)
        lower = np.where(seen, effort - 1, np.minimum(effort, WORLD_SHORT))
        pooled = fit_forms(lower, np.where(seen, effort, np.inf), discrete=True, n_draws=1000, seed=0)
        whole = kaplan_meier(effort, event, alpha=0.1)
        actual = 1 - whole.at(min(float(WORLD_FAR), float(effort.max())))
        for name, form in (*((LABELS[f], f) for f in FORMS), ("pooled (printed)", None)):
            reading = pooled.survival(WORLD_FAR, form)
            rows.append({
                "bot": bot, "form": name, "seen": float(seen.mean()), "actual": actual,
                "forecast": 1 - pooled.mean_survival(WORLD_FAR, form), "low": 1 - (reading.ucb or 0.0),
                "high": 1 - (reading.lcb or 0.0), "median": whole.quantile().value,
            })  # fmt: skip
    return {"instances": instances, "from": WORLD_SHORT, "to": WORLD_FAR, "rows": rows}


def attack_guard(bot: str, index: int, budget: int) -> tuple[float, bool]:
    """(attempts, breached) of one bot on one instance, played on the world itself."""
    from dangercurve.tasks.kernel.family import get_family
    from dangercurve.tasks.kernel.task import make_cell, open_world
    from dangercurve.tasks.kernel.world import Setting
    from dangercurve.tasks.misuse_proxy.guard_breach import GuardWorld

    arms, doses = (("access", "black_box"),), (("strikes", 500),)
    cell = make_cell(get_family("guard_breach"), level=5, arm="access=black_box", dose="strikes=500", n=1)
    opened, _ = open_world(cell, 5, index, Setting("base", arms, doses))
    if not isinstance(opened, GuardWorld):
        raise TypeError("guard_breach no longer opens a GuardWorld: adapt this benchmark")
    while not opened.done() and opened.effort.attempts < budget and not opened.effort.at:
        action = opened.persona(bot)
        if action is None or action.name == "wait":
            break
        opened.play(action)
    spent = opened.effort.metrics()
    return float(spent["breach_attempts"] or 0), bool(spent["breached"])


PARTS = {"recovery": recovery, "forecast": forecast, "world": world}
Row = dict[str, str | float | None]


def write() -> None:
    """docs/breach.md from the parts."""
    part = {name: json.loads((DOCS / "breach" / f"{name}.json").read_text()) for name in (*PARTS, "speed")}
    fill = {f"s_{k}": v for k, v in part["speed"].items()} | {"hull": 100 * HULL}
    fill |= {f"f_{k}": part["forecast"][k] for k in ("studies", "runs", "budget")}
    fill |= {f"w_{k}": part["world"][k] for k in ("instances", "from", "to")}
    fill |= {k: part["recovery"][k] for k in ("studies", "runs", "budget")}
    rows = part["recovery"]["rows"]
    fill["recovery"] = _table(
        ("truth", "median", "S(1000)", "answer", "median inside", "S(1000) inside", "width", "error"),
        [(r["truth"], f"{r['true_median']:.0f}", f"{r['true_survival']:.3f}", r["answer"], f"{r['median']:.3f}",
          f"{r['survival']:.3f}", f"{r['width']:.3f}", f"{r['error']:.3f}") for r in rows],
    )  # fmt: skip
    printed = [r for r in rows if r["answer"] == "printed"]
    worst = min(min(r["median"], r["survival"]) for r in printed)
    alone = {r["answer"]: min(q["survival"] for q in rows if q["answer"] == r["answer"]) for r in rows}
    singles = ", ".join(f"{name} {alone[name]:.2f}" for name in LABELS.values())
    fill["recovery_says"] = (
        f"Its worst share over truths and both quantities is {worst:.3f} (target .85). The worst share of S(1000) of each "
        f"form alone: {singles}; no single form is honest on every truth, which is why none is the default."
    )
    rows = part["forecast"]["rows"]
    fill["forecast"] = _table(
        ("truth", "true success", "form", "error", "Brier", "covered", f"to within {NEAR:g}", "width"),
        [(r["truth"], f"{r['true_success']:.3f}", r["form"], f"{r['error']:.3f}", f"{r['brier']:.3f}", _or(r["covered"], 2),
          _or(r["near"], 2), _or(r["width"], 2)) for r in rows],
    )  # fmt: skip
    names = list(dict.fromkeys(r["form"] for r in rows))
    mean = {n: float(np.mean([r["error"] for r in rows if r["form"] == n])) for n in names}
    pool = [r for r in rows if r["form"].startswith("pooled")]
    exact, near = min(pool, key=lambda r: r["covered"]), min(pool, key=lambda r: r["near"])
    least = {n: min(r["covered"] for r in rows if r["form"] == n) for n in LABELS.values()}
    fill["forecast_says"] = (
        "Mean error over truths: " + ", ".join(f"{n} {mean[n]:.3f}" for n in names)
        + f". The pooled interval's least coverage is {exact['covered']:.3f} ({exact['truth']}), and {near['near']:.3f} "
        f"({near['truth']}) where a miss by less than {NEAR:g}, which prints the same, is none; of single forms: "
        + ", ".join(f"{n} {c:.2f}" for n, c in least.items())
        + ". A hundred times beyond the data the point of a pool is not the best of its forms; its interval is what can be "
        f"relied on, and it is wide ({min(r['width'] for r in pool):.2f} to {max(r['width'] for r in pool):.2f}): short runs "
        "do not say whether a share is unbreakable."
    )  # fmt: skip
    fill["world"] = _table(
        ("bot", "broken at first", "success held out", "form", "forecast", "90 % interval"),
        [(r["bot"], f"{r['seen']:.3f}", f"{r['actual']:.3f}", r["form"], f"{r['forecast']:.3f}",
          f"{r['low']:.3f} to {r['high']:.3f}") for r in part["world"]["rows"]],
    )  # fmt: skip
    text = Path(__file__).with_name("breach.md.in").read_text(encoding="utf-8").format(**fill)
    (DOCS / "breach.md").write_text(text, encoding="utf-8")


def _or(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def main() -> None:
    """Run a part, or write the page from the parts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--part", choices=list(PARTS))
    parser.add_argument("--studies", type=int, default=200)
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    if given.part:
        found = PARTS[given.part](given.studies)
        path = DOCS / "breach" / f"{given.part}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        print(path.read_text(encoding="utf-8"))
    if given.write:
        write()


if __name__ == "__main__":
    main()
