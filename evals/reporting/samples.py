"""The samples behind each number of a report, with the address of their transcript in Inspect's viewer."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from dangercurve.analysis.report.data_panels import Behind, Cell, Sample
from dangercurve.analysis.report.data_roles import Role
from dangercurve.evals.reporting.counts import at_rest
from dangercurve.evals.run_folder import log_paths, number

if TYPE_CHECKING:
    import pandas as pd

VIEWER = "view/index.html"
"""Where `inspect view bundle --log-dir logs --output-dir view` puts the viewer, from the run folder."""
MAX_SAMPLES, MAX_CELLS = 600, 500
MAX_ADDRESS = 300
ORDER: dict[Role, int] = {"real": 0, "SIMULATED": 1, "bot": 2}


def behind(frame: pd.DataFrame, roles: Mapping[str, Role], root: Path) -> tuple[Behind, ...]:
    """Every (model, family) with its cells, real models first.

    Each cell lists as many samples as let all cells together stay within MAX_SAMPLES: first what was not scored, then
    failures, then successes. Beyond MAX_CELLS cells a page would not be readable: the rest is in the store.
    """
    rows = at_rest(frame[frame["level"].notna()])
    logs = {path.name: path.relative_to(root / "logs").as_posix() for path in log_paths(root)}
    groups = [
        ((str(model), str(family)), group)
        for (model, family), group in rows.groupby(["model", "family"], sort=True, observed=True)
    ]
    groups.sort(key=lambda item: (ORDER[roles[item[0][0]]], item[0]))
    keys = ["condition", "twin", "level"]
    cells = sum(group.groupby(keys, observed=True).ngroups for _, group in groups)
    each = max(1, min(60, MAX_SAMPLES // max(cells, 1)))
    found, left = [], MAX_CELLS
    for (model, family), group in groups:
        made = [_cell(key, part, logs, each) for key, part in group.groupby(keys, sort=True, observed=True)]
        if left <= 0:
            break
        found.append(Behind(model, roles[model], family, tuple(made[:left]), _logs(group, logs)))
        left -= len(made)
    return tuple(found)


def address(log: str, sample: str, epoch: int) -> str:
    """The viewer's address of one sample, relative to the run folder; empty where it would be too long to show."""
    found = f"{_log_address(log)}/samples/sample/{quote(sample, safe='')}/{epoch}/"
    return found if len(found) <= MAX_ADDRESS else ""


def _log_address(log: str) -> str:
    return f"{VIEWER}#/logs/" + "/".join(quote(part, safe="") for part in log.split("/"))


def _logs(group: pd.DataFrame, logs: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    if "log_path" not in group:
        return ()
    names = sorted({str(name) for name in group["log_path"].dropna()})
    return tuple((name, _log_address(logs[name])) for name in names if name in logs)[:8]


def _cell(key: tuple[object, ...], part: pd.DataFrame, logs: Mapping[str, str], limit: int) -> Cell:
    condition, twin, level = key
    ranked = sorted(_samples(part, logs), key=lambda s: (_rank(s.result), s.id, s.epoch))
    succeeded = sum(s.result == "succeeded" for s in ranked)
    missing = sum(_rank(s.result) == 0 for s in ranked)
    return Cell(
        str(condition),
        str(twin),
        int(float(str(level))),
        len(ranked),
        succeeded,
        missing,
        tuple(ranked[:limit]),
    )


def _samples(part: pd.DataFrame, logs: Mapping[str, str]) -> Sequence[Sample]:
    found = []
    columns = ["sample_id", "epoch", "status", "success", "log_path"]
    table = part.reindex(columns=columns).astype(object)
    for sample, epoch, status, success, log in table.itertuples(index=False, name=None):
        times, value = number(epoch), number(success)
        scored = str(status) == "scored" and math.isfinite(value)
        result = str(status).replace("_", " ") if not scored else "succeeded" if value > 0 else "failed"
        path = logs.get(str(log))
        tried = int(times) if math.isfinite(times) else 1
        found.append(Sample(str(sample), tried, result, address(path, str(sample), tried) if path else ""))
    return found


def _rank(result: str) -> int:
    return {"failed": 1, "succeeded": 2}.get(result, 0)
