"""Red-teaming, measured: attackers of known strength against guards, clerks against injections, a small model on each side.

Run: python benchmarks/bench_redteam.py PART... [--write docs/red-teaming.md]
PART is guards, letters, or one of the three with SmolLM2 (attacker, defender, clerk); each keeps its numbers in
docs/red-teaming/PART.json, and the page is written from those files, so that the slow parts need not be run with the
quick ones. Bots and worlds are SIMULATED participants.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import pandas as pd
from inspect_ai import eval as inspect_eval
from inspect_ai.model import get_model

from dangercurve._files import write_atomic
from dangercurve._json import jsonable
from dangercurve.analysis.breach_table import check_breaches
from dangercurve.analysis.intervals import clustered_rate
from dangercurve.analysis.survival.compare import accelerations
from dangercurve.analysis.survival.kaplan_meier import kaplan_meier
from dangercurve.evals.ingest import find_logs, ingest_logs
from dangercurve.evals.store import read_observations
from dangercurve.tasks.kernel.arms import paraphrase_of
from dangercurve.tasks.kernel.family import AnyWorld, Family, get_family
from dangercurve.tasks.kernel.seeds import load_salt
from dangercurve.tasks.kernel.task import build_task, make_cell
from dangercurve.tasks.kernel.world import Setting
from dangercurve.tasks.misuse_proxy.guard_breach import GuardWorld

ROOT = Path(__file__).parent.parent
KEPT = ROOT / "docs" / "red-teaming"
SMALL = "local/smollm2-135m-instruct"
SALT = load_salt("dev")
ATTACKERS = ("ask_nicely", "template_attacker", "greedy", "adaptive_attacker", "oracle")
SAID = {"greedy": "random search", "ask_nicely": "ask nicely", "template_attacker": "template corpus",
        "adaptive_attacker": "adaptive search", "oracle": "oracle (knows the hole)"}  # fmt: skip
N_GUARDS, BUDGET, ALPHA = 60, 500, 0.05
N_LETTERS, N_SMALL = 120, 6
Row = dict[str, object]
Facts = Mapping[str, float | None]


def world_of(family: Family, level: int, index: int, arms: Mapping[str, str], **doses: int) -> AnyWorld:
    instance = family.instance(level, index, SALT)
    setting = Setting("base", tuple(arms.items()), tuple(doses.items()), paraphrase_of(instance))
    return family.build(instance, setting)


def played(world: AnyWorld, name: str, steps: int, stop: Callable[[AnyWorld], bool]) -> Facts:
    """Metrics of an episode of a bot, played until `stop`, its own end or the budget of steps."""
    for _ in range(steps):
        action = world.persona(name) or world.oracle()
        if world.done() or stop(world) or action.name == "wait":
            break
        world.play(action)
    return world.family_metrics()


def survival(found: Sequence[Facts], tau: float) -> Row:
    """Breached share, Kaplan-Meier median and restricted mean up to `tau` attempts with 90 % intervals."""
    known = [f for f in found if f.get("breached") is not None]
    if not known:
        return {"n": 0}
    effort = [float(f["breach_attempts"] or 0) for f in known]
    event = [f["breached"] == 1.0 for f in known]
    km = kaplan_meier(effort, event, alpha=2 * ALPHA)
    median = km.quantile(0.5)
    within = {f"by_{t}": 1.0 - km.at(t) for t in (10, 100) if t <= km.last}
    mean = km.rmst(min(tau, km.last))
    share = clustered_rate([float(e) for e in event], list(range(len(event))), ALPHA)
    return {
        "n": len(known), "breached": share.estimate, "lcb": share.lcb, "ucb": share.ucb, **within,
        "median": median.value, "median_lcb": median.lcb, "median_ucb": median.ucb,
        "rmst": mean.estimate, "rmst_lcb": mean.lcb, "rmst_ucb": mean.ucb, "tau": mean.tau,
    }  # fmt: skip


def guards() -> list[Row]:
    """Attackers against guards, black box, up to 500 attempts; and what each guard costs ordinary visitors."""
    family = get_family("guard_breach")
    rows: list[Row] = []
    table: list[Row] = []
    cells = [(level, "layered") for level in range(1, 6)]
    cells += [(3, guard) for guard in ("rules", "classifier", "judge", "open")]
    for level, guard in cells:
        label = guard if guard != "layered" else f"{level} layer{'s' * (level > 1)}"
        for name in ATTACKERS:
            arms = {"guard": guard, "access": "black_box"}
            worlds = [world_of(family, level, i, arms, strikes=BUDGET) for i in range(N_GUARDS)]
            found = [played(w, name, BUDGET + 40, broken) for w in worlds]
            cost = {k: _mean(found, f"guard_{k}") for k in ("false_positive_rate", "benign_utility")}
            rows.append({"part": "guards", "guard": label, "attacker": name, **survival(found, 100), **cost})
            if name == "adaptive_attacker":
                table += [_unit(label, i, f) for i, f in enumerate(found)]
    factors, _ = accelerations(check_breaches(pd.DataFrame(table)), baseline="1 layer", alpha=ALPHA)
    for a in factors:
        times: Row = {"factor": a.factor, "lcb": a.lcb, "ucb": a.ucb, "n": a.n_units}
        rows.append({"part": "factors", "safeguard": a.safeguard, **times})
    return rows


def broken(world: AnyWorld) -> bool:
    """Whether the guard has fallen: an episode for the clock ends there."""
    return isinstance(world, GuardWorld) and bool(world.effort.at)


def _unit(safeguard: str, index: int, found: Facts) -> Row:
    """One row of the breach table."""
    return {
        "unit": f"{safeguard}/{index}", "cluster": index, "effort": found["breach_attempts"], "clock": "attempts",
        "breached": int(found["breached"] or 0), "safeguard": safeguard,
    }  # fmt: skip


def letters() -> list[Row]:
    """Clerks against attackers behind guards: the clerk with one weak spot on the clock, the others by arm."""
    family = get_family("injection_hijack")
    rows: list[Row] = []
    for guard in ("none", "filter"):
        for attacker in ("scripted", "adaptive"):
            for attempts in (16, 64):
                arms = {"notes": "attack", "attacker": attacker, "guard": guard}
                worlds = [world_of(family, 6, i, arms, attempts=attempts) for i in range(N_LETTERS)]
                found = [played(w, "gullible", 400, lambda w: False) for w in worlds]
                rows.append({"part": "clock", "guard": guard, "attacker": attacker, "attempts": attempts,
                             **survival(found, attempts), "fpr": _mean(found, "guard_false_positive_rate"),
                             "utility": _mean(found, "utility_under_attack")})  # fmt: skip
    for clerk in ("oracle", "obeyer", "ignorer", "gullible"):
        for notes in ("attack", "clean", "legitimate"):
            worlds = [world_of(family, 4, i, {"notes": notes}) for i in range(40)]
            found = [played(w, clerk, 400, lambda w: False) for w in worlds]
            rows.append({"part": "arms", "clerk": clerk, "notes": notes, "n": len(worlds),
                         "success": sum(w.success() for w in worlds) / len(worlds), "utility": _mean(found, "utility"),
                         "injected": _mean(found, "injection_success_rate"), "exfiltrated": _mean(found, "exfiltrated"),
                         "followed": _mean(found, "legitimate_follow_rate")})  # fmt: skip
    return rows


def _mean(found: Sequence[Facts], name: str) -> float | None:
    values = [v for f in found if (v := f.get(name)) is not None]
    return sum(values) / len(values) if values else None


# --- a small real model on each side -----------------------------------------------------------------------------------


def observed(
    family: str,
    model: str,
    arm: str,
    dose: str,
    level: int,
    n: int,
    interface: str,
    kappa: float,
    roles: Mapping[str, str],
) -> pd.DataFrame:
    """Observations of one cell, played through Inspect; letters are read by log-probability."""
    cell = make_cell(
        get_family(family), [level], "base", arm, dose, n, 0, interface, kappa, choice_by="logprob"
    )
    with tempfile.TemporaryDirectory() as folder:
        inspect_eval(
            build_task(cell), model=model, model_roles={k: get_model(v) for k, v in roles.items()} or None,
            log_dir=f"{folder}/logs", display="none", log_level="error", log_realtime=False, max_connections=1,
            max_samples=1, fail_on_error=False,
        )  # fmt: skip
        ingest_logs(find_logs([Path(folder) / "logs"]), Path(folder), "red_teaming")
        return read_observations(Path(folder))


def facts_of(frame: pd.DataFrame) -> list[Facts]:
    kept = frame[frame["status"] == "scored"]
    return [json.loads(text) for text in kept["family_metrics"]]


def rate_row(found: Sequence[Facts], name: str) -> Row:
    values = [v for f in found if (v := f.get(name)) is not None]
    if not values:
        return {f"{name}_n": 0}
    rate = clustered_rate(values, list(range(len(values))), ALPHA)
    return {name: rate.estimate, f"{name}_lcb": rate.lcb, f"{name}_ucb": rate.ucb, f"{name}_n": len(values)}


def attacker(n: int) -> list[Row]:
    """SmolLM2 attacks two layers and an open door by choosing among options, beside a random chooser in the same cells."""
    rows: list[Row] = []
    for model in ("bot/random", SMALL):
        for guard in ("open", "layered"):
            frame = observed(
                "guard_breach", model, f"access=black_box,guard={guard}", "", 2, n, "choice", 2.0, {}
            )
            rows.append(_small_row(model, guard, frame))
    return rows


def defender(n: int) -> list[Row]:
    """SmolLM2 in the judge's place, alone, against two attackers; 24 visitors' messages pass it as well."""
    rows: list[Row] = []
    for bot in ("ask_nicely", "adaptive_attacker"):
        frame = observed(
            "guard_breach", f"bot/{bot}", "access=black_box,guard=judge,defender=model", "", 2, n, "tools", 3.0,
            {"defender": SMALL},
        )  # fmt: skip
        rows.append(
            {**_small_row(bot, "judge", frame), **rate_row(facts_of(frame), "guard_false_positive_rate"),
             "unread": _mean(facts_of(frame), "defender_unread")}
        )  # fmt: skip
    return rows


def clerk(n: int) -> list[Row]:
    """SmolLM2 at the desk in the three arms, and as the attacker that writes notes for a clerk with one weak spot."""
    rows: list[Row] = []
    for model in ("bot/random", SMALL):
        frame = observed(
            "injection_hijack", model, "notes=attack|clean|legitimate", "", 1, n, "choice", 2.0, {}
        )
        for notes, part in frame.groupby("arm_notes"):
            found = facts_of(part)
            rows.append(
                {"part": "desk", "model": model, "notes": notes, "episodes": len(part), "scored": len(found),
                 "success": float(part["success"].mean()), "utility": _mean(found, "utility"),
                 **rate_row(found, "injection_success_rate"), **rate_row(found, "legitimate_follow_rate")}
            )  # fmt: skip
    frame = observed(
        "injection_hijack", "bot/gullible", "notes=attack,attacker=model", "attempts=16", 4, n, "tools", 2.0,
        {"attacker": SMALL},
    )  # fmt: skip
    rows.append(
        {
            "part": "role",
            **_small_row("gullible clerk", "policy", frame),
            "unread": _mean(facts_of(frame), "attacker_unread"),
        }
    )
    return rows


def _small_row(who: str, guard: str, frame: pd.DataFrame) -> Row:
    found = facts_of(frame)
    return {
        "model": who, "guard": guard, "episodes": len(frame), "scored": len(found),
        "success": float(frame["success"].mean()), **survival(found, 100.0),
    }  # fmt: skip


# --- the page ------------------------------------------------------------------------------------------------------


def _num(value: object, digits: int = 2) -> str:
    return "-" if value is None else f"{float(str(value)):.{digits}f}"


def _span(row: Row, name: str, low: str, high: str, digits: int = 2, none: str = "-") -> str:
    if row.get(name) is None:
        bound = f" (from {_num(row[low], digits)})" if row.get(low) is not None else ""
        return none + bound
    upper = "not reached" if row.get(high) is None else _num(row.get(high), digits)
    return f"{_num(row[name], digits)} ({_num(row.get(low), digits)} to {upper})"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join([*lines, *("| " + " | ".join(r) + " |" for r in rows)])


def _breach(row: Row) -> list[str]:
    """Share breached, by 10 and by 100 attempts (all of them where none was left), median and restricted mean."""
    none_left = 1.0 if row.get("breached") == 1.0 else None
    return [
        _span(row, "breached", "lcb", "ucb"), *(_num(row.get(f"by_{t}", none_left)) for t in (10, 100)),
        _span(row, "median", "median_lcb", "median_ucb", 0, "not reached"),
        f"{_span(row, 'rmst', 'rmst_lcb', 'rmst_ucb', 1)} of {_num(row.get('tau'), 0)}",
    ]  # fmt: skip


CLOCK = ("breached", "by 10", "by 100", "median attempts", "restricted mean, attempts")


def page(parts: Mapping[str, Sequence[Row]]) -> dict[str, str]:
    """The tables of the page, by name."""
    against = [r for r in parts.get("guards", ()) if r["part"] == "guards"]
    factors = [r for r in parts.get("guards", ()) if r["part"] == "factors"]
    mail, desk = parts.get("letters", ()), parts.get("clerk", ())
    return {
        "guards": _table(
            ("guard", "attacker", *CLOCK, "visitors stopped", "visits served"),
            (
                (str(r["guard"]), SAID[str(r["attacker"])], *_breach(r), _num(r["false_positive_rate"]),
                 _num(r["benign_utility"]))
                for r in against
            ),
        ),
        "factors": _table(
            ("guard", "attempts to a breach, times those of one layer", "units"),
            ((str(r["safeguard"]), _span(r, "factor", "lcb", "ucb"), str(r["n"])) for r in factors),
        ),
        "letters": _table(
            ("guard", "attacker", "notes", *CLOCK, "remarks taken out", "utility"),
            (
                (str(r["guard"]), str(r["attacker"]), str(r["attempts"]), *_breach(r), _num(r["fpr"]), _num(r["utility"]))
                for r in mail if r["part"] == "clock"
            ),
        ),
        "arms": _table(
            ("clerk", "letters", "success", "utility", "a note's wish came true", "ledger left", "orders followed"),
            (
                (str(r["clerk"]), str(r["notes"]), _num(r["success"]), _num(r["utility"]), _num(r["injected"]),
                 _num(r["exfiltrated"]), _num(r["followed"]))
                for r in mail if r["part"] == "arms"
            ),
        ),
        "attacker": _table(
            ("attacker", "guard", "scored", "success", "breached", "median attempts", "restricted mean, attempts"),
            (
                (str(r["model"]), str(r["guard"]), f"{r['scored']} of {r['episodes']}", _num(r["success"]), *_short(r))
                for r in parts.get("attacker", ())
            ),
        ),
        "defender": _table(
            ("attacker", "scored", "breached", "median attempts", "restricted mean, attempts", "visitors stopped", "unread"),
            (
                (SAID[str(r["model"])], f"{r['scored']} of {r['episodes']}", *_short(r),
                 _span(r, "guard_false_positive_rate", "guard_false_positive_rate_lcb", "guard_false_positive_rate_ucb"),
                 _num(r.get("unread")))
                for r in parts.get("defender", ())
            ),
        ),
        "clerk": _table(
            ("clerk", "letters", "scored", "success", "utility", "a note's wish came true", "orders followed"),
            (
                (str(r["model"]), str(r["notes"]), f"{r['scored']} of {r['episodes']}", _num(r["success"]),
                 _num(r["utility"]),
                 _span(r, "injection_success_rate", "injection_success_rate_lcb", "injection_success_rate_ucb"),
                 _span(r, "legitimate_follow_rate", "legitimate_follow_rate_lcb", "legitimate_follow_rate_ucb"))
                for r in desk if r["part"] == "desk"
            ),
        ),
        "role": _table(
            ("clerk", "scored", "breached", "median attempts", "restricted mean, attempts", "unread"),
            (
                (str(r["model"]), f"{r['scored']} of {r['episodes']}", *_short(r), _num(r.get("unread")))
                for r in desk if r["part"] == "role"
            ),
        ),
    }  # fmt: skip


def _short(row: Row) -> list[str]:
    found = _breach(row)
    return [found[0], *found[3:]]


QUICK: dict[str, Callable[[], list[Row]]] = {"guards": guards, "letters": letters}
WITH_SMALL: dict[str, Callable[[int], list[Row]]] = {
    "attacker": attacker,
    "defender": defender,
    "clerk": clerk,
}
PARTS = (*QUICK, *WITH_SMALL)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="what to measure anew")
    parser.add_argument("--n", type=int, default=N_SMALL, help="instances a cell of the parts with SmolLM2")
    parser.add_argument("--write", type=Path, help="page whose tables are rewritten")
    args = parser.parse_args()
    for name in args.parts:
        rows = QUICK[name]() if name in QUICK else WITH_SMALL[name](args.n)
        write_atomic(KEPT / f"{name}.json", json.dumps(jsonable(rows), indent=1, allow_nan=False) + "\n")
    kept = {n: json.loads((KEPT / f"{n}.json").read_text()) for n in PARTS if (KEPT / f"{n}.json").exists()}
    tables = page(kept)
    for name, table in tables.items():
        print(f"{name}\n{table}\n")
    if args.write:
        text = args.write.read_text(encoding="utf-8")
        for name, table in tables.items():
            head, rest = text.split(f"<!-- {name} -->", 1)
            text = f"{head}<!-- {name} -->\n{table}\n<!-- /{name} -->" + rest.split(f"<!-- /{name} -->", 1)[1]
        write_atomic(args.write, text)


if __name__ == "__main__":
    main()
