"""Progress on a terminal, as lines for machines, or not at all."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from dangercurve._text import printable
from dangercurve.evals.planning.prices import usd_text
from dangercurve.evals.progress.progress import CellState, Snapshot

if TYPE_CHECKING:
    from rich.console import RenderableType

LINE_EVERY_S = 15.0
ROWS = 12


@dataclass(frozen=True)
class Display:
    """Where a run's words go: `tell` a line of text, `show` a snapshot."""

    tell: Callable[[str], None]
    show: Callable[[Snapshot], None]


@contextmanager
def display(quiet: bool = False, stream: IO[str] | None = None) -> Iterator[Display]:
    """A live view on a terminal; else one line `progress key=value ...` every 15 seconds; problems alone where `quiet`."""
    out = stream or sys.stderr
    began = time.monotonic()

    def plain(line: str) -> None:
        print(f"[{time.monotonic() - began:5.0f} s] {line}", file=out, flush=True)

    if quiet:
        yield Display(lambda line: plain(line) if _matters(line) else None, lambda _: None)
    elif out.isatty():
        yield from _live(out, began)
    else:
        yield Display(plain, Lines(out).show)


class Lines:
    """Machine-readable lines: at most one in 15 seconds, and one whenever the cells of a model ended or all is done."""

    def __init__(self, out: IO[str], now: Callable[[], float] = time.monotonic) -> None:
        self._out, self._now, self._next = out, now, now() + LINE_EVERY_S

    def show(self, made: Snapshot) -> None:
        if self._now() >= self._next or made.stage.endswith("ended") or made.state != "running":
            self._next = self._now() + LINE_EVERY_S
            print(line_of(made), file=self._out, flush=True)


def line_of(made: Snapshot) -> str:
    """A snapshot as one line of `key=value`; what is not known is `unknown`, never 0."""

    def said(value: float | None, digits: int = 1) -> str:
        return "unknown" if value is None else f"{value:.{digits}f}"

    parts = {
        "study": made.study,
        "state": made.state,
        "done": made.done,
        "total": made.total,
        "left": made.left,
        "not_scored": made.missing,
        "flags": made.flags,
        "seconds": said(made.seconds),
        "seconds_left": said(made.seconds_left),
        "tokens_in": made.input_tokens,
        "tokens_out": made.output_tokens,
        "usd": said(made.usd, 4),
        "usd_left": said(made.usd_left, 4),
        "usd_unknown": ",".join(printable(m, 80) for m in made.unpriced) or "none",
    }
    return "progress " + " ".join(f"{key}={str(value).replace(' ', '_')}" for key, value in parts.items())


def summary_of(made: Snapshot) -> str:
    """A snapshot as a sentence."""
    cost = usd_text(made.usd, made.unpriced)
    if not made.left:
        took, ahead = f"all done in {clock(made.seconds)}", ""
    else:
        left = "time left unknown" if made.seconds_left is None else f"about {clock(made.seconds_left)} more"
        took = f"{made.left:,} left; {clock(made.seconds)}, {left}"
        ahead = "" if not made.usd_left else f", about {usd_text(made.usd_left)} more"
    flags = f", {made.flags} flag{'s' if made.flags > 1 else ''}" if made.flags else ""
    return f"{made.done:,} of {made.total:,} samples, {took}; cost {cost}{ahead}; {made.missing:,} not scored{flags}"


def estimate_parts(cell: CellState) -> list[str]:
    """The running estimate, a text a level: `L0 0.95 [0.71, 1.00] n=20`."""
    parts = []
    for e in cell.estimates:
        mean = "none scored" if e.mean is None else f"{e.mean:.2f}"
        missing = f" missing={e.missing}" if e.missing else ""
        parts.append(f"L{e.level} {mean} [{e.lcb:.2f}, {e.ucb:.2f}] n={e.n}{missing}")
    return parts


def _live(out: IO[str], began: float) -> Iterator[Display]:
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    console = Console(file=out, highlight=False, markup=False, emoji=False)
    with Live(Text(""), console=console, auto_refresh=False, transient=True) as live:

        def tell(line: str) -> None:
            live.console.print(Text(f"[{time.monotonic() - began:5.0f} s] {printable(line, 2000)}"))

        yield Display(tell, lambda made: live.update(view(made), refresh=True))


def view(made: Snapshot) -> RenderableType:
    """A snapshot for a terminal: a bar, the sums, and the running estimates of cells that are under way."""
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    label = "SIMULATED models among them. " if made.simulated else ""
    grid = Table(box=None, padding=(0, 1), show_edge=False)
    for name in (
        "model",
        "family",
        "done",
        "success so far, by level (95 % at each end, however often you look)",
    ):
        grid.add_column(name, overflow="fold", no_wrap=False)
    going = [c for c in made.cells if 0 < c.done < c.total] or [c for c in made.cells if c.done][-3:]
    for cell in going[:ROWS]:
        done = f"{cell.done}/{cell.total}"
        row = (cell.model, f"{cell.family} ({cell.interface})", done, "  ".join(estimate_parts(cell)))
        grid.add_row(*(Text(printable(text, 400)) for text in row))
    more = Text(f"and {len(going) - ROWS} more cells under way") if len(going) > ROWS else Text("")
    bar = Table.grid()
    bar.add_row(ProgressBar(total=max(made.total, 1), completed=made.done, width=40))
    return Group(bar, Text(f"{label}{summary_of(made)}"), grid, more)


def _matters(line: str) -> bool:
    return line.lstrip().startswith(("problem", "anomaly", "stopped"))


def clock(seconds: float | None) -> str:
    """Seconds in words: `45 s`, `12 min`, `3.2 h`, `2.1 d`; `unknown` where there are none."""
    if seconds is None:
        return "unknown"
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 48 * 3600 else f"{seconds / 86400:.1f} d"
