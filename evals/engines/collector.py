"""What costs most where cheap samples are played, kept quiet: the cyclic garbage collector and Inspect's trace records."""

from __future__ import annotations

import gc
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

TRACE_VARIABLES = (
    "INSPECT_TRACE_FILE", "INSPECT_TRACE_LEVEL", "INSPECT_PY_LOGGER_FILE", "INSPECT_LOG_LEVEL",
    "INSPECT_LOG_LEVEL_TRANSCRIPT",
)  # fmt: skip


@contextmanager
def quiet_collector(clean: bool = True) -> Iterator[None]:
    """Fewer runs of the cyclic garbage collector: 43 % of the harness cost of cheap samples by default.

    Without `clean` what is garbage already stays where it is: a collection of all that is imported takes .2 s.
    """
    before = gc.get_threshold()
    if clean:
        gc.collect()
    gc.freeze()
    gc.set_threshold(500_000, 20, 100)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


@contextmanager
def quiet_trace(own: bool) -> Iterator[None]:
    """No log records below INFO: Inspect writes two a model call to a trace file, made to find calls that hang.

    Only where `own` participants play alone, which ask nobody and cannot hang, and where no INSPECT variable asks for
    such records. The eval log holds records from INFO on and stays as it is.
    """
    asked = any(name in os.environ for name in TRACE_VARIABLES)
    before = logging.root.manager.disable
    if own and not asked:
        logging.disable(max(before, logging.INFO - 1))
    try:
        yield
    finally:
        logging.disable(before)
