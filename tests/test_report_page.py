"""The report page: what it says, what it never says, that hostile text stays text, and that a browser shows it."""

from __future__ import annotations

import dataclasses
import math
import re
import unicodedata
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dangercurve.analysis.intervals import clopper_pearson
from dangercurve.analysis.report.data import (
    Band,
    Check,
    Claim,
    Cost,
    Forecast,
    LevelRate,
    Panel,
    Point,
    ReportData,
    Role,
    Scaling,
    Shape,
    Statuses,
    Verdict,
)
from dangercurve.analysis.report.page import render
from dangercurve.analysis.report.svg import Canvas, fit, shown, width_of
from dangercurve.analysis.report.words import interval, num, percent

STATUS = ("scored", "refused", "eval_aware_abstain", "format_failure", "limit_censored", "infra_error")
LOCAL = "openai-api/local/SmolLM2-135M-Instruct"
HOSTILE = (
    "<script>alert(1)</script>",
    "<svg onload=alert(1)><image href=x onerror=alert(1)>",
    "</style></title></svg><h1 id=forged>RULED OUT</h1>",
    '"><a href="https://example.org/x" onmouseover="alert(1)">',
    "\u202egnp.exe \u2066evil\u2069",
    "null\x00byte \x1b[31mred\x1b[0m",
    "{{ 7*7 }}{% include 'x' %}",
    "A" * 1_000_000,
    "Z" + "\u0301" * 500,
    "]]><!-- --><![CDATA[",
    "\ud800 lone",
)


