"""The reference ladder measured: played through Inspect, its largest members forecast before they are played, its losses.

    python benchmarks/bench_ladder.py PART        small, forecast, large, law, then page

`small` plays all members but the two largest of the line; `forecast` predicts those two on every task, interface and rung
and keeps the predictions in a ledger; `large` plays them and scores it. `law` fits losses of trainings. Results are in
docs/ladder/, the page in docs/ladder.md. To train: `python -m dangercurve.evals.ladder.training NAME ... --work DIR`.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from bench_scale import run_command

from dangercurve._files import write_atomic
from dangercurve.analysis.intervals import clopper_pearson, clustered_rate
from dangercurve.analysis.law import fit_law, optimum
from dangercurve.analysis.ledger import Ledger, predict_model
from dangercurve.analysis.points import Points, points_from_scores
from dangercurve.analysis.scores import validate_scores
from dangercurve.analysis.scoring import interval_score
from dangercurve.evals.ladder.recipe import load_recipe
from dangercurve.evals.ladder.shipping import Trained, read_all
from dangercurve.evals.store import read_observations

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "ladder"
PAGE, TEXT = FOLDER.with_suffix(".md"), Path(__file__).with_name("ladder.md.in")
LEDGER, SCORES = FOLDER / "ledger.jsonl", FOLDER / "scores.csv"
HELD_OUT = ("amnesia_ops", "intrusion_path", "covert_side_task", "stop_and_handover")
"""Families of which no member has seen an episode."""
STUDY = """
name: ladder
models: [{models}]
tasks: [{tasks}]
levels: [{levels}]
interfaces: [{interface}]
n: {n}
sampling: {{temperature: 0}}
"""
LEVELS = {"text": (0, 1, 2), "choice": (0, 1)}
N = 16
AS_OF = "2026-11-22"
SEED = 0
ALPHA = 0.1


def tasks(interface: str) -> list[str]:
    """The families that the course shows in this interface, in its order, and families that it never shows."""
    lessons = load_recipe().courses["base"].lessons
    seen = list(dict.fromkeys(x.family for x in lessons if x.interface == interface))
    return [*seen, *(HELD_OUT if interface == "text" else HELD_OUT[:1])]


def line() -> list[Trained]:
    return [t for t in read_all() if t.role == "line"]


def largest() -> list[str]:
    """The two members of the line that are forecast."""
    return [t.name for t in line()[-2:]]


def play(names: Sequence[str]) -> pd.DataFrame:
    """Success, outcome and statuses of members on every task, interface and rung: one row a model and condition."""
    frames = []
    with tempfile.TemporaryDirectory() as folder:
        for interface, levels in LEVELS.items():
            study, run = Path(folder) / f"{interface}.yaml", Path(folder) / interface
            study.write_text(
                STUDY.format(
                    models=", ".join(f"ladder/{n}" for n in names),
                    tasks=", ".join(tasks(interface)),
                    levels=", ".join(map(str, levels)),
                    interface=interface,
                    n=N,
                )
            )
            subprocess.run(run_command(study, run), check=True, stdout=subprocess.DEVNULL)
            frames.append(read_observations(run))
    rows = []
    data = pd.concat(frames, ignore_index=True)
    for (model, family, way, level), group in data.groupby(["model", "family", "interface", "level"]):
        scored = group[group["status"] == "scored"]
        rate = clustered_rate(scored["success"], scored["instance_id"].tolist(), ALPHA, 2)
        rows.append(
            {
                "model": model,
                "family": family,
                "interface": way,
                "level": int(str(level)),
                "success": rate.estimate,
                "low": rate.lcb,
                "high": rate.ucb,
                "outcome": float(scored["outcome"].mean()) if len(scored) else float("nan"),
                "n": rate.n_instances,
                "not_scored": len(group) - len(scored),
                "floor": float(group["random_floor"].iloc[0]),
            }
        )
    return pd.DataFrame(rows)


def keep(part: str, value: object) -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    write_atomic(FOLDER / f"{part}.json", json.dumps(value, indent=1, allow_nan=False) + "\n")


def load(part: str) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = json.loads((FOLDER / f"{part}.json").read_text("utf-8"))
    return rows


def records(frame: pd.DataFrame) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = json.loads(frame.to_json(orient="records", double_precision=6))
    return rows


def small() -> None:
    """Play all but the two largest; a member that was played before keeps its rows."""
    rows = load("small") if (FOLDER / "small.json").exists() else []
    seen = {r["model"] for r in rows}
    names = [t.name for t in read_all() if t.role != "planted" and t.name not in largest()]
    wanted = [n for n in names if f"ladder/{n}" not in seen]
    if wanted:
        keep("small", [*rows, *records(play(wanted))])


def table(parts: Sequence[str]) -> pd.DataFrame:
    """A score table (DESIGN section 5): one benchmark a task, interface and rung; only rates of at least half of N."""
    by_name = {f"ladder/{t.name}": t for t in read_all()}
    rows = [r for part in parts for r in load(part)]
    frame = pd.DataFrame(rows)
    frame = frame[frame["n"] >= N / 2]
    return pd.DataFrame(
        {
            "model": frame["model"],
            "model_family": "dangercurve ladder",
            "N": [by_name[m].params for m in frame["model"]],
            "D": [by_name[m].tokens for m in frame["model"]],
            "flops": [by_name[m].flop_counted for m in frame["model"]],
            "benchmark": [
                f"{f}/{i}/{v}"
                for f, i, v in zip(frame["family"], frame["interface"], frame["level"], strict=True)
            ],
            "score": frame["success"],
            "n_items": frame["n"],
        }
    )


def points(frame: pd.DataFrame) -> Iterator[Points]:
    """The points of each benchmark that at least four members of the line have."""
    names = {f"ladder/{t.name}" for t in line()}
    checked = validate_scores(frame[frame["model"].isin(names)])
    for name in sorted(checked.frame["benchmark"].unique()):
        found = points_from_scores(checked, name)
        if len(found.frame) >= 4:
            yield found


def forecast() -> None:
    """Predict the two largest on every benchmark, before they are played."""
    if LEDGER.exists():
        raise SystemExit(
            f"{LEDGER.name} exists: a prediction is made once; remove it where the ladder was trained anew"
        )
    FOLDER.mkdir(parents=True, exist_ok=True)
    book = Ledger.open(LEDGER)
    for found in points(table(["small"])):
        for one in line()[-2:]:
            book.add_prediction(
                predict_model(
                    found,
                    f"ladder/{one.name}",
                    one.flop_counted,
                    as_of=AS_OF,
                    model_family="dangercurve ladder",
                    seed=SEED,
                ),
                found,
            )
    print(f"{len(book.lines)} predictions, head {book.head[:12]}")


def large() -> None:
    """Play the two largest, write the score table of all, score the ledger."""
    keep("large", records(play(largest())))
    whole = table(["small", "large"])
    write_atomic(SCORES, whole.to_csv(index=False, float_format="%.6g"))
    book = Ledger.open(LEDGER)
    names = {f"ladder/{n}" for n in largest()}
    checked = validate_scores(whole[whole["model"].isin(names)])
    scored = sum(
        book.score(points_from_scores(checked, name), as_of=AS_OF)
        for name in sorted(checked.frame["benchmark"].unique())
    )
    print(f"{scored} predictions scored, head {book.head[:12]}")


def law() -> None:
    """L(N, D) over all fresh trainings, for the loss of answers and of what is shown."""
    fresh = [t for t in read_all() if t.role != "planted"]
    n, d = [t.params for t in fresh], [t.tokens for t in fresh]
    out = []
    for what in ("loss_answer", "loss_shown"):
        y = np.array([getattr(t, what) for t in fresh])
        fit = fit_law(n, d, y, n_boot=400, seed=SEED)
        low, high = np.quantile(fit.draws, [0.05, 0.95], axis=0) if len(fit.draws) else (None, None)
        residual = np.log(y) - np.log([float(fit.loss(a, b)) for a, b in zip(n, d, strict=True)])
        best = optimum(fit, 1e14) if min(fit.a, fit.b, fit.A, fit.B) > 0 else None
        out.append(
            {
                "loss": what.removeprefix("loss_"),
                "n": len(fresh),
                "E": fit.E,
                "a": fit.a,
                "b": fit.b,
                "a_low": None if low is None else float(low[3]),
                "a_high": None if high is None else float(high[3]),
                "b_low": None if low is None else float(low[4]),
                "b_high": None if high is None else float(high[4]),
                "rms_log_residual": float(np.sqrt(np.mean(residual**2))),
                "tokens_per_param_at_1e14": None if best is None else best.tokens_per_param,
            }
        )
    keep("law", out)


# --- the page ----------------------------------------------------------------------------------------------------


def markdown(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    return "\n".join([*lines, *("| " + " | ".join(map(str, row)) + " |" for row in rows)])


def members_table() -> str:
    rows = [
        (
            f"`ladder/{t.name}`",
            t.role,
            f"{t.params:,}",
            f"{t.tokens:,}",
            f"{t.tokens / t.params:.1f}",
            f"{t.flop_counted:.3g}",
            f"{t.flop_6nd:.3g}",
            f"{t.loss_answer:.3f}",
            f"{t.loss_shown:.3f}",
            f"{t.seconds:.0f}",
        )
        for t in read_all()
    ]
    return markdown(
        ("member", "role", "N", "D", "D/N", "FLOP counted", "6ND", "answers, nats", "shown, nats", "s"), rows
    )


def law_table() -> str:
    def span(row: dict[str, object], key: str) -> str:
        if row[f"{key}_low"] is None:
            return f"{row[key]:.3f}"
        return f"{row[key]:.3f} ({row[f'{key}_low']:.3f} to {row[f'{key}_high']:.3f})"

    rows = [
        (
            r["loss"],
            r["n"],
            f"{r['E']:.3f}",
            span(r, "a"),
            span(r, "b"),
            f"{r['rms_log_residual']:.3f}",
            "none" if r["tokens_per_param_at_1e14"] is None else f"{r['tokens_per_param_at_1e14']:.1f}",
        )
        for r in load("law")
    ]
    columns = (
        "loss of",
        "trainings",
        "E",
        "exponent of N",
        "exponent of D",
        "rms of log residual",
        "best D/N at 1e14 FLOP",
    )
    return markdown(columns, rows)


def capability(interface: str) -> str:
    """Success of the line's members by task and rung, with the floor of a random legal player."""
    frame = pd.DataFrame([*load("small"), *load("large")])
    frame = frame[frame["interface"] == interface]
    members = [f"ladder/{t.name}" for t in line()]
    rows = []
    for (family, level), group in frame.groupby(["family", "level"], sort=True):
        at = group.set_index("model")
        cells = [cell(at, m) for m in members]
        mark = " (never seen)" if family in HELD_OUT else ""
        rows.append((f"`{family}`{mark}", level, f"{group['floor'].iloc[0]:.2f}", *cells))
    return markdown(("task", "rung", "random", *(m.removeprefix("ladder/") for m in members)), rows)


