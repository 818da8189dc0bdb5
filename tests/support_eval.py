"""Bots through Inspect at the least cost: nothing shown, nothing traced, one task at a time, floors only where asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from inspect_ai import Epochs, Task
from inspect_ai import eval as inspect_eval
from inspect_ai.log import EvalLog, EvalSample

from dangercurve.evals.engines.collector import quiet_trace
from dangercurve.scorers.results import results_in
from dangercurve.tasks.kernel import task as kernel_task


def evaluate(tasks: Sequence[Task], models: Sequence[str], folder: Path, epochs: int = 1) -> list[EvalLog]:
    """Every model in every task; an error ends a sample, never the others."""
    with quiet_trace(own=True):
        return list(inspect_eval(
            list(tasks), model=list(models), epochs=Epochs(epochs), display="none", log_realtime=False,
            log_dir=str(folder), fail_on_error=False, score_display=False, log_level="error", max_tasks=1,
            ctl_server=False,
        ))  # fmt: skip


def result(sample: EvalSample, name: str = "success") -> float:
    """`success` or `outcome` of a sample that was scored."""
    assert sample.scores is not None
    value = dict(zip(("success", "outcome"), results_in(sample.scores), strict=True))[name]
    assert isinstance(value, float), value
    return value


@contextmanager
def without_floors() -> Iterator[None]:
    """Samples whose simulated floor reads 0: it costs seconds a cell, and test_families.py has it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernel_task, "random_floor", lambda *cell: 0.0)
        yield
