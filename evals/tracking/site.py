"""The pages of the live dashboard: from an address to a page. Nothing in an address ever opens a file.

An address names a run and a log by digests that are looked up among those that were given on the command line.
"""

from __future__ import annotations

import base64
import hashlib
import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from markupsafe import Markup

from dangercurve._errors import DangercurveError
from dangercurve._text import printable
from dangercurve._version import __version__
from dangercurve.evals.gating.comparability import distinct_names
from dangercurve.evals.policy import LoadedPolicy
from dangercurve.evals.progress.progress import CellState, Snapshot
from dangercurve.evals.progress.show import estimate_parts, summary_of
from dangercurve.evals.track import find_runs, track
from dangercurve.evals.tracking.live import (
    Live,
    LogFile,
    logs_of,
    read_live,
    samples_of,
    token_of,
    viewer_command,
    viewer_link,
)
from dangercurve.evals.tracking.page import TEMPLATES, body, environment, style

EVERY_S = 4
PAGE = 100
RECENT = 15
_RUN = re.compile(r"/runs/([0-9a-f]{12})")
_LOG = re.compile(r"/runs/([0-9a-f]{12})/logs/([0-9a-f]{12})")


@dataclass(frozen=True)
class Answer:
    """What a request gets."""

    status: int
    page: str


