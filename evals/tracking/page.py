"""A track as one offline page: no script, no external reference, every text escaped and made harmless."""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from dangercurve._text import printable
from dangercurve._version import __version__
from dangercurve.evals.track import Track
from dangercurve.evals.tracking import words as track_words

TEMPLATES = Path(__file__).with_name("templates")
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
NOTHING = "–"
MAX_TEXT = 300
MAX_STRIPS = 40
MARK = 240.0
TONES = {
    "REACHED": "t-bad", "INVALID": "t-bad", "UNRESOLVED": "t-warn", "APPROACHING": "t-warn", "RULED_OUT": "t-good",
    "WAIVED": "t-warn", "overdue": "t-bad", "due": "t-warn", "ok": "t-good", "false": "t-bad", "early": "t-bad",
    "late": "t-warn", "true": "t-good", "scored": "t-good", "interrupted": "t-bad", "running": "t-warn",
    "finished": "t-good", "stopped": "t-bad", "unfinished": "t-bad",
}  # fmt: skip
COLOURS = {"t-bad": "#a4161a", "t-warn": "#b06a00", "t-good": "#17663a", "t-flat": "#4d5b68"}
MARGINS = (("as of", ""), ("subject", ""), ("claim", ""), ("verdict", "tag"), ("B", "num"), ("T", "num"), ("margin", "num"),
           ("margin OOM", "num"), ("margin days", "num"), ("n", "num"))  # fmt: skip


def render(found: Track) -> str:
    """The page as a string; the same track gives the same bytes."""
    return environment().get_template("track.html.j2").render(**body(found), policy=POLICY, style=style())


def body(found: Track) -> dict[str, object]:
    """What `track_body.html.j2` shows."""
    margins = track_words.margin_rows(found)
    newest = found.assessments[-1].verdict if found.assessments else None
    models = _count(len({a.verdict.subject for a in found.assessments}), "model")
    due = [d for d in found.due if d.state != "ok"]
    lineage = [
        {
            "as_of": a.verdict.as_of[:10],
            "run": a.label,
            "subject": track_words.subject_of(a),
            "overall": a.verdict.overall.value,
            "policy": a.verdict.policy.id,
            "tier": a.verdict.tier,
            "changes": changes,
        }
        for a, changes in reversed(list(zip(found.assessments, found.changes, strict=True)))
    ]
    return {
        "title": "Track: safety margins over releases",
        "version": __version__,
        "as_of": found.as_of[:10],
        "assessments": found.assessments,
        "simulated": found.simulated,
        "notes": found.notes,
        "pending": found.pending,
        "tiles": [
            (str(len(found.assessments)), "assessments", f"of {models}"),
            (_word(newest.overall.value) if newest else "none", "newest verdict", newest.as_of[:10] if newest else ""),
            (str(len(due)), "due or overdue", f"{sum(d.state == 'overdue' for d in due)} overdue"),
            (str(sum(r.state in ("false", "early", "late") for r in found.forecasts)), "forecasts that failed",
             f"of {len(found.forecasts)} in the ledgers"),
        ],
        "margin_sentence": _margin_sentence(found),
        "strips": _strips(found),
        "margins": margins,
        "margin_columns": MARGINS,
        "lineage": lineage,
        "due": track_words.due_rows(found),
        "due_sentence": "; ".join(f"{d.kind} of {printable(d.subject, 80)} is {d.state}" for d in due[:6]) + "."
        if due else "Nothing is due.",
        "calibration": track_words.calibration_lines(found),
        "forecasts": track_words.forecast_table(found),
        "no_safety": track_words.NO_SAFETY,
    }  # fmt: skip


def _margin_sentence(found: Track) -> str:
    if not found.assessments:
        return "No assessment has a verdict yet: nothing is ruled out."
    newest = found.assessments[-1].verdict
    known = [c for c in newest.claims if c.proximity is not None]
    open_claims = len(newest.claims) - len(known)
    said = f"Newest: {printable(newest.subject, 80)}, {_word(newest.overall.value)}."
    if known:
        top = max(known, key=lambda c: c.proximity or 0.0)
        said += f" Its bound comes nearest in {top.id}: {100 * (top.proximity or 0):.0f} % of the threshold."
    return said + (
        f" {open_claims} of its {len(newest.claims)} claims have no finite bound." if open_claims else ""
    )


def _strips(found: Track) -> list[dict[str, object]]:
    """For each claim, its proximity in every assessment; the mark at MARK of 300 is the threshold, 125 % the end."""
    claims = list(dict.fromkeys(c.id for a in reversed(found.assessments) for c in a.verdict.claims))
    figures: list[dict[str, object]] = []
    for name in claims[:MAX_STRIPS]:
        rows: list[dict[str, object]] = []
        for each in found.assessments:
            claim = next((c for c in each.verdict.claims if c.id == name), None)
            if claim is None:
                continue
            near = claim.proximity
            finite = near is not None and math.isfinite(near)
            rows.append(
                {
                    "name": f"{each.verdict.as_of[:10]} {track_words.subject_of(each)}",
                    "verdict": claim.verdict.value,
                    "width": f"{min(max(near or 0.0, 0.0) * MARK, 300.0):.1f}" if finite else None,
                    "share": f"{100 * (near or 0.0):.0f} %" if finite else NOTHING,
                    "colour": COLOURS[tone(claim.verdict.value)],
                }
            )
        figures.append({"claim": name, "rows": rows})
    return figures


def _count(n: int, what: str) -> str:
    return f"{n} {what}{'' if n == 1 else 's'}"


def _word(value: str) -> str:
    return value.replace("_", " ")


def tone(word: object) -> str:
    """The class of a tag."""
    return TONES.get(str(word).replace(" ", "_"), "t-flat")


def num(value: object) -> str:
    """A number for a cell; nothing is a dash and never 0."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return NOTHING
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.4g}".replace("-", "−") if isinstance(value, float) else str(value)


def harmless(value: object) -> object:
    """What every `{{ ... }}` passes before autoescape: one harmless line; None is a dash."""
    if isinstance(value, Markup):
        return value
    if value is None:
        return NOTHING
    return printable(value, MAX_TEXT) if isinstance(value, str) else value


@cache
def environment() -> Environment:
    """Templates of this floor: autoescaped, undefined names are errors."""
    env = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=harmless,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.filters["num"] = num
    env.globals["tone"] = tone
    return env


@cache
def style() -> Markup:
    """The style sheet of the package."""
    return Markup((TEMPLATES / "track.css").read_text(encoding="utf-8"))  # noqa: S704 - our own file
