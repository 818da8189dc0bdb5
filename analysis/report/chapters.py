"""Which figures stand on the page, in which chapter and order."""

from __future__ import annotations

from dataclasses import dataclass

from dangercurve.analysis.report.attempts import attempts
from dangercurve.analysis.report.audits import audits
from dangercurve.analysis.report.baseline import baseline
from dangercurve.analysis.report.behaviours import behaviours
from dangercurve.analysis.report.calibration import calibration
from dangercurve.analysis.report.capability import Links, capability
from dangercurve.analysis.report.cost import costs
from dangercurve.analysis.report.crossing_dates import dates
from dangercurve.analysis.report.crossing_shapes import shapes
from dangercurve.analysis.report.data import ReportData
from dangercurve.analysis.report.data_panels import Propensity
from dangercurve.analysis.report.elicitation import elicitation
from dangercurve.analysis.report.figure import Figure
from dangercurve.analysis.report.floor import against_floor
from dangercurve.analysis.report.history import history
from dangercurve.analysis.report.imitation import imitation
from dangercurve.analysis.report.ladder import heatmap
from dangercurve.analysis.report.monitors import monitors
from dangercurve.analysis.report.sample_size import sample_size
from dangercurve.analysis.report.scenarios import scenarios
from dangercurve.analysis.report.statuses import statuses
from dangercurve.analysis.report.strip import strip
from dangercurve.analysis.report.survival import survival
from dangercurve.analysis.report.transparency import transparency
from dangercurve.analysis.report.twins import twins
from dangercurve.analysis.report.words import count

MAX_CURVES, MAX_LADDERS = 4, 3
INDICES = ("imitation_index", "robustness")


@dataclass(frozen=True, slots=True)
class Section:
    """A chapter of the page; `left_out` says in words what it does not show."""

    id: str
    title: str
    figures: tuple[Figure, ...]
    left_out: str = ""


def behind_links(data: ReportData) -> Links:
    """Fragment of the page with what lies behind each (model, family)."""
    return {(b.model, b.family): f"#x-{i}" for i, b in enumerate(data.behind)}


def sections(data: ReportData, links: Links) -> tuple[Section, ...]:
    """Every figure, in the order of the page. What is missing is a figure that says how to get it."""
    curves: list[Figure] = []
    for i, s in enumerate(data.scalings[:MAX_CURVES]):
        curves.append(capability(f"curve-{i}", s, links))
        if s.forecast is not None and s.forecast.shapes:
            curves.append(shapes(f"shapes-{i}", s.forecast))
    curves.append(dates(data.forecasts))
    families = sorted({r.family for r in data.levels})
    ladders = [heatmap(f"ladder-{i}", data, family, links) for i, family in enumerate(families[:MAX_LADDERS])]
    return (
        Section("decision", "Decision", (strip(data.verdict), history(data.history))),
        Section("forecast", "Forecast", (*curves, calibration(data.predictions)),
                _left_out(len(data.scalings), MAX_CURVES, "curve")),
        Section("measurement", "Measurement", (
            against_floor(data, links), *ladders, *twins(data, links), imitation(_indices(data, wanted=True), links),
            attempts(data.attempts, links), baseline(data.differences, links), elicitation(data.elicited),
        ), _left_out(len(families), MAX_LADDERS, "ladder")),
        Section("safeguards", "Safeguards and scenarios", (
            survival(data.survival), monitors(data.watched, links), audits(data.audited), scenarios(data.scenarios),
        )),
        Section("evidence", "Evidence", (
            sample_size(data.verdict), statuses(data), behaviours(_indices(data, wanted=False), links), costs(data),
            transparency(data.checklist),
        )),
    )  # fmt: skip


def _indices(data: ReportData, *, wanted: bool) -> list[Propensity]:
    return [p for p in data.propensities if (p.metric in INDICES) is wanted]


def _left_out(found: int, limit: int, what: str) -> str:
    if found <= limit:
        return ""
    return f"{count(found - limit, f'further {what}')} of this study: in the run folder, not on this page."
