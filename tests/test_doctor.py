"""Claims about `doctor`: it fails for what would break a run, warns of what is missing, and changes nothing."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from dangercurve.evals.gating import doctor
from dangercurve.evals.gating.doctor import Check, examine, healthy, in_range
from dangercurve.evals.verbs.doctor import command


@pytest.fixture(scope="module")
def checks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Check]:
    folder = tmp_path_factory.mktemp("runs")
    found = examine(folder)
    assert list(folder.iterdir()) == [], "doctor leaves nothing behind"
    return {check.check: check for check in found}


@pytest.mark.parametrize(
    ("version", "bounds", "expected"),
    [
        ("0.3.285", ">=0.3.278,<0.4", True),
        ("0.3.277", ">=0.3.278,<0.4", False),
        ("0.4.0", ">=0.3.278,<0.4", False),
        ("0.4", "<0.4.0", False),
        ("2.10", ">2.9", True),
        ("3.54.0", "<3,>=2.26", False),
        ("1.4.9", "~=1.4.2", True),
        ("1.5.0", "~=1.4.2", False),
        ("1.0.0.post1", "==1.0", True),
        ("1.0", "!=1.0.0", False),
        ("7.1", "", True),
    ],
)
def test_versions_are_compared_by_number(version: str, bounds: str, expected: bool) -> None:
    assert in_range(version, bounds) is expected


def test_a_bound_that_cannot_be_read_is_an_error_and_not_a_pass() -> None:
    with pytest.raises(ValueError, match="cannot read the bound"):
        in_range("1.0", "about 1")


def test_this_environment_can_run(checks: dict[str, Check]) -> None:
    assert healthy(list(checks.values())), [c for c in checks.values() if c.state == "fail"]
    assert "inspect-ai" in checks["packages"].found
    assert checks["inspect registry"].state == "ok"


def test_every_finding_that_is_not_ok_says_what_to_do(checks: dict[str, Check]) -> None:
    assert all(check.advice for check in checks.values() if check.state != "ok")


def test_only_a_failure_makes_it_unhealthy() -> None:
    assert healthy([Check("a", "ok", ""), Check("b", "warn", "")])
    assert not healthy([Check("a", "ok", ""), Check("b", "fail", "")])


def test_a_package_out_of_range_fails_with_the_command_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        doctor.metadata, "requires", lambda name: ["numpy<1,>=0.1", "no-such-package>=2", "x; extra == 'y'"]
    )
    found = {check.check: check for check in doctor._requirements()}
    assert (
        found["package numpy"].state == "fail"
        and found["package numpy"].advice == "pip install 'numpy<1,>=0.1'"
    )
    assert found["package no-such-package"].found == "missing"


def test_a_folder_that_cannot_be_written_fails() -> None:
    result = CliRunner().invoke(command, ["--run", "/proc/none", "--format", "json"])
    rows = {row["check"]: row for row in json.loads(result.stdout)}
    assert result.exit_code == 2 and rows["run folder"]["state"] == "fail"
    assert set(rows["run folder"]) == {"check", "state", "found", "advice"}


def test_a_broken_registry_fails_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.yaml").write_text("model: x\nparms: 3\n")
    monkeypatch.setenv("DANGERCURVE_REGISTRY", str(tmp_path))
    check = doctor._registry()
    assert check.state == "fail" and "mine.yaml" in check.found


def test_other_weights_under_the_name_of_the_real_model_fail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = tmp_path / "x.gguf"
    fake.write_bytes(b"GGUF\x03\0\0\0" + b"\1" + b"\0" * 7 + b"\1" + b"\0" * 7)
    monkeypatch.setattr("dangercurve.evals.participants.gguf.packaged_path", lambda name: fake)
    check = doctor._local_model()
    assert check.state == "fail" and "not the file of the model record" in check.found


def test_a_filled_tokenizer_cache_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    assert doctor._tokenizer().state == "warn"
    (tmp_path / hashlib.sha1(doctor.TOKENIZER_URL.encode()).hexdigest()).write_bytes(b"x")
    assert doctor._tokenizer().state == "ok"
