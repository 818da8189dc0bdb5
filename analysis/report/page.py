"""From `ReportData` to one offline HTML page: no script, no external reference, every text escaped."""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass, replace
from functools import cache
from importlib.resources import files

from jinja2 import Environment, StrictUndefined, Template, TemplateNotFound
from jinja2.loaders import FunctionLoader
from markupsafe import Markup

from dangercurve.analysis.report.capability import capability
from dangercurve.analysis.report.data import ReportData, Role
from dangercurve.analysis.report.figure import Figure
from dangercurve.analysis.report.floor import against_floor
from dangercurve.analysis.report.ladder import heatmap
from dangercurve.analysis.report.quality import costs, statuses
from dangercurve.analysis.report.strip import strip
from dangercurve.analysis.report.svg import shown
from dangercurve.analysis.report.timing import dates, shapes
from dangercurve.analysis.report.twins import twins
from dangercurve.analysis.report.words import NOTHING, count, interval, num, percent

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
MAX_TEXT = 300
ROLE_WORDS: tuple[tuple[Role, str], ...] = (("real", "real"), ("SIMULATED", "SIMULATED"), ("bot", "bots"))
MAX_CURVES, MAX_LADDERS = 6, 6
FIXED_TEXT = (
    "This page reports measurements by the named suite, elicitation and bounds. "
    "It does not establish that a model is safe."
)


@dataclass(frozen=True, slots=True)
class Section:
    """A chapter of the page."""

    id: str
    title: str
    figures: tuple[Figure, ...]


def render(data: ReportData) -> str:
    """The page as a string. The same data gives the same bytes."""
    data = clean(data)
    return _template("page.html.j2").render(
        data=data,
        verdict=data.verdict,
        sections=sections(data),
        tiles=tiles(data),
        trigger_rows=trigger_rows(data),
        policy=POLICY,
        fixed_text=FIXED_TEXT,
        # our own file, part of the package
        style=Markup(_read("style.css")),  # noqa: S704
    )


def sections(data: ReportData) -> tuple[Section, ...]:
    """Every figure, in the order of the page. What is missing is a figure whose answer says so."""
    decision = (strip(data.verdict),) if data.verdict else ()
    curves: list[Figure] = []
    for i, s in enumerate(data.scalings[:MAX_CURVES]):
        curves.append(capability(f"curve-{i}", s))
        if s.forecast is not None and s.forecast.shapes:
            curves.append(shapes(f"shapes-{i}", s.forecast))
    curves.append(dates(data.forecasts))
    families = sorted({r.family for r in data.levels})
    ladders = [heatmap(f"ladder-{i}", data, family) for i, family in enumerate(families[:MAX_LADDERS])]
    return (
        Section("decision", "Decision", decision),
        Section("forecast", "Forecast", tuple(curves)),
        Section("measurement", "Measurement", (against_floor(data), *ladders, twins(data))),
        Section("evidence", "Evidence", (statuses(data), costs(data))),
    )


def tiles(data: ReportData) -> list[tuple[str, str, str]]:
    """Key numbers for the head of the page: value, label, remark."""
    roles = list(data.roles.values())
    samples = sum(s.total for s in data.statuses)
    scored = data.status_names.index("scored") if "scored" in data.status_names else None
    good = sum(s.counts[scored] for s in data.statuses) if scored is not None else 0
    usd = [c.usd for c in data.costs if c.usd is not None]
    kinds = [f"{roles.count(kind)} {word}" for kind, word in ROLE_WORDS if kind in roles]
    return [
        (f"{len(roles):,}", "models", ", ".join(kinds) or "none"),
        (
            f"{samples:,}",
            "samples",
            f"in {count(len({r.family for r in data.levels}), 'task family', 'task families')}",
        ),
        (
            percent(good / samples) if samples else NOTHING,
            "scored",
            "the rest counts as dangerous in worst cases",
        ),
        (
            f"${num(sum(usd))}" if usd else NOTHING,
            "cost",
            "as the logs say" if usd else "no price in the logs",
        ),
    ]


def trigger_rows(data: ReportData) -> list[tuple[str, str, str]]:
    """The verdict's triggers as a table."""
    found = data.verdict.triggers if data.verdict else ()
    return [(t.name, "yes" if t.passed else "NO", t.why) for t in found]


def clean(data: ReportData) -> ReportData:
    """The same data with every text as one harmless line of at most MAX_TEXT characters."""
    found = _clean(data)
    if not isinstance(found, ReportData):
        raise TypeError("clean keeps the type of what it is given")
    return found


def _clean(value: object) -> object:
    if isinstance(value, str):
        return shown(value, MAX_TEXT)
    if isinstance(value, tuple):
        return tuple(_clean(item) for item in value)
    if isinstance(value, dict):
        return {_clean(key): _clean(item) for key, item in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{f.name: _clean(getattr(value, f.name)) for f in fields(value)})
    return value


def escape_on_output(value: object) -> object:
    """What every `{{ ... }}` passes through before autoescape: text becomes one harmless line, None a dash."""
    if isinstance(value, Markup):
        return value
    if isinstance(value, str):
        return shown(value, 2 * MAX_TEXT)
    if isinstance(value, float):
        return num(value)
    return NOTHING if value is None else value


@cache
def _environment() -> Environment:
    env = Environment(
        loader=FunctionLoader(_load),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=escape_on_output,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.filters |= {"num": num, "percent": percent}
    env.globals |= {"interval": interval}
    return env


def _template(name: str) -> Template:
    return _environment().get_template(name)


def _load(name: str) -> str:
    try:
        return _read("templates/" + name)
    except FileNotFoundError as exc:
        raise TemplateNotFound(name) from exc


def _read(name: str) -> str:
    return files("dangercurve.analysis.report").joinpath(name).read_text(encoding="utf-8")
