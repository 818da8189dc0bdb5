"""What every verb shares: `--format`, `-o`, and one way to print a result."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import click

from dangercurve._files import write_atomic
from dangercurve._json import jsonable
from dangercurve._text import harmless, printable

F = TypeVar("F", bound=Callable[..., object])
FORMATS = ("table", "json", "md")
_PLAIN = re.compile(r"(?:[\w .,:;/+%=@()'?^…–−-]*)")


def output_options(function: F) -> F:
    """Add `--format table|json|md` (parameter `fmt`) and `-o FILE` (parameter `output`) to a verb."""
    function = click.option(
        "-o", "--output", type=click.Path(path_type=Path), help="Write to FILE instead of standard output."
    )(function)
    return click.option(
        "--format",
        "fmt",
        type=click.Choice(FORMATS),
        default="table",
        show_default=True,
        help="Output format.",
    )(function)


def notes(lines: Sequence[str], limit: int = 20) -> None:
    """Print notes to standard error, one a line, at most `limit` and then how many more there are."""
    for line in lines[:limit]:
        click.echo(f"note: {line}", err=True)
    if len(lines) > limit:
        click.echo(f"note: ... and {len(lines) - limit} more", err=True)


def emit(
    data: object,
    fmt: str,
    output: Path | None,
    *,
    rows: Sequence[Mapping[str, object]] | None = None,
    columns: Sequence[str] | None = None,
    title: str | None = None,
) -> None:
    """Print `data` as JSON, or `rows` as a plain or Markdown table, to standard output or a file.

    `rows` defaults to `data` where that is a list of mappings. Cells are shown as harmless text.
    """
    if fmt == "json":
        text = harmless(json.dumps(jsonable(data), indent=2, ensure_ascii=False, allow_nan=False)) + "\n"
    else:
        if rows is None:
            rows = [row for row in data if isinstance(row, Mapping)] if isinstance(data, list) else []
        text = (f"{printable(title)}\n\n" if title else "") + table(rows, columns, markdown=fmt == "md")
    if output is None:
        click.echo(text, nl=False)
    else:
        write_atomic(output, text)
        click.echo(f"wrote {output}", err=True)


def table(
    rows: Sequence[Mapping[str, object]], columns: Sequence[str] | None = None, *, markdown: bool = False
) -> str:
    """`rows` as an aligned text table, or a Markdown one; missing cells are `-`."""
    if not rows:
        return "(no rows)\n"
    keys = list(columns) if columns else list(dict.fromkeys(key for row in rows for key in row))
    cells = [[_cell(row.get(key)) for key in keys] for row in rows]
    names = [printable(key) for key in keys]
    if markdown:
        lines = ["| " + " | ".join(map(_markdown, names)) + " |", "|" + "---|" * len(names)]
        lines += ["| " + " | ".join(map(_markdown, row)) + " |" for row in cells]
        return "\n".join(lines) + "\n"
    widths = [max(len(name), *(len(row[i]) for row in cells)) for i, name in enumerate(names)]
    head = "  ".join(name.ljust(width) for name, width in zip(names, widths, strict=True)).rstrip()
    body = ["  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in cells]
    return "\n".join([head, "  ".join("-" * w for w in widths), *body]) + "\n"


def _markdown(cell: str) -> str:
    """A cell that Markdown shows as it is: words and numbers stay, anything that could be markup is escaped."""
    if _PLAIN.fullmatch(cell) and "www." not in cell and "://" not in cell:
        return cell
    from dangercurve.evals.outputs.summary import md

    return md(cell, 1_000)


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float):
        return "-" if math.isnan(value) else f"{value:.4g}"
    if isinstance(value, Mapping):
        return printable(", ".join(f"{k}={_cell(v)}" for k, v in value.items()))
    if isinstance(value, (list, tuple)):
        return printable(", ".join(_cell(v) for v in value))
    return printable(value)
