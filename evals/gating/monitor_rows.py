"""Estimates of monitors in a run folder, and what a gate asks of them before it decides on one.

`estimates/monitors.parquet` is made from the store and from `monitors/*.parquet`, the answers, whose SHA-256 each row names:
a gate that finds other answers beside the estimate takes it for stale.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from dangercurve._files import atomic_path, sha256_file
from dangercurve._text import printable
from dangercurve.evals.run_folder import Row, RunFolder, text

if TYPE_CHECKING:
    import pandas as pd

NAME = "monitors.parquet"


def write_monitor_estimates(run: Path, alpha: float = 0.05) -> pd.DataFrame | None:
    """Estimates of every monitor that read episodes of the run's store; None, and no file, where nobody watched."""
    import pandas as pd

    from dangercurve.analysis.monitor_estimates import monitor_estimates
    from dangercurve.evals.store import read_observations, store_digest

    path = run / "estimates" / NAME
    files = sorted((run / "monitors").glob("*.parquet"))
    if not files:
        path.unlink(missing_ok=True)
        return None
    answers = pd.concat(
        [pd.read_parquet(f).assign(answers=f.name, answers_sha256=sha256_file(f)) for f in files],
        ignore_index=True,
    )
    found = monitor_estimates(read_observations(run), answers, alpha=alpha, store_digest=store_digest(run))
    with atomic_path(path) as temporary:
        found.to_parquet(temporary, index=False)
    return found


def monitor_problems(row: Row, folder: RunFolder, *, simulated: bool) -> list[str]:
    """Reasons why an estimate of a monitor is no evidence here: other answers than it was made from, or a simulated monitor
    of an agent that is not (`simulated`)."""
    monitor = text(row.get("monitor"))
    if monitor is None:
        return ["the estimate names no monitor"]
    problems = []
    name = f"monitors/{text(row.get('answers'))}"
    if text(row.get("answers_sha256")) is None or folder.files.get(name) != text(row.get("answers_sha256")):
        problems.append(
            f"{printable(name)} does not hold the answers that the estimate was made from (stale): fit again"
        )
    if monitor.startswith("sim/") and not simulated:
        problems.append(f"monitor {printable(monitor, 60)} is SIMULATED and the agent is not")
    return problems
