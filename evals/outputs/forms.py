"""One verdict, every form: by name, and all of them into a folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from dangercurve._files import write_atomic
from dangercurve.evals.gating.verdict import Verdict, canonical
from dangercurve.evals.outputs.code_of_practice import as_code_of_practice
from dangercurve.evals.outputs.every_eval import as_every_eval
from dangercurve.evals.outputs.junit import as_junit
from dangercurve.evals.outputs.sarif import as_sarif
from dangercurve.evals.outputs.stream import as_stream
from dangercurve.evals.outputs.summary import as_summary
from dangercurve.evals.outputs.text import as_text

FORMS: dict[str, Callable[[Verdict], str]] = {
    "json": lambda verdict: canonical(verdict).decode("ascii"),
    "md": as_summary,
    "xml": as_junit,
    "sarif": as_sarif,
}
FILES = {
    "verdict.json": "json",
    "verdict.txt": "text",
    "summary.md": "md",
    "junit.xml": "xml",
    "verdict.sarif": "sarif",
}


def render(verdict: Verdict, form: str) -> str:
    """The verdict as json, md, xml (JUnit) or sarif; any other name gives plain text."""
    return FORMS.get(form, as_text)(verdict)


EXPORTS: dict[str, Callable[[Verdict], str]] = {
    "stream": as_stream,
    "code-of-practice": as_code_of_practice,
    "every-eval": as_every_eval,
    "junit": as_junit,
    "summary": as_summary,
    "text": as_text,
    "json": FORMS["json"],
}


def export(verdict: Verdict, form: str, baseline: Verdict | None = None) -> str:
    """The verdict in a named export format; SARIF compares with `baseline` where there is one."""
    return as_sarif(verdict, baseline) if form == "sarif" else EXPORTS[form](verdict)


def write_all(verdict: Verdict, folder: Path) -> list[Path]:
    """Every form into `folder`, under the names of FILES."""
    return [write_atomic(folder / name, render(verdict, form)) for name, form in FILES.items()]
