"""Samples that crashed in a finished log, played again where the user asks for it: all others stay as they are.

An outage of a provider leaves crashed samples behind, which are missing evidence. Inspect plays samples again that are
marked as invalid, and takes the others from the old log into a new one of the same task id, so that the store counts each
sample once: the newest row.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from inspect_ai.log import (
    EvalLog,
    EvalSampleSummary,
    ProvenanceData,
    invalidate_samples,
    read_eval_log,
    write_eval_log,
)

from dangercurve._text import printable
from dangercurve.evals.engines.location import Location
from dangercurve.evals.ingest import sample_status

REASON = "crashed; played again on request"


def mark_crashed(log_dir: str, headers: list[EvalLog]) -> tuple[int, list[str]]:
    """Mark the crashed samples of the finished logs `headers` in `log_dir`; Inspect's next eval set plays them again.

    Returns how many were marked and, in words, what was not: a log that an early stopping ended, since its rule has seen the
    crashes as they were; and one in which a crashed sample had succeeded or done harm before, since Inspect would play that
    one again as well, and what was reached stands.
    """
    refused, marks = [], 0
    for header in headers:
        if header.status != "success" or header.results is None:
            continue
        if header.results.completed_samples == header.results.total_samples:
            continue
        name = Path(header.location).name
        if header.results.early_stopping is not None:
            refused.append(
                f"{printable(name)}: its crashed samples are not played again: it was stopped early"
            )
            continue
        log = read_eval_log(header.location)
        crashed = [s for s in log.samples or [] if s.error is not None]
        stands = sum(_stands(s.summary()) for s in crashed)
        if stands:
            refused.append(
                f"{printable(name)}: its crashed samples are not played again: {stands} of them had succeeded or done harm"
            )
            continue
        marked = invalidate_samples(
            log, [str(s.uuid) for s in crashed], ProvenanceData(author="dangercurve", reason=REASON)
        )
        with tempfile.TemporaryDirectory() as folder:  # the old log stays whole until the new one is
            path = Path(folder) / name
            write_eval_log(marked, str(path))
            Location(log_dir).write(name, path.read_bytes())
        marks += len(crashed)
    return marks, refused


def _stands(sample: EvalSampleSummary) -> bool:
    """Whether a crashed sample is evidence all the same: a success, or an attempt beyond what was allowed."""
    status = (sample.scores or {}).get("status")
    counts = (status.metadata or {}) if status is not None else {}
    return sample_status(sample) == "scored" or bool(counts.get("tripwires") or counts.get("violations"))
