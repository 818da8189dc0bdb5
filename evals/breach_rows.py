"""A breach report as rows for the terminal and Markdown: what is printed first, and every number with its words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dangercurve._errors import ConfigError, did_you_mean
from dangercurve._files import write_atomic
from dangercurve._text import printable
from dangercurve.evals.verbs._common import table as render

if TYPE_CHECKING:
    from dangercurve.analysis.breach_table import BreachTable
    from dangercurve.analysis.survival.groups import GroupResult
    from dangercurve.analysis.survival.report import BreachReport

Row = dict[str, object]
BEYOND = ("extrapolated", "unknown")


@dataclass(frozen=True)
class Shown:
    """Something to print: the JSON object, rows and a title."""

    data: Mapping[str, object]
    rows: Sequence[Row]
    title: str


def budgets(table: BreachTable) -> tuple[float, ...]:
    """The efforts of the policies' budgets on the table's clock."""
    from dangercurve.analysis.survival.estimates import BUDGETS

    return tuple(BUDGETS[table.clock])


def remarks(report: BreachReport) -> list[str]:
    """Notes of the report and of its groups, each group's named."""
    said = list(report.notes)
    for g in report.groups:
        said += [f"{_name(g)}: {line}" for line in g.notes]
    return said


def show(report: BreachReport, fmt: str, output: Path | None) -> None:
    """Print the report's tables, or write them to a file."""
    markdown = fmt == "md"
    parts = [f"{_title(report)}\n"]
    for title, rows in sections(report):
        if rows:
            parts.append((f"## {title}\n\n" if markdown else f"{title}\n") + render(rows, markdown=markdown))
    text = "\n".join(parts)
    if output is None:
        click.echo(text, nl=False)
    else:
        write_atomic(output, text)
        click.echo(f"wrote {output}", err=True)


def sections(report: BreachReport) -> list[tuple[str, list[Row]]]:
    """Title and rows of each table, in reading order; empty ones are left out by the caller."""
    percent = f"{100 * (1 - 2 * report.alpha):g} % interval"
    return [
        (f"Time to breach in {report.clock.replace('_', ' ')} ({percent})", [_group_row(g) for g in report.groups]),
        (f"Red-team success at fixed budgets ({percent})", [r for g in report.groups for r in _budget_rows(g)]),
        ("At risk", [{**g.group, **asdict(row)} for g in report.groups for row in g.at_risk]),
        ("By cause, at the end of the follow-up", [{**g.group, **asdict(c)} for g in report.groups for c in g.causes]),
        ("Forms behind extrapolated numbers", [r for g in report.groups for r in _form_rows(g)]),
        ("Safeguards compared", [{"safeguard": a.safeguard, "baseline": a.baseline, "factor": a.factor, "lcb": a.lcb,
                                  "ucb": a.ucb, "says": a.says} for a in report.accelerations]),
        ("Effort to a breach against the attackers' compute",
         [{k: row.get(k) for k in ("safeguard", "slope", "lcb", "ucb", "n_scales", "says")} for row in report.scale]),
        ("Universality over secrets", [_universal_row(row) for row in report.universality]),
        ("Deployment risk", [{**_plain(row.pop("group")), **row} for row in map(dict, report.risks)]),
    ]  # fmt: skip


