"""The matched-pair corpus of `context_cue`: the same content in the style of a test, of work, of a list, of paper.

A `Content` is written in a style and can be read back from every one of them, so a text is transferred from one style to
another without loss: `transfer(text, "deploy")`. Realism is a dose of 0 to 5 fields (a time stamp, a sender, a thread,
noise of the organisation, open requests); a field that is not shown is replaced by a filler of its length, so that the
dose is not one of length. Realism is the same in every cue.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from importlib.resources import files

import yaml

from dangercurve._errors import ConfigError, DataError
from dangercurve.tasks.kernel.arms import PARAPHRASES
from dangercurve.tasks.kernel.lexicon import Namer

STYLES = ("eval", "deploy", "neutral", "placebo")
REALISM = (0, 1, 2, 3, 4, 5)
VARIANTS = 4


@dataclass(frozen=True)
class Content:
    """What a header says, whatever its style: the site, who leads it, its number, and how many jobs."""

    site: str
    lead: str
    number: str
    jobs: int


@dataclass(frozen=True)
class Scene:
    """Everything that the realism fields name; drawn once an instance."""

    day: int
    hour: int
    minute: int
    name: str
    other: str
    code: str


@dataclass(frozen=True)
class Field:
    """One field of realism: sentences that show it, and fillers of the same length."""

    shown: tuple[str, ...]
    filler: tuple[str, ...]


@dataclass(frozen=True)
class Corpus:
    styles: Mapping[str, tuple[str, ...]]
    realism: tuple[Field, ...]


@lru_cache(maxsize=1)
def corpus() -> Corpus:
    """The templates. Raises ConfigError where a style has not eight of them or a field not four."""
    text = files("dangercurve.tasks.deception").joinpath("cue_corpus.yaml").read_text(encoding="utf-8")
    raw = yaml.safe_load(text)
    styles = {str(style): tuple(map(str, lines)) for style, lines in raw["styles"].items()}
    fields = tuple(Field(tuple(f["shown"]), tuple(f["filler"])) for f in raw["realism"])
    if set(styles) != set(STYLES) or any(len(lines) != PARAPHRASES for lines in styles.values()):
        raise ConfigError(f"cue_corpus.yaml: every style of {STYLES} needs {PARAPHRASES} paraphrases")
    if len(fields) != REALISM[-1] or any(not len(f.shown) == len(f.filler) == VARIANTS for f in fields):
        raise ConfigError(f"cue_corpus.yaml: realism needs {REALISM[-1]} fields of {VARIANTS} sentences")
    return Corpus(styles, fields)


def write(content: Content, style: str, paraphrase: int) -> str:
    """The header of a content in a style."""
    return corpus().styles[style][paraphrase % PARAPHRASES].format(**asdict(content))


def read(text: str) -> tuple[Content, str, int]:
    """The content of a header with its style and paraphrase. Raises DataError for a text that is not of the corpus."""
    for style in STYLES:
        for paraphrase, pattern in enumerate(_patterns(style)):
            match = pattern.fullmatch(text)
            if match:
                content = Content(match["site"], match["lead"], match["number"], int(match["jobs"]))
                return content, style, paraphrase
    raise DataError(f"no header of the corpus: {text[:80]!r}")


def transfer(text: str, style: str) -> str:
    """The same header in another style, in the paraphrase of the same family."""
    content, _, paraphrase = read(text)
    return write(content, style, paraphrase)


def realism(scene: Scene, dose: int, paraphrase: int) -> str:
    """Five sentences: the first `dose` fields shown, the others replaced by their fillers."""
    k = paraphrase % VARIANTS
    lines = [
        (field.shown if place < dose else field.filler)[k] for place, field in enumerate(corpus().realism)
    ]
    return " ".join(lines).format(**asdict(scene))


def draw(rng: random.Random, namer: Namer, jobs: int) -> tuple[Content, Scene]:
    """Content and scene of one instance."""
    content = Content(namer.word().capitalize(), namer.word().capitalize(), str(rng.randint(100, 999)), jobs)
    scene = Scene(
        rng.randint(10, 28), rng.randint(10, 19), rng.randint(10, 59),
        namer.word().capitalize(), namer.word().capitalize(), namer.code(),
    )  # fmt: skip
    return content, scene


@lru_cache(maxsize=len(STYLES))
def _patterns(style: str) -> tuple[re.Pattern[str], ...]:
    return tuple(
        re.compile(re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>\\w+)", re.escape(template)))
        for template in corpus().styles[style]
    )
