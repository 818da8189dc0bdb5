"""The report page: what it says, what it never says, that hostile text stays text, and that a browser shows it."""

from __future__ import annotations

import base64
import csv
import dataclasses
import hashlib
import io
import json
import math
import re
import unicodedata
from html.parser import HTMLParser

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support_report import HOSTILE, sample

from dangercurve.analysis.report import draw, theme
from dangercurve.analysis.report.capability import capability
from dangercurve.analysis.report.data import LevelRate, ReportData
from dangercurve.analysis.report.figure import Figure, table_csv
from dangercurve.analysis.report.floor import against_floor
from dangercurve.analysis.report.page import figures_of, render
from dangercurve.analysis.report.text import clean, cut, labels, shown
from dangercurve.analysis.report.words import interval, num, percent

ACTIVE = {"iframe", "object", "embed", "form", "image", "foreignobject", "base", "use", "img"}


class Seen(HTMLParser):
    """Everything in a page that could run, load or link, and the ids of headings."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.scripts: list[str | None] = []
        self.bad: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag == "script":
            self.scripts.append(dict(attrs).get("type"))
        if tag in ACTIVE:
            self.bad.append(tag)
        for name, value in attrs:
            if name.startswith("on") or (
                name in {"src", "href", "xlink:href", "action", "srcset"}
                and not (value or "").startswith(
                    ("#", "data:,", "data:text/csv;base64,", "view/index.html#/logs/")
                )
            ):
                self.bad.append(f"{tag} {name}={value}")
            if name == "id" and value == "forged":
                self.bad.append("forged element")

    def handle_data(self, data: str) -> None:
        if self.lasttag not in ("script", "style"):
            self.text.append(data)


def seen(page: str) -> Seen:
    parser = Seen()
    parser.feed(page)
    parser.close()
    return parser


def drawn_wide(figure: Figure) -> str:
    return draw.svg(figure, draw.specification(figure, theme.WIDE), "c")


@pytest.fixture(scope="module")
def page() -> str:
    return render(sample())


def test_the_page_loads_nothing_and_runs_only_the_script_that_its_policy_names(page: str) -> None:
    parsed = seen(page)
    assert parsed.bad == []
    assert [kind for kind in parsed.scripts if kind != "application/json"] == [None]
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', page)
    assert policy is not None
    rules = policy[1].replace("&#39;", "'")
    script, style = (re.search(f"<{tag}>(.*?)</{tag}>", page, flags=re.S) for tag in ("script", "style"))
    assert script is not None and style is not None
    for name, text in (("script-src", script[1]), ("style-src", style[1])):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{name} 'sha256-{digest}';" in rules
    assert "unsafe" not in rules and "default-src 'none'" in rules
    assert not re.search(r"https?://(?!www\.w3\.org/)", page)
    assert not re.search(r"url\((?!#)|@import|\sstyle=|\son[a-z]+=", page.replace(script[1], ""))


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


@pytest.mark.parametrize(
    "text", ["".join(HOSTILE[:7]), "".join(HOSTILE[8:]) + HOSTILE[7]], ids=["code", "long"]
)
def test_hostile_text_everywhere_is_harmless_text(text: str) -> None:
    page = render(sample(2, 1, text=text))
    parsed = seen(page)
    assert parsed.bad == []
    clean = seen(render(sample(2, 1, text="x")))
    skeleton = {
        "tspan",
        "text",
        "path",
        "g",
        "defs",
        "clippath",
        "rect",
        "line",
        "title",
    }  # of charts: lengths of labels
    assert [t for t in parsed.tags if t not in skeleton] == [t for t in clean.tags if t not in skeleton]
    body = re.sub(r"<script>.*?</script>", "", page, flags=re.S)
    assert not any(ord(c) < 32 and c != "\n" for c in body)
    assert not re.search("[\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\x7f]", body)
    assert not re.search("\u0301{3}", body)


@pytest.mark.parametrize("text", HOSTILE, ids=[f"{i}" for i in range(len(HOSTILE))])
def test_hostile_text_is_one_short_line_and_no_csv_cell_is_a_formula(text: str) -> None:
    assert len(shown(text)) < 3000
    assert not {unicodedata.category(c) for c in shown(text)} & {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
    for start in ("=1+1", "+1", "-1", "@x", "\t=1"):
        figure = Figure("f", "?", "", None, ("name", start), ((start + text, 0.5),))
        cells = list(csv.reader(io.StringIO(table_csv(figure))))
        assert len(cells) == 2 and all(not c[0].startswith(("=", "+", "-", "@", "\t", "\r")) for c in cells)


@given(st.text(min_size=1, max_size=80))
@example("0" * 38 + "A\u00c6\u00c6\U00010000")
@settings(max_examples=25, deadline=None)
def test_any_text_leaves_the_elements_of_a_picture_and_a_specification_as_they_were(text: str) -> None:
    def made(word: str) -> Figure:
        return Figure("f", word, word, lambda width: theme.stacked([theme.note(word, 5, 5)],
                                                                    width, 50), (), ())  # fmt: skip

    safe = clean(text)
    spec = draw.specification(made(safe), 300)
    picture = seen(draw.svg(made(safe), spec, "f"))
    assert set(picture.tags) <= {"svg", "title", "desc", "rect", "g", "path", "text"} and picture.bad == []
    live = draw.interactive(spec)
    assert not set(live) & set("<>&") and json.loads(live)["layer"]


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
def test_small_empty_and_large_studies_draw_a_page_below_two_megabytes(data: ReportData) -> None:
    page = render(data)
    assert seen(page).bad == []
    assert len(page.encode()) < 2_000_000
    assert not re.search(r"\b(nan|inf|None|NaN|undefined|null)\b", " ".join(seen(page).text))


def test_a_crossing_that_is_not_identified_is_said_in_words_and_never_drawn() -> None:
    crossing = f'stroke="{theme.RED}" stroke-width="5"'
    for status, drawn in (("not_identified", False), ("identified", True)):
        figure = capability("c", sample(status=status).scalings[0], {})
        assert (crossing in drawn_wide(figure)) == drawn
        assert ("Not identified" in figure.answer and "no evidence of safety" in figure.answer) != drawn


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
    picture = drawn_wide(capability("c", sample(real=False).scalings[0], {}))
    assert picture.count('fill="white" stroke="') >= 7
    discs = re.findall(r'<path transform="translate\(([^"]*)\)" d="M[^"]*A[^"]*" fill="#\w{6}"', picture)
    assert len(set(discs)) <= 1  # the legend has its own


def test_the_floor_sentence_follows_the_bounds() -> None:
    def said(estimate: float, low: float, high: float) -> str:
        row = LevelRate(
            "openai/m", "real", "ops_horizon", "choice", "base", 0, estimate, low, high, 40, 0, 0.25
        )
        return against_floor(ReportData("x", "0", levels=(row,)), {}).answer

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


@given(st.lists(st.text(max_size=60), max_size=12), st.integers(8, 40))
def test_labels_fit_their_room_and_tell_every_name_apart(names: list[str], limit: int) -> None:
    found = labels(names, limit)
    assert len(set(found)) == len(found) == len(names)
    assert all(len(label) <= limit + 1 for label in found)
    assert all(cut(name, limit) == name for name in names if len(name) <= limit)


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    r, g, b = ((v / 12.92 if v <= 0.03928 else ((v + 0.055) / 1.055) ** 2.4) for v in parts)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def contrast(a: str, b: str) -> float:
    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_text_and_marks_have_enough_contrast() -> None:
    from dangercurve.analysis.report.ladder import shade
    from dangercurve.analysis.report.theme import GREY, PALETTE

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


def test_a_figure_without_data_names_the_command_or_setting_that_gives_it() -> None:
    for figure in figures_of(ReportData("empty", "0")):
        assert figure.chart is None and figure.answer.endswith(".")
        assert "`" in figure.missing, figure.id


def test_every_chart_is_valid_vega_lite_at_both_widths_and_asks_one_question() -> None:
    found = figures_of(sample())
    assert len({f.question for f in found}) == len({f.id for f in found}) == len(found) > 20
    for figure in found:
        if figure.chart is not None:
            assert figure.rows, figure.id
            for width in (theme.WIDE, theme.NARROW):
                assert figure.chart(width).to_dict()["layer"]  # Altair checks it against the schema


def test_every_table_is_a_csv_without_formulas() -> None:
    for figure in figures_of(sample(2, 1, text="=1+1")):
        cells = [cell for row in csv.reader(io.StringIO(table_csv(figure))) for cell in row]
        assert not any(cell.startswith(("=", "+", "@")) for cell in cells)
