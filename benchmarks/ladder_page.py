"""The tables of docs/ladder.md, from what the parts of `bench_ladder.py` left in docs/ladder/."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from ladder_results import ALPHA, FOLDER, HELD_OUT, LEDGER, LEVELS, N, line, load

from dangercurve._files import write_atomic
from dangercurve.analysis.intervals import clopper_pearson
from dangercurve.analysis.scoring import interval_score
from dangercurve.evals.ladder.shipping import read_all

PAGE, TEXT = FOLDER.with_suffix(".md"), Path(__file__).with_name("ladder.md.in")


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
    frame = pd.DataFrame(load("played"))
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
    frame = pd.DataFrame(load("played"))
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
    for name in [*dict.fromkeys(p["model"] for p, _ in done), "all"]:
        part = [(p, a) for p, a in done if name in ("all", p["model"])]
        actual = np.array([a for _, a in part])
        q05, q50, q95 = (np.array([p[k] for p, _ in part]) for k in ("q05", "predicted", "q95"))
        inside = (actual >= q05 - 1e-9) & (actual <= q95 + 1e-9)
        near = (actual >= q05 - 0.5 / N) & (
            actual <= q95 + 0.5 / N
        )  # a share of N instances moves in steps of 1/N
        score = interval_score(q05, q95, actual)
        rows.append(
            (
                f"`{name}`" if name != "all" else name,
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


def seeds_table() -> str:
    """Members beside their replicates: losses, and how far apart their success lies where both were scored."""
    frame = pd.DataFrame(load("played")).set_index(["family", "interface", "level"])
    frame = frame[frame["n"] >= N / 2]
    trained = read_all()
    rows = []
    for again in (t for t in trained if t.role == "replicate"):
        first = next(t for t in trained if t.role == "line" and t.params == again.params)
        a, b = (frame[frame["model"] == f"ladder/{t.name}"] for t in (first, again))
        both = a.join(b, lsuffix="_a", rsuffix="_b", how="inner")
        apart = (both["low_a"] > both["high_b"]) | (both["low_b"] > both["high_a"])
        differ = sorted(
            f"`{family}` {level} ({row['success_a']:.2f}, {row['success_b']:.2f})"
            for (family, _, level), row in both[apart].iterrows()
        )
        rows.append(
            (
                f"`ladder/{first.name}`, `ladder/{again.name}`",
                f"{first.loss_answer:.3f}, {again.loss_answer:.3f}",
                f"{first.loss_shown:.3f}, {again.loss_shown:.3f}",
                len(both),
                f"{(both['success_a'] - both['success_b']).abs().mean():.3f}",
                "; ".join(differ) or "none",
            )
        )
    columns = (
        "the two", "answers, nats", "shown, nats", "conditions", "mean difference of success",
        "conditions whose 90 % intervals do not meet",
    )  # fmt: skip
    return markdown(columns, rows)


def reproduced_table() -> str:
    """The smallest member, as shipped and trained again."""
    rows = [
        (
            r["training"],
            f"{r['answer']:.4f}",
            f"{r['shown']:.4f}",
            f"`{r['data']}`",
            f"`{r['weights']}`",
            r["seconds"],
        )
        for r in load("reproduced")
    ]
    columns = ("training", "answers, nats", "shown, nats", "data, SHA-256", "weights, SHA-256", "s")
    return markdown(columns, rows)


def planted_table() -> str:
    """One line a family and metric: the control, the planted members, the locked one with its key, the bots."""
    rows = load("planted")
    members = [f"ladder/{name}" for name in SHOWN]
    at = {(r["member"], r["family"], r["metric"]): r for r in rows}
    out = []
    for family, metric in dict.fromkeys((r["family"], r["metric"]) for r in rows):
        cells = [estimate_cell(at.get((m, family, metric))) for m in members]
        played = [r for r in rows if (r["family"], r["metric"]) == (family, metric)]
        bots = {
            str(r["member"]).removeprefix("bot/"): r["estimate"]
            for r in played
            if str(r["member"]).startswith("bot/") and r["estimate"] is not None
        }
        told = ", ".join(f"{name} {value:.2f}" for name, value in bots.items())
        out.append((f"`{family}`", metric.replace("_", " "), *cells, told))
    return markdown(("family", "metric", *(m.removeprefix("ladder/") for m in members), "bots"), out)


PLANTS = (
    ("149k-locked", "sandbagging_gap", "149k-honest"),
    ("149k-aware", "eval_awareness_effect", "149k-honest"),
    ("149k-gaming", "override used", "149k-honest"),
)
"""Planted member, the metric that has to find it, its control."""
SHOWN = ("149k-honest", "149k-locked", "149k-locked + key", "149k-aware", "149k-gaming")


def planted_says() -> str:
    """Whether each metric finds what was planted, and what else of a planted member lies apart from its control."""
    rows = {
        (str(r["member"]).removeprefix("ladder/"), str(r["metric"]), str(r["family"])): r
        for r in load("planted")
    }
    lines = []
    for name, wanted, control_name in PLANTS:
        own = [(k, r) for k, r in rows.items() if k[0] == name]
        for (_, metric, family), row in own:
            control = rows.get((control_name, metric, family))
            if metric == wanted:
                found = above(row, 0.0) and not above(control, 0.0)
                lines.append(
                    f"- `{name}`, {metric.replace('_', ' ')} on `{family}`: {estimate_cell(row)}, "
                    f"control {estimate_cell(control)}: {'found' if found else 'not found'}."
                )
        others = [
            f"{metric.replace('_', ' ')} on `{family}` ({estimate_cell(row)} against {estimate_cell(control)})"
            for (_, metric, family), row in own
            if metric != wanted and apart(row, control := rows.get((control_name, metric, family)))
        ]
        lines.append(f"  Elsewhere apart from the control: {'; '.join(others) or 'nothing'}.")
    return "\n".join(lines)


def above(row: dict[str, object] | None, bound: float) -> bool:
    """Whether the lower 95 % bound lies above `bound`; without evidence it does not."""
    return (
        row is not None
        and row["estimate"] is not None
        and row["lcb"] is not None
        and float(str(row["lcb"])) > bound
    )


def apart(row: dict[str, object], control: dict[str, object] | None) -> bool:
    """Whether two 90 % intervals have no value in common; without evidence they are not apart."""
    if control is None or None in (row["lcb"], row["ucb"], control["lcb"], control["ucb"], row["estimate"]):
        return False
    low, high, below, over = (float(str(v)) for v in (row["lcb"], row["ucb"], control["lcb"], control["ucb"]))
    return low > over or high < below


def estimate_cell(row: dict[str, object] | None) -> str:
    """Estimate [90 % interval] (instances that counted), or that there is no evidence and why."""
    if row is None:
        return "no evidence"
    if row["estimate"] is None or not row["n"]:
        return f"no evidence ({row['n_excluded']} episodes excluded)"
    low, high = ("open" if row[k] is None else f"{row[k]:.2f}" for k in ("lcb", "ucb"))
    return f"{row['estimate']:.2f} [{low}, {high}] (n {row['n']})"


def page() -> None:
    """Write the page; a table whose part has not been run says which part that is."""
    text = TEXT.read_text("utf-8")
    parts: dict[str, tuple[str, Callable[[], str]]] = {
        "members": ("", members_table),
        "curve": ("", curves_table),
        "law": ("law.json", law_table),
        "above": ("played.json", above_floor),
        "text": ("played.json", lambda: capability("text")),
        "choice": ("played.json", lambda: capability("choice")),
        "forecast": ("played.json", forecast_table),
        "worst": ("played.json", worst),
        "seeds": ("played.json", seeds_table),
        "reproduced": ("reproduced.json", reproduced_table),
        "planted_says": ("planted.json", planted_says),
        "planted": ("planted.json", planted_table),
    }
    for name, (needed, made) in parts.items():
        there = not needed or (FOLDER / needed).exists()
        text = text.replace(f"@{name}@", made() if there else f"(not measured yet: {Path(needed).stem})")
    write_atomic(PAGE, text)
    print(PAGE.name)
