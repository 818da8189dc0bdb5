"""Caps hold while many calls run at once, over processes, kills and restarts; they can only come early."""

from __future__ import annotations

import asyncio
import json
import math
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dangercurve._errors import ConfigError
from dangercurve.evals.engines.budget import SLICES, Amount, Purse, require_prices
from dangercurve.evals.engines.location import Location
from dangercurve.evals.engines.purse import purse_at
from dangercurve.evals.run import Engine, open_run, run_study
from dangercurve.evals.store import read_observations
from dangercurve.evals.study import Limits, Study, load_study

CAPPED = """
name: capped
models: [bot/oracle]
tasks: [ops_horizon]
levels: [3]
interfaces: [text]
n: 40
shard: 10
max_connections: 4
limits: {LIMITS}
prices:
  - {model: bot/oracle, input: 100, output: 1000, as_of: 2026-11-01, source: test}
"""
STEPS = st.lists(st.tuples(st.integers(0, 3), st.floats(0, 400)), max_size=300)


@settings(max_examples=60, deadline=None)
@given(cap=st.integers(1, 5000), steps=STEPS)
def test_all_workers_together_start_no_call_once_the_cap_is_given_out(
    cap: int, steps: list[tuple[int, float]]
) -> None:
    """Each step one of four workers makes a call of some size, if its slice or the next one lets it."""
    purse = Purse(Amount(cap, math.inf))
    held = [Amount()] * 4
    used = [0.0] * 4
    spent = 0.0
    largest = [0.0] * 4
    for worker, tokens in steps:
        if held[worker].tokens - used[worker] <= 0:
            held[worker] = purse.take(Amount(used[worker]), held[worker])
            used[worker] = 0.0
        if held[worker].empty:
            continue
        used[worker] += tokens
        spent += tokens
        largest[worker] = max(largest[worker], tokens)
    assert spent <= cap + sum(largest) + 1e-6, "only the last call of each worker may pass the cap"


def test_a_slice_that_was_never_handed_back_counts_as_spent() -> None:
    record: list[str] = []
    purse = Purse.of(Limits(tokens=1000), save=record.append)
    assert purse is not None
    first = purse.take(Amount(), Amount())
    assert first.tokens == 1000 / SLICES
    assert json.loads(record[-1])["tokens"] == first.tokens, "written down before it is given"
    again = Purse.of(Limits(tokens=1000), record[-1])
    assert again is not None and again.given.tokens == first.tokens
    purse.take(Amount(4.0), first, more=False)
    assert purse.given.tokens == 4.0


def test_a_spent_purse_gives_nothing_and_says_which_cap() -> None:
    purse = Purse.of(Limits(usd=1.0), '{"tokens": 5, "usd": 1.0}')
    assert purse is not None and purse.take(Amount(), Amount()).empty
    assert "USD" in purse.spent_up()


def test_without_caps_there_is_no_purse_and_a_damaged_record_is_an_error(tmp_path: Path) -> None:
    assert Purse.of(Limits(wall_s=5)) is None
    (tmp_path / "spending.json").write_text("{")
    with pytest.raises(ConfigError, match="unknown"):
        purse_at(Location(str(tmp_path)), Limits(tokens=10))


def test_a_cap_in_money_needs_a_price_of_every_model() -> None:
    study = Study.model_validate(
        {"name": "x", "models": ["nowhere/model"], "tasks": ["ops_horizon"], "limits": {"usd": 1}}
    )
    with pytest.raises(ConfigError, match="nowhere/model"):
        require_prices(study)
    require_prices(study.model_copy(update={"limits": Limits(tokens=5)}))


def capped(folder: Path, limits: str, n: int = 40) -> tuple[Study, Path]:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "study.yaml"
    path.write_text(CAPPED.replace("LIMITS", limits).replace("n: 40", f"n: {n}"))
    study, _ = load_study(path)
    open_run(path, folder / "run", study)
    return study, folder / "run"


