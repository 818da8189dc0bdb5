"""Readers and writers against hostile files: every bomb is one clear line, and no text reaches a reader as markup."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from dangercurve._errors import ConfigError, EvidenceError
from dangercurve._text import harmless, printable
from dangercurve.evals.gating.chain import read_chain
from dangercurve.evals.gating.verdict import Digests, Outcome, PolicyRef, Verdict, read_verdict
from dangercurve.evals.outputs.text import as_text
from dangercurve.evals.run_folder import read_json
from dangercurve.evals.store import Rows, label, read_observations, write_part
from dangercurve.evals.strict_yaml import MAX_BYTES, parse_strict
from dangercurve.evals.verbs._common import emit, table
from dangercurve.evals.verbs.report import write_report

HIDDEN = "\x1b[2J\x9b31m\u202e\x00\u2028\ud800"


class Any(BaseModel):
    a: object = None


def laughs() -> str:
    lines = ["a: &a [x, x, x, x, x, x, x, x, x, x]"]
    for i in range(1, 9):
        here, before = chr(97 + i), chr(96 + i)
        lines.append(f"{here}: &{here} [{', '.join(['*' + before] * 10)}]")
    return "\n".join(lines)


YAML_BOMBS = {
    "100,000 levels": (b"a: " + b"[" * 100_000 + b"]" * 100_000, "nested deeper"),
    "open brackets": (b"a: " + b"[" * 900_000, "nested deeper"),
    "levels of blocks": (b"\n".join(b" " * i + b"a:" for i in range(1300)), "nested deeper"),
    "an integer of 900,000 digits": (b"a: " + b"9" * 900_000, "a number of"),
    "an integer in base 60": (b"a: 1" + b":59" * 300_000, "a number of"),
    "aliases": (laughs().encode(), "aliases are not allowed"),
    "a constructor": (b"a: !!python/object/apply:os.system ['true']", "constructor"),
    "too many bytes": (b"#" * (MAX_BYTES + 1), "at most"),
    "a null byte": (b"a: \x00", "not YAML"),
    "no UTF-8": (b"a: \xff", "not UTF-8"),
}


@pytest.mark.parametrize("name", YAML_BOMBS)
def test_a_yaml_bomb_is_one_line_within_two_seconds_of_cpu(name: str) -> None:
    raw, words = YAML_BOMBS[name]
    start = time.process_time()
    with pytest.raises(ConfigError, match=words) as caught:
        parse_strict(raw, Any, "policy.yaml")
    assert time.process_time() - start < 2
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 600


def test_many_keys_are_read() -> None:
    raw = "a: {" + ", ".join(f"k{i}: 1" for i in range(20_000)) + "}"
    found = parse_strict(raw.encode(), Any, "x.yaml").a
    assert isinstance(found, dict) and len(found) == 20_000


JSON_BOMBS = {
    "levels": b"[" * 200_000,
    "levels of keys": b'{"a":' * 100_000,
    "digits": b"9" * 1_000_000,
    "infinity": b"NaN",
    "an infinity by overflow": b'{"a": 1e999}',
    "a key twice": b'{"a": 1, "a": 2}',
}


@pytest.mark.parametrize("name", JSON_BOMBS)
def test_a_json_bomb_is_no_evidence(name: str, tmp_path: Path) -> None:
    (tmp_path / "evidence.json").write_bytes(JSON_BOMBS[name])
    with pytest.raises(EvidenceError, match="no readable JSON"):
        read_json(tmp_path / "evidence.json")
    (tmp_path / "ledger.jsonl").write_bytes(
        b'{"seq": 1, "prev": "' + b"0" * 64 + b'", "hash": "", "x": ' + JSON_BOMBS[name] + b"}\n"
    )
    with pytest.raises(EvidenceError, match=r"ledger\.jsonl:1"):
        read_chain(tmp_path / "ledger.jsonl")
    with pytest.raises(EvidenceError):
        read_verdict(tmp_path / "evidence.json")


def test_an_alias_bomb_in_a_study_does_not_fill_the_report(tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text(laughs())
    start = time.process_time()
    page = write_report(tmp_path).read_text()
    assert time.process_time() - start < 10
    (tmp_path / "bare").mkdir()
    bare = write_report(tmp_path / "bare").read_text()
    assert len(page) < len(bare) + 20_000 and "study.yaml cannot be read" in page


def test_a_value_that_no_column_holds_costs_the_log_no_row(tmp_path: Path) -> None:
    row: dict[str, object] = {
        "schema": 1, "model": f"m/{HIDDEN}", "level": 2**70, "input_tokens": 10**30, "success": 10**400,
        "sample_id": "s", "epoch": 1, "eval_task_id": "t", "family": "f", "instance_id": "i", "completed_at": "2026",
        "simulated": "yes", "arm_cue": HIDDEN, "arm_x' y": "never a column",
    }  # fmt: skip
    write_part(tmp_path, "ab" * 32, Rows.of([{**row, "log_sha256": "ab" * 32}]))
    found = read_observations(tmp_path).iloc[0]
    assert found["model"].startswith("m/\\u001b[2J") and found["model"].isprintable()
    assert found["arm_cue"].isprintable() and "arm_x' y" not in found.index
    assert found[["level", "input_tokens", "success", "simulated"]].isna().all()


def test_two_texts_that_look_alike_stay_two() -> None:
    assert label("a\u202e") != label("a\\u202e") == "a\\u202e"
    assert label("x" * 500) != label("x" * 501)


@given(st.recursive(st.text(st.characters()), lambda x: st.lists(x) | st.dictionaries(st.text(), x)))
def test_json_for_a_terminal_reads_the_same_and_hides_nothing(value: object) -> None:
    shown = harmless(json.dumps(value, ensure_ascii=False, indent=1))
    assert json.loads(shown) == value
    assert all(printable(line, 10**6) == line for line in shown.split("\n"))
    shown.encode()


@pytest.mark.parametrize("fmt", ["json", "md", "table"])
def test_no_output_of_a_verb_carries_control_or_markup(fmt: str, capsys: pytest.CaptureFixture[str]) -> None:
    evil = f"{HIDDEN}<script>alert(1)</script> [x](javascript:alert(1)) | `x` http://x.invalid"
    emit([{evil: evil, "n": 1}], fmt, None, title=evil)
    shown = capsys.readouterr().out
    assert all(printable(line, 10**6) == line for line in shown.split("\n"))
    if fmt == "md":
        body = shown.split("\n\n", 1)[1]
        assert "<script" not in body and "](" not in body and "http://" not in body
        assert all(line.replace("\\|", "").count("|") == 3 for line in body.strip().split("\n"))


def test_ordinary_cells_of_a_markdown_table_stay_as_they_are() -> None:
    names = [
        "sim/smooth@21.5",
        "success_rate",
        "0.42 (0.3 to 0.5)",
        "2026-11-21T10:00:00+00:00",
        "κ 2 · tools",
    ]
    assert all(f"| {name} |" in table([{"x": name}], markdown=True) for name in names[:4])


def test_a_forged_verdict_moves_no_cursor() -> None:
    verdict = Verdict(
        as_of=HIDDEN, subject=HIDDEN, simulated=False, profile=HIDDEN, tier="full", strict=False,
        overall=Outcome.INVALID, exit_code=4, headline=f"RULED_OUT {HIDDEN}",
        policy=PolicyRef(id=HIDDEN, version=1, effective="2026-11-01", sha256="ab" * 32), claims=[],
        digests=Digests(policy="ab" * 32, code="x"),
    )  # fmt: skip
    assert all(printable(line, 10**6) == line for line in as_text(verdict).split("\n"))


def test_an_error_message_moves_no_cursor(monkeypatch: pytest.MonkeyPatch) -> None:
    from dangercurve.evals import cli

    def fails(**_: object) -> None:
        raise ConfigError(f"bad {HIDDEN}")

    monkeypatch.setattr(cli.cli, "main", fails)
    import click

    @click.command()
    def run() -> None:
        cli.main()

    result = CliRunner().invoke(run)
    assert result.exit_code == 2 and result.output.count("\n") == 1
    assert result.output.strip().isprintable()