def cell(at: pd.DataFrame, model: str) -> str:
    if model not in at.index or not at.loc[model, "n"]:
        return "none scored"
    row = at.loc[model]
    lost = f" ({int(row['not_scored'])} lost)" if row["not_scored"] else ""
    return f"{row['success']:.2f} [{row['low']:.2f}, {row['high']:.2f}]{lost}"


def above_floor() -> str:
    """On how many tasks each member is above the random player: the lower bound of its 90 % interval over the floor."""
    frame = pd.DataFrame([*load("small"), *load("large")])
    rows = []
    for t in [x for x in read_all() if x.role != "planted"]:
        mine = frame[frame["model"] == f"ladder/{t.name}"]
        parts = []
        for interface in LEVELS:
            for held in (False, True):
                part = mine[(mine["interface"] == interface) & (mine["family"].isin(HELD_OUT) == held)]
                parts.append(f"{int((part['low'] > part['floor'] + 1e-9).sum())} of {len(part)}")
        outcome = mine[(mine["interface"] == "text")]["outcome"].mean()
        rows.append((f"`ladder/{t.name}`", t.role, f"{t.flop_counted:.2g}", *parts, f"{outcome:.3f}"))
    columns = (
        "member", "role", "FLOP", "text, trained", "text, never seen", "choice, trained", "choice, never seen",
        "mean outcome, text",
    )  # fmt: skip
    return markdown(columns, rows)


