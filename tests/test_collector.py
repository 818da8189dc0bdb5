"""What is kept quiet while cheap samples are played comes back afterwards, and nothing that was asked for is silenced."""

from __future__ import annotations

import gc
import logging
from pathlib import Path

import pytest

from dangercurve._errors import EvidenceError
from dangercurve.evals.engines.collector import TRACE_VARIABLES, quiet_collector, quiet_trace
from dangercurve.evals.gating.baselines import families_in

TRACE = 13


@pytest.fixture(autouse=True)
def unasked(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in TRACE_VARIABLES:
        monkeypatch.delenv(name, raising=False)


def logs(level: int) -> bool:
    logger = logging.getLogger("dangercurve.test_collector")
    logger.setLevel(1)
    return logger.isEnabledFor(level)


def test_own_participants_leave_no_trace_records_and_every_message_of_info_and_above() -> None:
    with quiet_trace(own=True):
        assert not logs(TRACE)
        assert logs(logging.INFO) and logs(logging.WARNING)
    assert logs(TRACE)


def test_calls_of_a_real_model_are_traced() -> None:
    with quiet_trace(own=False):
        assert logs(TRACE)


@pytest.mark.parametrize("name", TRACE_VARIABLES)
def test_a_trace_that_the_user_asked_for_is_written(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "trace")
    with quiet_trace(own=True):
        assert logs(TRACE)


def test_a_level_that_was_silenced_before_stays_silenced_also_after_an_error() -> None:
    logging.disable(logging.WARNING)
    try:
        with pytest.raises(KeyError), quiet_trace(own=True):
            assert not logs(logging.WARNING)
            raise KeyError
        assert not logs(logging.WARNING) and logs(logging.ERROR)
    finally:
        logging.disable(logging.NOTSET)


def test_the_collector_is_as_before_after_a_run() -> None:
    before = gc.get_threshold()
    with quiet_collector():
        assert gc.isenabled() and gc.get_threshold()[0] > before[0]
    assert gc.get_threshold() == before and gc.get_freeze_count() == 0


def test_a_damaged_part_of_the_store_is_no_family(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    assert families_in(tmp_path) == []
    (tmp_path / "store" / "a.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(EvidenceError, match="cannot be read"):
        families_in(tmp_path)