CONNECTIONS = 4
CALL_TOKENS = 1200
"""More than any call of the bot here: its prompt and its reply."""


def test_a_cap_on_tokens_holds_over_two_processes_and_a_second_command(tmp_path: Path) -> None:
    study, run = capped(tmp_path, "tokens: 30000")
    done = run_study(study, run, lambda _: None, engine=Engine("processes", 2))
    assert "tokens" in done.stopped_by and not done.complete
    frame = read_observations(run)
    spent = float(frame["input_tokens"].sum() + frame["output_tokens"].sum())
    given = json.loads((run / "spending.json").read_text())["tokens"]
    assert 10_000 < spent <= given + 1 <= 30_000 + 2 * CONNECTIONS * CALL_TOKENS
    assert set(frame["status"]) == {"scored", "infra_error"}
    assert frame.loc[frame["status"] == "infra_error", "success"].isna().all(), (
        "what was not played is missing"
    )
    again = run_study(study, run, lambda _: None)
    assert again.stopped_by
    assert json.loads((run / "spending.json").read_text())["tokens"] <= given + 1


def test_a_cap_in_money_holds_and_the_logs_say_what_was_spent(tmp_path: Path) -> None:
    study, run = capped(tmp_path, "usd: 2.0")
    done = run_study(study, run, lambda _: None)
    assert "money" in done.stopped_by or "USD" in done.stopped_by
    spent = float(read_observations(run)["usd"].sum())
    call = CALL_TOKENS * 100 / 1e6 + 50 * 1000 / 1e6
    assert 0.5 < spent <= 2.0 + CONNECTIONS * call


def test_wall_time_interrupts_a_cell_and_the_same_command_goes_on_from_what_was_logged(
    tmp_path: Path,
) -> None:
    n = 160  # more than any machine plays within the cap
    study, run = capped(tmp_path, "wall_s: 1.5", n)
    started = time.monotonic()
    done = run_study(study, run, lambda _: None)
    assert time.monotonic() - started < 60
    assert "wall" in done.stopped_by
    first = int((read_observations(run)["status"] == "scored").sum()) if any((run / "store").glob("*")) else 0
    for _ in range(20):
        if run_study(study, run, lambda _: None).complete:
            break
    frame = read_observations(run)
    assert len(frame) == n and set(frame["status"]) == {"scored"} and first < n
    assert not frame.duplicated(["sample_id"]).any()


def test_a_sample_stops_at_its_cap_on_output_and_says_so(tmp_path: Path) -> None:
    study, run = capped(tmp_path, "output_tokens: 12")
    run_study(study, run, lambda _: None)
    frame = read_observations(run)
    assert set(frame["status"]) == {"limit_censored"}
    assert frame["success"].isna().all()
    assert frame["output_tokens"].max() <= 12 + 20, "at most the reply that reached it"


def test_a_deadline_that_has_passed_interrupts_the_first_call_and_nothing_before_it() -> None:
    from dangercurve.evals.engines.budget_meter import Meter, metered

    meter = Meter(deadline=time.monotonic() - 1)
    entered = called = False
    with metered(meter):
        entered = True
        time.sleep(0.2)  # the timer has fired
        assert not meter.stopped_by

        async def call() -> None:
            nonlocal called
            await meter.before_call()
            called = True

        asyncio.run(call())
    assert entered and not called and meter.stopped_by == "its wall time is spent"


def test_a_purse_that_cannot_be_reached_stops_every_call_and_the_job_is_tried_again() -> None:
    from dangercurve.evals.engines.budget_meter import Meter, metered

    def gone(spent: Amount, held: Amount, more: bool) -> Amount:
        raise ConnectionError

    meter = Meter(gone)

    async def call() -> None:
        await meter.before_call()
        raise AssertionError("the call was made")

    with pytest.raises(RuntimeError, match="cannot be reached"), metered(meter):
        asyncio.run(call())
