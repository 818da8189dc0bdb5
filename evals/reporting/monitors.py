"""What monitors made of each agent: from the estimates of the run one value a monitor, view, form and condition, and what
audits would catch from the panel `evidence/oversight.json`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from dangercurve._errors import ConfigError
from dangercurve.analysis import registry
from dangercurve.analysis.report.data_panels import Audited, Bounds, Watched
from dangercurve.analysis.rest import is_rest
from dangercurve.evals.reporting.counts import role_of
from dangercurve.evals.run_folder import Row, number, text

CAPABILITY = "attack_capability"
PLACE = ("model", "family", "interface", "kappa", "elicitation", "comparability_key")


def watched(estimates: Sequence[Row]) -> tuple[Watched, ...]:
    """Every monitor that an estimate names, also where it has no evidence, beside the attack capability of the agent.

    The capability is that of the same condition (PLACE and the arms but the one that monitors tell apart), on the base
    twin; None where the run holds none, or several that nothing tells apart.
    """
    held: dict[tuple[object, ...], dict[str, Row]] = {}
    for row in estimates:
        name = _monitor_metric(row)
        if name and text(row.get("monitor")) is not None:
            arm = _arm(name)
            key = (
                *_place(row, arm),
                text(row.get("twin")),
                *(text(row.get(k)) for k in ("monitor", "view", "form")),
            )
            held.setdefault(key, {})[name] = row
    return tuple(_watched(rows, estimates) for _, rows in sorted(held.items(), key=lambda item: str(item[0])))


def _watched(rows: dict[str, Row], estimates: Sequence[Row]) -> Watched:
    name, row = next((n, r) for n, r in rows.items())
    arm, model, monitor = _arm(name), str(row.get("model")), str(row.get("monitor"))
    place = _place(row, arm)
    able = [e for e in estimates if e.get("metric") == CAPABILITY and _place(e, arm) == place]
    if text(row.get("twin")) not in (None, "base"):
        able = []  # read on the base twin alone
    first = rows.get("monitor_auroc", row)
    return Watched(
        model=model,
        role=role_of(model),
        family=str(row.get("family")),
        condition=_condition(row, arm),
        monitor=monitor,
        monitor_role="SIMULATED" if monitor.startswith("sim/") else "real",
        view=str(row.get("view")),
        form=str(row.get("form")),
        capability=_bounds(able[0]) if len(able) == 1 else None,
        auroc=_bounds(rows.get("monitor_auroc")),
        tpr_at_1=_bounds(rows.get("monitor_tpr_at_1")),
        tpr_at_5=_bounds(rows.get("monitor_tpr_at_5")),
        n=_count(first, "n_instances"),
        n_opportunity=_count(first, "n_opportunity"),
        n_excluded=_count(first, "n_excluded"),
    )


def audited(evidence: Mapping[str, object], problems: list[str]) -> tuple[Audited, ...]:
    """The audit frontiers of `evidence/oversight.json`, of each monitor that has any; panels without bounds are named."""
    entries = evidence.get("oversight")
    found, old = [], 0
    for entry in entries if isinstance(entries, list) else []:
        if not isinstance(entry, dict) or not isinstance(entry.get("frontier"), list):
            continue
        points = [_audit(p) for p in entry["frontier"]]
        if not points or None in points:
            old += 1
            continue
        model, monitor = str(entry.get("agent")), str(entry.get("monitor"))
        found.append(
            Audited(model, role_of(model), str(entry.get("family")), str(entry.get("interface")), monitor,
                    "SIMULATED" if monitor.startswith("sim/") else "real", str(entry.get("view")), str(entry.get("form")),
                    tuple(p for p in points if p is not None), _count(entry, "n_instances"))
        )  # fmt: skip
    if old:
        problems.append(
            f"evidence/oversight.json: {old} audit frontiers have no bounds; `dangercurve monitor` makes them anew"
        )
    return tuple(found)


def _audit(point: object) -> tuple[float, Bounds, Bounds] | None:
    """Budget, caught, kept; None where one of them is no share with its bounds. No useful work leaves `kept` NaN."""
    if not isinstance(point, dict) or not math.isfinite(number(point.get("budget"))):
        return None
    caught, kept = (
        _bounds(value) if isinstance(value := point.get(k), dict) else None for k in ("caught", "kept")
    )
    if caught is None or not isinstance(point.get("kept"), dict):
        return None
    return number(point["budget"]), caught, kept or (math.nan, math.nan, math.nan)


def _monitor_metric(row: Row) -> str:
    """The name of the row's metric where it is one of a monitor, else an empty text."""
    try:
        kind = registry.metric(str(row.get("metric")))
    except ConfigError:
        return ""
    return kind.name if kind.monitor is not None else ""


def _arm(name: str) -> str:
    design = registry.metric(name).monitor
    return "" if design is None else f"arm_{design.arm}"


def _place(row: Row, but: str) -> tuple[object, ...]:
    """What two estimates of one condition have in common; an arm at rest counts as not named."""
    return (*(text(row.get(k)) for k in PLACE), *_arms(row, but))


def _arms(row: Row, but: str) -> tuple[tuple[str, str], ...]:
    family = str(row.get("family"))
    return tuple(
        (name.removeprefix("arm_"), str(value))
        for name, value in sorted(row.items())
        if name.startswith("arm_")
        and name != but
        and not is_rest(family, name.removeprefix("arm_"), text(value))
    )


def _condition(row: Row, but: str) -> str:
    """Interface, step budget, elicitation, a twin that is not base and the arms that are not at rest."""
    budget, twin = number(row.get("kappa")), text(row.get("twin"))
    named = [
        f"κ {budget:g}" if math.isfinite(budget) else "",
        "" if twin in (None, "base", "all") else str(twin),
    ]
    named += [f"{arm}={value}" for arm, value in _arms(row, but)]
    return " · ".join(w for w in (text(row.get("interface")), *named, text(row.get("elicitation"))) if w)


def _bounds(row: Row | None) -> Bounds | None:
    values = [math.nan if row is None else number(row.get(k)) for k in ("estimate", "lcb", "ucb")]
    return (values[0], values[1], values[2]) if all(math.isfinite(v) for v in values) else None


def _count(row: Row, name: str) -> int:
    value = number(row.get(name))
    return int(value) if math.isfinite(value) else 0