def forecast_table() -> str:
    lines = [json.loads(x) for x in LEDGER.read_text("utf-8").splitlines()]
    open_ = {x["hash"]: x for x in lines if x["kind"] == "prediction"}
    done = [(open_[x["prediction"]], x["actual"]) for x in lines if x["kind"] == "score"]
    rows = []
    for name in [*(f"ladder/{n}" for n in largest()), "both"]:
        part = [(p, a) for p, a in done if name in ("both", p["model"])]
        actual = np.array([a for _, a in part])
        q05, q50, q95 = (np.array([p[k] for p, _ in part]) for k in ("q05", "predicted", "q95"))
        inside = (actual >= q05 - 1e-9) & (actual <= q95 + 1e-9)
        near = (actual >= q05 - 0.5 / N) & (
            actual <= q95 + 0.5 / N
        )  # a share of N instances moves in steps of 1/N
        score = interval_score(q05, q95, actual)
        rows.append(
            (
                f"`{name}`" if name != "both" else name,
                len(part),
                f"{np.abs(actual - q50).mean():.3f}",
                f"{np.mean(score):.3f}",
                share(inside),
                share(near),
                f"{np.mean(q95 - q05):.2f}",
                f"{(actual > q95 + 1e-9).sum()} above, {(actual < q05 - 1e-9).sum()} below",
            )
        )
    columns = (
        "member", "cells", "MAE", "interval score", "inside the 90 % interval", "to within half an instance", "its width",
        "outside",
    )  # fmt: skip
    return markdown(columns, rows)


