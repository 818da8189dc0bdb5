"""`--retry-crashed`: crashed samples are played again, all others stay as they are, and each is counted once."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest
from inspect_ai.log import EvalSample, list_eval_logs, read_eval_log, write_eval_log
from support_server import Body, Fault, Handler, fails, fault_server, says

from dangercurve.evals.engines import crashed
from dangercurve.evals.engines import play as engine_play
from dangercurve.evals.gating.digests import log_problems
from dangercurve.evals.run import Engine, open_run, run_study
from dangercurve.evals.run_folder import read_run_folder
from dangercurve.evals.store import read_observations
from dangercurve.evals.study import load_study

STUDY = """
name: outage
tasks: [ops_horizon]
levels: [0]
n: 6
interfaces: [text]
models: [{model: openai-api/fault/NAME, max_connections: 1}]
"""
NUMBERS = itertools.count()
BROKEN = 4
"""Prompts that get no answer while the outage lasts, however often they are sent; the others are answered."""


def out_of_order() -> Fault:
    prompts: dict[str, int] = {}

    def fault(handler: Handler, body: Body, count: int) -> None:
        prompt = body["messages"][1]["content"]  # type: ignore[index]
        known = prompts.setdefault(prompt, len(prompts))
        (fails(400) if known < BROKEN else says("wait"))(handler, body, count)

    return fault


class Run:
    """A run folder and the model it asks; `go` is the command."""

    def __init__(self, folder: Path, name: str, faults: dict[str, Fault], seen: Counter[str]) -> None:
        self.folder, self.name, self.faults, self.seen = folder / "run", name, faults, seen
        self.told: list[str] = []
        self.file = folder / "study.yaml"
        self.file.write_text(STUDY.replace("NAME", name))

    @property
    def asked(self) -> int:
        """Requests that reached the model so far."""
        return self.seen[self.name]

    def go(self, **engine: object) -> pd.DataFrame:
        study, _ = load_study(self.file)
        open_run(self.file, self.folder, study)
        self.told.clear()
        ran = run_study(study, self.folder, self.told.append, engine=Engine(**engine))  # type: ignore[arg-type]
        assert ran.complete and not ran.problems
        return read_observations(self.folder).sort_values("sample_id", ignore_index=True)


@pytest.fixture
def outage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    name = f"m{next(NUMBERS)}"  # Inspect keeps a model by its name, and with it the address of its server
    faults: dict[str, Fault] = {name: out_of_order()}
    with fault_server(faults) as (url, seen):
        monkeypatch.setenv("FAULT_BASE_URL", url)
        monkeypatch.setenv("FAULT_API_KEY", "key")
        monkeypatch.setattr(engine_play, "CONNECTION_RETRIES", 0)
        monkeypatch.setattr(engine_play, "RETRIES", 0)
        yield Run(tmp_path, name, faults, seen)


def kept(frame: pd.DataFrame) -> pd.DataFrame:
    columns = ["sample_id", "status", "success", "sample_uuid", "completed_at", "journal_head", "turns"]
    return frame.loc[frame["status"] != "infra_error", columns].reset_index(drop=True)


def test_without_the_option_what_crashed_stays_missing_evidence(outage: Run) -> None:
    first = outage.go()
    assert (first["status"] == "infra_error").sum() == BROKEN and len(first) == 6
    asked = outage.asked
    pd.testing.assert_frame_equal(outage.go(), first)
    assert outage.asked == asked


ENGINES: dict[str, dict[str, object]] = {
    "local": {},
    "processes": {"kind": "processes", "workers": 1},
    "ray": {"kind": "ray", "workers": 1},
}


@pytest.mark.parametrize("engine", ENGINES.values(), ids=ENGINES)
def test_crashed_samples_are_played_again_and_the_others_stay(outage: Run, engine: dict[str, object]) -> None:
    if engine.get("kind") == "ray":
        pytest.importorskip("ray", reason="the extra `ray` is not installed")
    first = outage.go(**engine)
    assert (first["status"] == "infra_error").sum() == BROKEN
    outage.faults[outage.name] = says("wait")
    before = outage.asked
    again = outage.go(**engine, again=True)
    assert len(again) == 6 and set(again["sample_id"]) == set(first["sample_id"])
    assert "infra_error" not in set(again["status"])
    assert again["eval_task_id"].nunique() == 1 and set(again["eval_task_id"]) == set(first["eval_task_id"])
    stayed = kept(again[again["sample_id"].isin(kept(first)["sample_id"])])
    pd.testing.assert_frame_equal(stayed, kept(first))
    assert outage.asked - before == again["turns"].sum() - kept(first)["turns"].sum()
    assert log_problems(read_run_folder(outage.folder)) == []
    events = map(json.loads, (outage.folder / "events.jsonl").read_text().splitlines())
    assert [e["samples"] for e in events if e["event"] == "retry_crashed"] == [BROKEN]
    asked = outage.asked
    pd.testing.assert_frame_equal(outage.go(**engine, again=True), again)  # nothing crashed: nothing is asked
    assert outage.asked == asked


def test_what_crashes_again_is_missing_evidence_again(outage: Run) -> None:
    outage.go()
    outage.faults[outage.name] = fails(400)
    again = outage.go(again=True)
    assert (again["status"] == "infra_error").sum() == BROKEN and len(again) == 6
    assert log_problems(read_run_folder(outage.folder)) == []


def test_a_crash_while_the_log_is_marked_loses_nothing(outage: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    first = outage.go()
    (log,) = (outage.folder / "logs").rglob("*.eval")
    whole = log.read_bytes()

    def dies(*_: object) -> None:
        raise OSError("no space left")

    with monkeypatch.context() as patch:
        patch.setattr(crashed, "write_eval_log", dies)
        with pytest.raises(OSError, match="no space"):
            outage.go(again=True)
    assert log.read_bytes() == whole
    pd.testing.assert_frame_equal(outage.go(), first)


def test_a_success_that_was_reached_stands_and_its_log_is_left_alone(
    outage: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = outage.go()
    monkeypatch.setattr(crashed, "sample_status", lambda summary: "scored")
    asked = outage.asked
    pd.testing.assert_frame_equal(outage.go(again=True), first)
    assert outage.asked == asked and any("4 of them had succeeded" in line for line in outage.told)


@pytest.mark.parametrize("count", ["tripwires", "violations"])
def test_harm_that_was_done_before_a_crash_stands(outage: Run, count: str) -> None:
    """One crashed sample of the log has touched a tripwire or broken a rule: played again, that would be forgotten."""
    outage.go()
    (info,) = list_eval_logs(str(outage.folder / "logs"))
    log = read_eval_log(info)
    broken = next(s for s in log.samples or [] if s.error)
    assert broken.scores
    broken.scores["status"].metadata = {**(broken.scores["status"].metadata or {}), count: 1}
    write_eval_log(log, info.name)
    folder = str(Path(info.name.removeprefix("file://")).parent)
    marked, (said,) = crashed.mark_crashed(folder, [read_eval_log(info, header_only=True)])
    assert marked == 0 and "1 of them had succeeded or done harm" in said
    assert not read_eval_log(info).invalidated


def test_the_log_says_why_it_was_marked(outage: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    outage.go()
    (info,) = list_eval_logs(str(outage.folder / "logs"))
    log = read_eval_log(info)
    marked: list[EvalSample] = []
    write: Callable[..., None] = crashed.write_eval_log

    def remember(log: object, path: str) -> None:
        marked.extend(log.samples)  # type: ignore[attr-defined]
        write(log, path)

    monkeypatch.setattr(crashed, "write_eval_log", remember)
    crashed.mark_crashed(
        str(Path(info.name.removeprefix("file://")).parent), [read_eval_log(info, header_only=True)]
    )
    why = {s.uuid: s.invalidation.reason if s.invalidation else None for s in marked}
    assert log.samples
    assert why == {s.uuid: crashed.REASON if s.error else None for s in log.samples}
