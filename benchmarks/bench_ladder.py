"""The reference ladder measured: played through Inspect, its largest members forecast before they are played, its losses.

    python benchmarks/bench_ladder.py [PART ...]

`forecast` predicts every member of the line that was not played yet, on each task, interface and rung, from those that
were, and appends the predictions to a ledger; `play` plays all members that were not played and scores the ledger, and
refuses a member of the line that nobody predicted. `planted` plays the planted variants on the deception families, `law`
fits losses of trainings, `reproduce` trains the smallest member again (extra `ladder`), `page` writes docs/ladder.md from
docs/ladder/. Without a part: law and page. To train: `python -m dangercurve.evals.ladder.training NAME ... --work DIR`.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
from bench_scale import run_command
from ladder_page import page
from ladder_planted import planted
from ladder_results import ALPHA, FOLDER, HELD_OUT, LEDGER, LEVELS, SCORES, N, keep, line, load, records

from dangercurve._files import write_atomic
from dangercurve.analysis.intervals import clustered_rate
from dangercurve.analysis.law import fit_law, optimum
from dangercurve.analysis.ledger import Ledger, predict_model
from dangercurve.analysis.points import Points, points_from_scores
from dangercurve.analysis.scores import validate_scores
from dangercurve.evals.ladder.recipe import load_recipe
from dangercurve.evals.ladder.shipping import Trained, read_all
from dangercurve.evals.store import read_observations

STUDY = """
name: ladder
models: [{models}]
tasks: [{tasks}]
levels: [{levels}]
interfaces: [{interface}]
n: {n}
sampling: {{temperature: 0}}
"""
SEED = 0
REPRODUCED = "22k"


def today() -> str:
    return datetime.now(UTC).date().isoformat()


def tasks(interface: str) -> list[str]:
    """The families that the course shows in this interface, in its order, and families that it never shows."""
    lessons = load_recipe().courses["base"].lessons
    seen = list(dict.fromkeys(x.family for x in lessons if x.interface == interface))
    return [*seen, *(HELD_OUT if interface == "text" else HELD_OUT[:1])]


def unplayed() -> list[Trained]:
    """Members (planted ones aside) without rows, by compute."""
    seen = {r["model"] for r in load("played")}
    return [t for t in read_all() if t.role != "planted" and f"ladder/{t.name}" not in seen]


def measure(names: Sequence[str]) -> pd.DataFrame:
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


def table() -> pd.DataFrame:
    """A score table (DESIGN section 5): one benchmark a task, interface and rung; only rates of at least half of N."""
    by_name = {f"ladder/{t.name}": t for t in read_all()}
    frame = pd.DataFrame(load("played"))
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
    """Predict every member of the line that was not played yet, on every benchmark."""
    book = Ledger.open(LEDGER)
    known = {line["model"] for line in book.lines}
    wanted = [t for t in unplayed() if t.role == "line" and f"ladder/{t.name}" not in known]
    for found in points(table()):
        for one in wanted:
            book.add_prediction(
                predict_model(
                    found,
                    f"ladder/{one.name}",
                    one.flop_counted,
                    as_of=today(),
                    model_family="dangercurve ladder",
                    seed=SEED,
                ),
                found,
            )
    print(
        f"{[t.name for t in wanted]}: {len(book.open_predictions())} open predictions, head {book.head[:12]}"
    )


def play() -> None:
    """Play what was not played, write the score table of all, score the ledger."""
    book = Ledger.open(LEDGER)
    known = {line["model"] for line in book.lines}
    wanted = unplayed()
    early = [t.name for t in wanted if t.role == "line" and f"ladder/{t.name}" not in known]
    if early and load("played"):
        raise SystemExit(f"{', '.join(early)}: predict before playing (part forecast)")
    if wanted:
        keep("played", [*load("played"), *records(measure([t.name for t in wanted]))])
    whole = table()
    write_atomic(SCORES, whole.to_csv(index=False, float_format="%.6g"))
    names = {line["model"] for line in book.open_predictions()}
    rows = whole[whole["model"].isin(names)]
    scored = 0
    if len(rows):
        checked = validate_scores(rows)
        scored = sum(
            book.score(points_from_scores(checked, name), as_of=today())
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


def reproduce() -> None:
    """Train the smallest member again from the recipe, in a folder of its own, and put its losses beside the shipped ones."""
    import torch

    from dangercurve.evals.ladder.training import train

    torch.set_num_threads(1)
    recipe = load_recipe()
    shipped = next(t for t in read_all() if t.name == REPRODUCED)
    with tempfile.TemporaryDirectory() as folder:
        again = train(recipe, recipe.member(REPRODUCED), Path(folder), Path(folder))
    keep(
        "reproduced",
        [
            {
                "member": t.name,
                "training": name,
                "answer": t.loss_answer,
                "shown": t.loss_shown,
                "data": t.data_sha256[:16],
                "weights": t.weights_sha256[:16],
                "seconds": t.seconds,
            }
            for name, t in (("shipped", shipped), ("again", again))
        ],
    )
    print(f"{REPRODUCED}: {shipped.loss_answer:.4f} shipped, {again.loss_answer:.4f} again")


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    parts = {f.__name__: f for f in (forecast, play, planted, law, reproduce, page)}
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("part", nargs="*", choices=[*parts, []])
    for name in parser.parse_args().part or ["law", "page"]:
        parts[name]()


if __name__ == "__main__":
    main()