def share(inside: npt.NDArray[np.bool_]) -> str:
    """A share with its exact 90 % bounds."""
    low, high = clopper_pearson(int(inside.sum()), len(inside), ALPHA, 2)
    return f"{inside.mean():.2f} ({low:.2f} to {high:.2f})"


def worst() -> str:
    """The cells that the forecast missed by most."""
    lines = [json.loads(x) for x in LEDGER.read_text("utf-8").splitlines()]
    open_ = {x["hash"]: x for x in lines if x["kind"] == "prediction"}
    done = [(open_[x["prediction"]], x["actual"]) for x in lines if x["kind"] == "score"]
    done.sort(key=lambda pair: -abs(pair[1] - pair[0]["predicted"]))
    rows = [
        (
            f"`{p['family']}`",
            f"`{p['model']}`",
            f"{p['predicted']:.2f} [{p['q05']:.2f}, {p['q95']:.2f}]",
            f"{a:.2f}",
        )
        for p, a in done[:8]
    ]
    return markdown(("task/interface/rung", "member", "predicted", "actual"), rows)


def curves_table() -> str:
    """Loss curve of the largest member: training loss by tokens seen, ten points."""
    top = line()[-1]
    curve = top.curve[:: max(1, len(top.curve) // 12)]
    return markdown(
        (f"tokens seen by `ladder/{top.name}`", "answers, nats", "shown, nats"),
        [(f"{int(a):,}", f"{b:.3f}", f"{c:.3f}") for a, b, c in curve],
    )


def page() -> None:
    """Write the page; a table whose part has not been run says which part that is."""
    text = TEXT.read_text("utf-8")
    parts: dict[str, tuple[str, Callable[[], str]]] = {
        "members": ("", members_table),
        "curve": ("", curves_table),
        "law": ("law.json", law_table),
        "above": ("large.json", above_floor),
        "text": ("large.json", lambda: capability("text")),
        "choice": ("large.json", lambda: capability("choice")),
        "forecast": ("large.json", forecast_table),
        "worst": ("large.json", worst),
    }
    for name, (needed, made) in parts.items():
        there = not needed or (FOLDER / needed).exists()
        text = text.replace(f"@{name}@", made() if there else f"(not measured yet: {Path(needed).stem})")
    write_atomic(PAGE, text)
    print(PAGE.name)


def main() -> None:
    parts = {f.__name__: f for f in (small, forecast, large, law, page)}
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", nargs="*", choices=[*parts, []])
    for name in parser.parse_args().part or ["law", "page"]:
        parts[name]()


if __name__ == "__main__":
    main()
