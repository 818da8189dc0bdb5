"""Samples that crashed in a finished log, played again where the user asks for it: all others stay as they are.

An outage of a provider leaves crashed samples behind, which are missing evidence. Inspect plays samples again that are
marked as invalid, and takes the others from the old log into a new one of the same task id, so that the store counts each
sample once: the newest row.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from inspect_ai.log import EvalLog, ProvenanceData, invalidate_samples, read_eval_log, write_eval_log

from dangercurve._text import printable
from dangercurve.evals.engines.location import Location
from dangercurve.evals.ingest import sample_status

REASON = "crashed; played again on request"


def mark_crashed(log_dir: str, headers: list[EvalLog]) -> list[str]:
    """Mark the crashed samples of the finished logs `headers` in `log_dir`; Inspect's next eval set plays them again.

    Returns, in words, what was not marked: a log that an early stopping ended, since its rule has seen the crashes as
    they were; and one in which a crashed sample had succeeded before, since Inspect would play that one again as well and
    a success that was reached stands.
    """
    refused = []
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
        stands = sum(sample_status(s.summary()) == "scored" for s in crashed)
        if stands:
            refused.append(
                f"{printable(name)}: its crashed samples are not played again: {stands} of them had succeeded before"
            )
            continue
        marked = invalidate_samples(
            log, [str(s.uuid) for s in crashed], ProvenanceData(author="dangercurve", reason=REASON)
        )
        with tempfile.TemporaryDirectory() as folder:  # the old log stays whole until the new one is
            path = Path(folder) / name
            write_eval_log(marked, str(path))
            Location(log_dir).write(name, path.read_bytes())
    return refused