class Site:
    """The dashboard over the runs in `paths`, read anew for each request."""

    def __init__(
        self,
        paths: Sequence[Path],
        policy: LoadedPolicy | None = None,
        ledgers: Sequence[Path] = (),
        viewer_port: int = 7575,
    ) -> None:
        self._paths, self._policy, self._ledgers = list(paths), policy, list(ledgers)
        self._viewer = viewer_port
        self._lock = threading.Lock()
        self._track: tuple[object, dict[str, object]] | None = None

    def check(self) -> None:
        """Raise where there is nothing to show, before a server starts."""
        find_runs(self._paths)

    def answer(self, target: str) -> Answer:
        """The page for a request target such as `/runs/0123456789ab?page=2`."""
        parts = urlsplit(target)
        if parts.path == "/":
            return Answer(200, self._index())
        log, run = _LOG.fullmatch(parts.path), _RUN.fullmatch(parts.path)
        token = log[1] if log else run[1] if run else ""
        live = next((one for one in self._runs() if one.token == token), None)
        if live is None:
            return Answer(404, self._say("There is no such page.", "Go back to the runs."))
        if not log:
            return Answer(200, self._run(live))
        held = next((one for one in logs_of(live.root) if one.token == log[2]), None)
        if held is None:
            return Answer(
                404, self._say("This run holds no such log.", "It may have been replaced by a later one.")
            )
        return Answer(200, self._samples(live, held, _page(parts.query)))

    def _runs(self) -> list[Live]:
        folders = [p for p in find_runs(self._paths) if p.is_dir()]
        names = distinct_names([p.resolve() for p in folders])
        return [read_live(name, path) for name, path in zip(names, folders, strict=True)]

    def _index(self) -> str:
        runs = self._runs()
        shown = self._body()
        verdicts = shown.get("verdicts")
        verdicts = verdicts if isinstance(verdicts, dict) else {}
        rows = [
            {
                "token": live.token,
                "label": live.label,
                "state": live.state,
                "verdict": verdicts.get(live.token),
                "summary": summary_of(live.snapshot) if live.snapshot else "no live numbers in this folder",
                "simulated": bool(live.snapshot and live.snapshot.simulated),
                "flags": len(live.flags),
            }
            for live in sorted(runs, key=lambda one: not one.going)
        ]
        title = "Dashboard: runs and safety margins"
        return self._page(
            "index.html.j2", any(r.going for r in runs), {**shown, "runs": rows, "title": title}
        )

    def _body(self) -> dict[str, object]:
        """The lineage; made again only where a verdict or a ledger changed, since estimates are compared in it."""
        key = tuple(_stamp(p) for p in self._watched())
        with self._lock:
            if self._track is None or self._track[0] != key:
                try:
                    found = track(self._paths, policy=self._policy, ledgers=self._ledgers)
                    roots = {token_of(a.root): a.verdict.overall.value for a in found.assessments if a.root}
                    made = {**body(found), "error": "", "verdicts": roots}
                except DangercurveError as exc:
                    made = {"error": printable(exc, 600)}
                self._track = (key, made)
            return self._track[1]

    def _watched(self) -> list[Path]:
        found = []
        for path in find_runs(self._paths):
            found += [path / "verdict.json", path / "forecast_ledger.jsonl"] if path.is_dir() else [path]
        return [*found, *self._ledgers]

    def _run(self, live: Live) -> str:
        logs = {(log.model, log.task, log.interface): log for log in logs_of(live.root)}
        made = live.snapshot
        recent = (
            []
            if made is None
            else [self._recent(entry, logs) for entry in list(made.recent)[: -RECENT - 1 : -1]]
        )
        return self._page(
            "run.html.j2",
            live.going,
            {
                "title": f"{live.state}: {live.label}",
                "live": live,
                "made": made,
                "summary": summary_of(made)
                if made
                else "This folder holds no live numbers: it was run by an older version.",
                "tiles": _tiles(made) if made else [],
                "cells": [_cell(cell, logs) for cell in (made.cells if made else ())],
                "statuses": sorted(made.statuses.items(), key=lambda item: -item[1]) if made else [],
                "flags": [
                    {
                        "kind": f.kind.replace("_", " "),
                        "did": "cell stopped" if f.action == "stop" else "marked",
                        "cell": f"{f.cell.model} x {f.cell.family} ({f.cell.interface})",
                        "at": f"episode {f.n}",
                        "detail": f.detail,
                    }
                    for f in live.flags
                ],
                "recent": recent,
                "logs": [
                    {
                        "token": log.token,
                        "name": f"{log.model} x {log.task} ({log.interface})",
                        "status": log.status,
                    }
                    for log in logs_of(live.root)
                ],
                "viewer_command": viewer_command(live.root, self._viewer),
            },
        )

    def _recent(
        self, entry: dict[str, object], logs: dict[tuple[str, str, str], LogFile]
    ) -> dict[str, object]:
        log = logs.get((str(entry.get("model")), str(entry.get("family")), str(entry.get("interface"))))
        sample, _, epoch = str(entry.get("sample")).rpartition(" epoch ")
        known = log is not None and epoch.isdecimal()
        return {
            **entry,
            "link": viewer_link(self._viewer, log, sample, int(epoch)) if log is not None and known else "",
            "result": _result(entry.get("success")),
        }

    def _samples(self, live: Live, log: LogFile, page: int) -> str:
        rows = samples_of(log)
        pages = max(1, -(-len(rows) // PAGE))
        page = min(page, pages)
        shown = rows[(page - 1) * PAGE : page * PAGE]
        return self._page(
            "samples.html.j2",
            live.going,
            {
                "title": f"{log.model} x {log.task}: samples",
                "live": live,
                "log": log,
                "count": len(rows),
                "page": page,
                "pages": pages,
                "rows": [
                    {
                        "sample": row.sample,
                        "epoch": row.epoch,
                        "level": row.level,
                        "status": row.status,
                        "result": _result(row.success),
                        "link": viewer_link(self._viewer, log, row.sample, row.epoch),
                    }
                    for row in shown
                ],
                "viewer_command": viewer_command(live.root, self._viewer),
            },
        )

    def _say(self, first: str, then: str) -> str:
        return self._page("say.html.j2", False, {"title": first, "then": then})

    def _page(self, template: str, going: bool, values: dict[str, object]) -> str:
        return (
            environment()
            .get_template(template)
            .render(
                **{
                    "version": __version__,
                    "every": EVERY_S,
                    "going": going,
                    "script": script(),
                    "style": style(),
                    **values,
                }
            )
        )


def content_policy() -> str:
    """The content-security policy of the dashboard: one script and one style sheet by their digests, nothing from
    elsewhere, no frame."""
    digests = (
        base64.b64encode(hashlib.sha256(str(t).encode()).digest()).decode() for t in (script(), style())
    )
    return (
        "default-src 'none'; script-src 'sha256-{}'; style-src 'sha256-{}'; connect-src 'self'; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ).format(*digests)


@cache
def script() -> Markup:
    """The script that fetches a page again and swaps its content; without it the page reloads itself."""
    return Markup((TEMPLATES / "live.js").read_text(encoding="utf-8"))  # noqa: S704 - our own file


def _tiles(made: Snapshot) -> list[tuple[str, str, str]]:
    from dangercurve.evals.planning.prices import usd_text
    from dangercurve.evals.progress.show import clock

    share = f"{100 * made.done / made.total:.0f} %" if made.total else "none"
    left = "unknown" if made.seconds_left is None else clock(made.seconds_left)
    ahead = "unknown" if made.usd_left is None else usd_text(made.usd_left)
    unpriced = (
        f", no price of {len(made.unpriced)} model{'s' if len(made.unpriced) > 1 else ''}"
        if made.unpriced
        else ""
    )
    return [
        (share, "done", f"{made.done:,} of {made.total:,} samples"),
        (left, "expected still", f"{clock(made.seconds)} so far"),
        (
            "unknown" if made.usd is None else usd_text(made.usd),
            "cost so far",
            f"expected still {ahead}{unpriced}",
        ),
        (f"{made.input_tokens + made.output_tokens:,}", "tokens", f"{made.output_tokens:,} written"),
        (f"{made.missing:,}", "not scored", "count as missing evidence, never as a low score"),
    ]


def _cell(cell: CellState, logs: dict[tuple[str, str, str], LogFile]) -> dict[str, object]:
    log = logs.get((cell.model, cell.family, cell.interface))
    return {
        "model": ("SIMULATED " if cell.model.startswith(("sim/", "bot/")) else "") + cell.model,
        "family": f"{cell.family} ({cell.interface})",
        "done": cell.done,
        "total": cell.total,
        "estimates": estimate_parts(cell)
        or [
            "nothing played yet"
            if not cell.done
            else "no estimate: several conditions together, or none at rest"
        ],
        "token": log.token if log else "",
    }


def _result(success: object) -> str:
    return (
        "–" if success is None else "success" if success == 1 else "failure" if success == 0 else f"{success}"
    )


def _page(query: str) -> int:
    said = parse_qs(query[:200]).get("page", ["1"])[0]
    return max(1, int(said)) if said.isdecimal() and len(said) < 8 else 1


def _stamp(path: Path) -> tuple[str, int, int]:
    try:
        stat = path.stat()
    except OSError:
        return str(path), 0, 0
    return str(path), stat.st_mtime_ns, stat.st_size
