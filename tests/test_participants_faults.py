"""A faulty server or a hostile model becomes a status that says so, never a low score: through a real run."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest
from support_server import (
    calls,
    cut_short,
    drip,
    fails,
    fault_server,
    first_then,
    half_json,
    nothing,
    raw,
    says,
    silent,
)

from dangercurve.evals.engines import play as engine_play
from dangercurve.evals.run import Ran, open_run, run_study
from dangercurve.evals.store import read_observations
from dangercurve.evals.study import load_study
from dangercurve.tasks.kernel import reply

HOSTILE = "\x1b[31m\x1b]0;owned\x07<script>alert(1)</script>\u202e=cmd|' /C calc'!A0"
FAULTS = {
    "good": says("wait"),
    "busy-then-good": fails(429, times=1, then=says("wait")),
    "always-429": fails(429),
    "always-500": fails(500),
    "no-key": fails(401),
    "half-json": half_json(),
    "half-json-then-good": first_then(2, half_json(), says("wait")),
    "cut-short": cut_short(),
    "nothing": nothing(),
    "silent": silent(1.5),
    "slow-drip": drip(0.003, whole=True),
    "endless-drip": drip(0.1, whole=False),
    "bare-string": raw(b'"hello"'),
    "no-choices": raw(b'{"id":"x","object":"chat.completion","created":1,"model":"no-choices","choices":[]}'),
    "other-model": says("wait", model="something-else-2"),
    "megabyte": says("A very long word. " * 60_000),
    "hostile": says(HOSTILE),
    "strange-tool": calls("no_such_tool", '{"a": 1}'),
    "broken-tool": calls("read", '{"ticket": '),
}
TOOLS = ("strange-tool", "broken-tool")
UNREACHED = (
    "always-429",
    "always-500",
    "no-key",
    "half-json",
    "cut-short",
    "nothing",
    "silent",
    "endless-drip",
    "bare-string",
)


@dataclass(frozen=True)
class Outcome:
    frame: pd.DataFrame
    ran: Ran
    seen: Counter[str]
    told: list[str]
    folder: Path

    def rows(self, name: str) -> pd.DataFrame:
        return self.frame[self.frame["model"] == f"openai-api/fault/{name}"]


def study_text() -> str:
    lines = ["name: faults", "tasks: [ops_horizon]", "levels: [0]", "n: 1", "interfaces: [text]"]
    lines += ["limits: {call_s: 2}", "models:"]
    for name in FAULTS:
        extra = ", interfaces: [tools]" if name in TOOLS else ""
        arguments = ", model_args: {client_timeout: 0.4}" if name == "silent" else ""
        lines.append(f"  - {{model: openai-api/fault/{name}, max_connections: 1{extra}{arguments}}}")
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    folder = tmp_path_factory.mktemp("faults")
    file = folder / "study.yaml"
    file.write_text(study_text())
    study, _ = load_study(file)
    told: list[str] = []
    with pytest.MonkeyPatch.context() as patch, fault_server(FAULTS) as (url, seen):
        patch.setenv("FAULT_BASE_URL", url)
        patch.setenv("FAULT_API_KEY", "key")
        # The client's own two quick retries stay; Inspect's start at three seconds.
        patch.setattr(engine_play, "CONNECTION_RETRIES", 0)
        patch.setattr(engine_play, "RETRIES", 0)
        patch.setattr(reply, "UNREADABLE_WAIT_S", 0.01)
        open_run(file, folder / "run", study)
        ran = run_study(study, folder / "run", told.append)
    return Outcome(read_observations(folder / "run"), ran, seen, told, folder)


def test_every_sample_is_accounted_for_once(outcome: Outcome) -> None:
    assert len(outcome.frame) == len(FAULTS)
    assert set(outcome.frame["model"]) == {f"openai-api/fault/{name}" for name in FAULTS}


@pytest.mark.parametrize("name", UNREACHED)
def test_a_server_that_gives_no_answer_is_infra_error_and_no_score(outcome: Outcome, name: str) -> None:
    row = outcome.rows(name).iloc[0]
    assert row["status"] == "infra_error"
    assert pd.isna(row["success"]) and pd.isna(row["outcome"])
    assert outcome.seen[name] >= 1


def test_a_passing_fault_is_waited_out(outcome: Outcome) -> None:
    name = "busy-then-good"
    good, row = outcome.rows("good").iloc[0], outcome.rows(name).iloc[0]
    assert row["status"] == good["status"] != "infra_error"
    assert row["turns"] == good["turns"] and outcome.seen[name] == outcome.seen["good"] + 1


def test_a_reply_that_is_no_json_is_asked_again_within_the_sample(outcome: Outcome) -> None:
    name = "half-json-then-good"
    good, row = outcome.rows("good").iloc[0], outcome.rows(name).iloc[0]
    assert row["status"] == good["status"] != "infra_error"
    assert row["turns"] == good["turns"] and outcome.seen[name] == outcome.seen["good"] + 2


def test_a_server_that_never_answers_in_json_is_given_up(outcome: Outcome) -> None:
    assert outcome.seen["half-json"] == reply.UNREADABLE_TRIES


def test_a_reply_that_drips_is_read_and_one_that_never_ends_is_given_up(outcome: Outcome) -> None:
    dripping, good = outcome.rows("slow-drip").iloc[0], outcome.rows("good").iloc[0]
    assert dripping["status"] == good["status"] and dripping["turns"] == good["turns"]
    endless = outcome.rows("endless-drip").iloc[0]
    assert endless["status"] == "infra_error" and endless["working_s"] < 30


def test_a_refused_key_is_not_asked_again(outcome: Outcome) -> None:
    assert outcome.seen["no-key"] <= 2


def test_an_answer_from_another_model_is_kept_under_that_name(outcome: Outcome) -> None:
    assert outcome.rows("other-model").iloc[0]["answering_model"] == "something-else-2"
    assert outcome.rows("good").iloc[0]["answering_model"] == "openai-api/fault/good"


@pytest.mark.parametrize("name", TOOLS)
def test_a_call_that_no_tool_takes_is_no_success_and_no_crash(outcome: Outcome, name: str) -> None:
    row = outcome.rows(name).iloc[0]
    assert row["status"] in {"format_failure", "scored"} and row["success"] != 1


@pytest.mark.parametrize("name", ["megabyte", "hostile", "no-choices"])
def test_what_cannot_be_read_as_an_action_is_never_a_success(outcome: Outcome, name: str) -> None:
    row = outcome.rows(name).iloc[0]
    assert row["status"] in {"format_failure", "infra_error"}
    assert pd.isna(row["success"])


def test_nothing_hostile_reaches_the_terminal_or_the_store(outcome: Outcome) -> None:
    shown = "\n".join(outcome.told + outcome.ran.problems)
    stored = outcome.frame.astype(str).to_csv()
    events = (outcome.folder / "run" / "events.jsonl").read_text()
    for text in (shown, stored, events):
        assert "\x1b" not in text and "\u202e" not in text and "<script>" not in text


def test_a_megabyte_is_cut_before_it_fills_the_logs(outcome: Outcome) -> None:
    logs = sum(path.stat().st_size for path in (outcome.folder / "run" / "logs").rglob("*.eval"))
    assert logs < 3_000_000