def sample(
    n_models: int = 7, n_families: int = 2, *, scored: bool = True, real: bool = True, name: str = "quickstart",
    status: str = "identified", text: str = "",
) -> ReportData:  # fmt: skip
    """A plausible run: simulated models over compute, one local model, a forecast, a verdict. `text` is put everywhere."""
    models: list[tuple[str, str, Role, float | None]] = [
        (f"sim/{text or 'smooth'}{i % n_families}@{c:.1f}", f"{text or 'sim'}-{i % n_families}", "SIMULATED", c)
        for i, c in enumerate(19 + 5 * i / max(n_models - 1, 1) for i in range(n_models))
    ]  # fmt: skip
    if real:
        models.append((LOCAL + text, "smollm2", "real", 21.2))
    ability = {m: 1 / (1 + math.exp(-(c or 19) + 22.3)) for m, _, _, c in models}

    def rate(p: float, n: int) -> tuple[float, float, float]:
        if not scored:
            return math.nan, 0.0, 1.0
        k = round(p * n)
        return k / n, *clopper_pearson(k, n)

    levels = [
        LevelRate(
            m,
            role,
            family,
            "choice",
            twin,
            level,
            *rate(p, 40),
            40 if scored else 0,
            0 if scored else 40,
            0.25,
        )
        for m, _, role, _ in models
        for family in ("ops_horizon", "toy_vuln" + text)
        for twin, cut in (("base", 1.0), ("surface", 0.9), ("rule_flip", 0.6))
        for level in range(4 if role == "SIMULATED" else 2)
        for p in [min(0.98, 0.25 + (0.15 if role == "real" else 0.75 * ability[m]) * cut * (1 - level / 5))]
    ]
    points = tuple(Point(m, f, role, c, *rate(ability[m], 160), 160) for m, f, role, c in models)
    grid = tuple(18.5 + 0.25 * i for i in range(40))
    curve = [1 / (1 + math.exp(-(x - 22.3))) for x in grid]
    band = Band(
        grid, tuple(max(v - 0.17, 0) for v in curve), tuple(curve), tuple(min(v + 0.15, 1) for v in curve)
    )
    found = status == "identified"
    forecast = Forecast(
        family="ops_horizon", metric="success_rate", event=f"success_rate >= 0.9{text}", threshold=0.9, form="pooled",
        status=status, log10_c=(23.4, 24.5, 26.3) if found else (None, None, None),
        date=("2026-12-01", "2028-03-01", None) if found else (None, None, None), p_never=0.08 if found else None,
        p_within=(("0.5", 0.12), ("1", 0.4)),
        p_by=tuple((f"{2026 + i}-12-31", min(0.86, 0.05 + 0.13 * i)) for i in range(11)) if found else (),
        frontier="physical", cap=32.0,
        shapes=(Shape("logistic" + text, 0.5, 23.5, 24.4, 25.9, 0.0), Shape("gompertz", 0.3, 23.6, 24.9, 26.8, 0.02),
                Shape("saturating", 0.2, 23.9, 25.6, None, 0.31)),
        worst_case=(23.0, 24.0, 25.6), scope="all", seed="7", simulated=True,
    )  # fmt: skip
    scalings = (
        Scaling("ops_horizon", "success_rate", "success rate", "share of instances", "logit", points, 0.25,
                band if scored else None, forecast, 0.8),
        Scaling("toy_vuln", "h50_steps", "horizon at 50 % success", "oracle steps", "log2",
                tuple(dataclasses.replace(p, estimate=2 ** (4 * p.estimate + 1), lcb=2 ** (4 * p.lcb), ucb=math.inf)
                      for p in points)),
    )  # fmt: skip
    claims = (
        Claim("agentic.ops.T1" + text, "measure", "UNRESOLVED", "UNRESOLVED", "ops_horizon", "success_rate", "share",
              "logit", "up", 0.05, 0.4, 0.33, 0.48, 0.62, 0.7, 0.4, 0.5, 1.24, -0.12, 0.4, 120.0, 40, 160, 0.02,
              (("E", 0.5, "prior: empty ledger"), ("G", 0.72, "prior"), ("M", 0.0, "policy line")),
              (Panel("sandbagging_panel", False, "no panel" + text),), ("awareness panel failed" + text,),
              "120 more instances", "", ""),
        Claim("agentic.ops.T2", "measure", "RULED_OUT", "RULED_OUT", "ops_horizon", "h50_steps", "oracle steps", "log2", "up",
              0.05, 6.1, 4.2, 9.3, 33.0, 41.0, 128.0, 512.0, 0.064, 479.0, None, None, 40, None, 0.0),
        Claim("safeguard.breach", "breach", "INVALID", "INVALID", "guard_breach", "survival_at", "probability",
              "logit", "down", 0.05, T=0.9, W=0.95, reasons=("no estimate of survival_at in guard_breach",)),
        Claim("agentic.ops.forecast", "forecast", "APPROACHING", "APPROACHING", "ops_horizon", "success_rate",
              "probability within +0.5 OOM", "linear", "up", 0.05, 0.07, B=0.07, W=0.05, T=0.10, proximity=0.7,
              margin_score=0.03),
    )  # fmt: skip
    verdict = Verdict("INVALID", f"SIMULATED INVALID: 1 of 4 claims lacks its evidence {text}", LOCAL + text, True, 4,
                      "2026-11-21T12:00:00Z", "internal", "light", "internal-example", "2026-11-01", claims,
                      (Panel("months", True, "0 of 6 months"),), ("a new checkpoint" + text,), ("note " + text,), (),
                      (("logs/a.eval" + text, "s1", "uuid"),))  # fmt: skip
    counts = (120, 3, 0, 9, 4, 1) if scored else (0, 40, 0, 60, 0, 37)
    return ReportData(
        name=name + text, version="0.1", verdict=verdict, scalings=scalings, forecasts=(forecast,), levels=tuple(levels),
        status_names=STATUS, statuses=tuple(Statuses(m, role, counts) for m, _, role, _ in models),
        costs=tuple(Cost(m, role, sum(counts), 41_000, 2_300, None, 210.0) for m, _, role, _ in models),
        log10_flop={m: c for m, _, _, c in models if c is not None},
        facts=(("tier", "light"), ("salt", "dev" + text)), digests=(("policy", "ab" * 32), ("store" + text, "cd" * 32)),
        comparability=(("0f" * 8, "ops_horizon", 1234),), problems=("events.jsonl is missing" + text,),
        checklist=(Check("N, D and C known", True, ""), Check("several benchmarks", False, "one" + text),
                   Check("contamination", None, "")),
        as_of="2026-11-21T12:00:00Z",
    )  # fmt: skip


ACTIVE = {"script", "iframe", "object", "embed", "form", "image", "foreignobject", "base", "use", "img"}