def elicitation(source: Path, column: str, queries: Sequence[int], alpha: float, seed: int) -> Shown:
    """The tail of a column of elicitation probabilities, extrapolated to deployments of `queries` queries."""
    import numpy as np
    import pandas as pd

    from dangercurve.analysis.survival.gumbel import gumbel_tail
    from dangercurve.analysis.tables import read_frame

    if not queries:
        raise ConfigError("--elicitation needs --queries N: how many queries a deployment has")
    if source.is_dir():
        raise ConfigError("--elicitation reads a table with a row a query; a run folder has none")
    frame = read_frame(source)
    if column not in frame.columns:
        near = did_you_mean(column, map(str, frame.columns))
        raise ConfigError(f"--elicitation {printable(column, 60)}: no such column{near}")
    values = pd.to_numeric(frame[column], errors="coerce").to_numpy(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        found = gumbel_tail(np.log(values), queries, level=1 - 2 * alpha, seed=seed)
    rows: list[Row] = [asdict(w) for w in found.worst]
    title = (
        f"worst of the queries in deployment, {100 * found.level:g} % interval; tail of {found.n_tail} among "
        f"{found.n_queries} queries, seed {seed}"
    )
    return Shown(asdict(found), rows, title)


def _title(report: BreachReport) -> str:
    mark = "SIMULATED: " if report.simulated else ""
    units = sum(g.n_units for g in report.groups)
    broken = sum(g.n_breached for g in report.groups)
    lost = sum(g.n_excluded for g in report.groups)
    return f"{mark}{units} attack runs, {broken} breaches, {lost} excluded as no evidence; seed {report.seed}"


def _name(group: GroupResult) -> str:
    return ", ".join(printable(v, 60) for v in group.group.values()) or "all units"


def _plain(value: object) -> Row:
    return {str(k): v for k, v in value.items()} if isinstance(value, Mapping) else {}


def _group_row(g: GroupResult) -> Row:
    beyond, universal = g.median_extrapolated, g.universality
    lower = f"more than {g.followed_to:.4g}" if g.median.lcb is None else f"{g.median.lcb:.4g}"
    return {
        **g.group,
        "units": g.n_units,
        "clusters": g.n_clusters,
        "breached": g.n_breached,
        "excluded": g.n_excluded,
        "followed to": g.followed_to,
        "median": g.median_words,
        "median interval": f"{lower} to {_number(g.median.ucb, 'not reached')}",
        "median extrapolated": None if beyond is None else _reading(beyond),
        "RMST": f"{g.rmst.estimate:.4g} ({g.rmst.lcb:.4g} to {g.rmst.ucb:.4g})",
        **(
            {}
            if universal is None
            else {"universality": _rate(universal.estimate, universal.lcb, universal.ucb)}
        ),
    }


def _reading(found: Mapping[str, float | None]) -> str:
    middle, low, high = (_number(found[k], "never") for k in ("estimate", "lcb", "ucb"))
    return f"{middle} ({low} to {high})"


def _budget_rows(g: GroupResult) -> list[Row]:
    return [
        {
            **g.group,
            "at": b.at,
            "success": "unknown" if b.success is None else f"{b.success:.3f}",
            "interval": f"{b.success_lcb:.3f} to {b.success_ucb:.3f}",
            "worst case": f"{b.worst_case:.3f}",
            "at risk": b.n_at_risk,
            "method": b.method.replace("_", "-"),
            "without a model": f"{1 - b.free_ucb:.3f} to {1 - b.free_lcb:.3f}"
            if b.method in BEYOND
            else None,
        }
        for b in g.budgets
    ]


def _form_rows(g: GroupResult) -> list[Row]:
    from dangercurve.analysis.survival.forms import LABELS

    beyond = [b for b in g.budgets if b.forms]
    if not beyond and g.median_extrapolated is None:
        return []
    return [
        {
            **g.group,
            "form": LABELS[f.form],
            "weight": f"{f.weight:.2f}",
            "median": _number(f.median, "never"),
            "unbreakable share": None if f.cure is None else f"{f.cure:.2f}",
            **{f"success at {b.at:g}": f"{1 - b.forms[f.form]:.3f}" for b in beyond},
        }
        for f in g.forms
    ]


def _universal_row(row: Mapping[str, object]) -> Row:
    if "share" not in row:
        return {"safeguard": row["safeguard"], "says": row.get("says")}
    share, full = _plain(row["share"]), _plain(row["full"])
    return {
        "safeguard": row["safeguard"],
        "share of secrets": _rate(share["estimate"], share["lcb"], share["ucb"]),
        "attacks that broke all": _rate(full["estimate"], full["lcb"], full["ucb"]),
        "correlation": row["rho"],
        "attacks": row["n_attacks"],
    }


def _rate(estimate: object, low: object, high: object) -> str:
    return f"{estimate:.3f} ({low:.3f} to {high:.3f})"


def _number(value: float | None, otherwise: str) -> str:
    return otherwise if value is None else f"{value:.4g}"