class Seen(HTMLParser):
    """Everything in a page that could run, load or link, and the ids of headings."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.bad: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag in ACTIVE:
            self.bad.append(tag)
        for name, value in attrs:
            if name.startswith("on") or (
                name in {"src", "href", "xlink:href", "action", "srcset"}
                and not (value or "").startswith(("#", "data:,"))
            ):
                self.bad.append(f"{tag} {name}={value}")
            if name == "id" and value == "forged":
                self.bad.append("forged element")

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def seen(page: str) -> Seen:
    parser = Seen()
    parser.feed(page)
    parser.close()
    return parser


@pytest.fixture(scope="module")
def page() -> str:
    return render(sample())


def test_the_page_runs_nothing_and_loads_nothing(page: str) -> None:
    assert seen(page).bad == []
    assert "default-src 'none'; style-src 'unsafe-inline'; img-src data:" in page.replace("&#39;", "'")
    assert not re.search(r"url\(|@import|https?://(?!www\.w3\.org/2000/svg)", page)


def test_the_verdict_is_the_first_thing_said_and_carries_simulated(page: str) -> None:
    text = " ".join(seen(page).text)
    assert (
        text.index("SIMULATED") < text.index("INVALID: 1 of 4 claims") < text.index("How near is each claim")
    )
    assert "does not establish that a model is safe" in text


def test_the_same_data_gives_the_same_bytes(page: str) -> None:
    assert render(sample()) == page


def test_every_figure_asks_a_question_answers_it_and_has_its_table(page: str) -> None:
    found = re.findall(r"<figure.*?</figure>", page, flags=re.S)
    assert len(found) >= 9
    for figure in found:
        title = re.search(r"<h3>(.*?)</h3>", figure)
        answer = re.search(r'<p class="answer">(.*?)</p>', figure, flags=re.S)
        assert title is not None and title[1].endswith("?")
        assert answer is not None and len(answer[1]) > 20
        if "<svg" in figure:
            assert "<table>" in figure
            for svg in re.findall(r"<svg.*?</svg>", figure, flags=re.S):
                label = re.search(r'aria-labelledby="(\S+) (\S+)"', svg)
                assert label is not None
                assert f'<title id="{label[1]}">' in svg and f'<desc id="{label[2]}">' in svg


def test_ids_are_unique(page: str) -> None:
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("text", HOSTILE, ids=[f"{i}" for i in range(len(HOSTILE))])
def test_hostile_text_everywhere_is_harmless_text(text: str) -> None:
    page = render(sample(2, 1, text=text))
    parsed = seen(page)
    assert parsed.bad == []
    assert len(page.encode()) < 1_000_000
    clean = seen(render(sample(2, 1, text="x")))
    assert sorted(parsed.tags) == sorted(clean.tags)
    assert not any(ord(c) < 32 and c != "\n" for c in page)
    assert not re.search("[\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\x7f]", page)
    assert not re.search("\u0301{3}", page)


@given(st.text(min_size=1, max_size=80))
@settings(max_examples=60, deadline=None)
def test_any_text_leaves_the_elements_of_a_picture_as_they_were(text: str) -> None:
    canvas = Canvas("u", 100, 50, text, text)
    canvas.text(0, 0, text)
    canvas.mark(1, 1, 0, "#000000", hollow=False, tip=text)
    assert seen(str(canvas.render())).tags == ["svg", "title", "desc", "text", "circle", "title"]


@pytest.mark.parametrize(
    "data",
    [
        sample(0, 1),
        sample(1, 1, real=False),
        sample(scored=False),
        sample(60, 12),
        sample(status="not_identified"),
        sample(status="not_within_cap"),
        ReportData("empty", "0"),
    ],
    ids=[
        "one model",
        "one simulated",
        "none scored",
        "60 models",
        "not identified",
        "not within cap",
        "empty",
    ],
)
def test_small_empty_and_large_studies_draw_a_page_below_one_megabyte(data: ReportData) -> None:
    page = render(data)
    assert seen(page).bad == []
    assert len(page.encode()) < 1_000_000
    assert not re.search(r"\b(nan|inf|None)\b", " ".join(seen(page).text))


def test_a_crossing_that_is_not_identified_is_said_in_words_and_never_drawn() -> None:
    page = render(sample(status="not_identified"))
    assert "Not identified" in page and "no evidence of safety" in page
    assert 'class="cross"' not in page
    assert 'class="cross"' in render(sample())


def test_a_study_where_nothing_was_scored_says_so_and_shows_no_rate() -> None:
    text = " ".join(seen(render(sample(scored=False))).text)
    assert "Nothing is: none of" in text
    assert "nothing is known" in text
    assert "beats the random floor" not in text


def test_a_page_without_a_verdict_rules_nothing_out() -> None:
    page = render(dataclasses.replace(sample(), verdict=None))
    assert "NO VERDICT" in page and "nothing is ruled out" in page


def test_simulated_models_are_hollow_and_named_so_in_every_table(page: str) -> None:
    rows = [r for r in re.findall(r"<tr>.*?</tr>", page, flags=re.S) if "sim/smooth" in r]
    assert rows and all("SIMULATED" in r for r in rows)
    drawn = re.findall(r'<circle[^>]*fill="(#\w+)"[^>]*><title>sim/', page)
    assert drawn and set(drawn) == {"#fff"}


def test_the_floor_sentence_follows_the_bounds() -> None:
    def said(estimate: float, low: float, high: float) -> str:
        row = LevelRate(
            "openai/m", "real", "ops_horizon", "choice", "base", 0, estimate, low, high, 40, 0, 0.25
        )
        return " ".join(seen(render(ReportData("x", "0", levels=(row,)))).text)

    assert "beats the random floor" in said(0.6, 0.5, 0.7)
    assert "is not shown to beat the random floor" in said(0.3, 0.2, 0.4)
    assert "lies below the random floor" in said(0.1, 0.05, 0.2)


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), (math.nan, "–"), (math.inf, "∞"), (0.0, "0"), (1024.0, "1,024"), (0.0004, "0.0004"), (-0.12, "−0.12"),
     (26.0, "26")],
)  # fmt: skip
def test_numbers_are_short_and_nothing_is_never_zero(value: float | None, text: str) -> None:
    assert num(value) == text


@pytest.mark.parametrize(
    ("bounds", "text"),
    [((0.4, 0.3, 0.5), "0.4 (0.3 to 0.5)"), ((116.0, 16.6, math.inf), "116 (at least 16.6)"),
     ((math.nan, None, 0.7), "– (at most 0.7)"),
     ((None, None, None), "–")],
)  # fmt: skip
def test_a_bound_that_is_not_there_is_never_drawn_as_one(bounds: tuple[float | None, ...], text: str) -> None:
    assert interval(*bounds) == text


@given(st.floats(0, 1))
def test_a_share_rounds_to_an_end_only_where_it_is_one(share: float) -> None:
    assert (percent(share) == "0 %") == (share == 0)
    assert (percent(share) == "100 %") == (share == 1)


@given(st.text(max_size=60), st.floats(20, 300))
def test_a_label_never_exceeds_its_room(text: str, px: float) -> None:
    assert width_of(fit(text, px)) <= px or fit(text, px) == "…"
    assert not {unicodedata.category(c) for c in shown(text)} & {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    r, g, b = ((v / 12.92 if v <= 0.03928 else ((v + 0.055) / 1.055) ** 2.4) for v in parts)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def contrast(a: str, b: str) -> float:
    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_text_and_marks_have_enough_contrast() -> None:
    from dangercurve.analysis.report.figure import GREY, PALETTE
    from dangercurve.analysis.report.ladder import shade

    style = re.search(r"<style>(.*?)</style>", render(ReportData("x", "0")), flags=re.S)
    assert style is not None
    named = dict(re.findall(r"--(\w+):(#\w{6})", style[1]))
    for name in ("ink", "soft", "blue", "red", "amber", "green", "violet", "grey"):
        assert contrast(named[name], "#ffffff") >= 4.5, name
        assert contrast(named[name], named["ground"]) >= 4.5, name
    assert all(contrast(colour, "#ffffff") >= 4.5 for colour in (*PALETTE, GREY))
    for k in range(101):
        ink = "#ffffff" if k > 50 else named["ink"]
        assert contrast(shade(k / 100), ink) >= 4.5, k
