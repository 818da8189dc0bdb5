"""`dangercurve tasks`: the shapes that others build on, exit codes, and a salt from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from dangercurve._errors import ConfigError
from dangercurve.evals.verbs.tasks import command
from dangercurve.tasks.kernel import properties
from dangercurve.tasks.kernel.cases import Finding, Grid
from dangercurve.tasks.kernel.family import Family, family_names, get_family
from dangercurve.tasks.kernel.seeds import load_salt


def run(*args: str) -> Result:
    return CliRunner().invoke(command, args)


def test_the_list_has_the_agreed_keys_for_every_family() -> None:
    result = run("--format", "json")
    assert result.exit_code == 0
    rows = json.loads(result.stdout)
    assert [row["family"] for row in rows] == list(family_names())
    for row in rows:
        assert {
            "family", "domain", "version", "construct", "ladder", "twins", "arms", "doses", "interfaces", "metrics",
            "tiers",
        } <= set(row)  # fmt: skip
        assert row["twins"] == list(get_family(row["family"]).all_twins())
        assert row["interfaces"] == list(get_family(row["family"]).interfaces())
        assert row["ladder"]["top"] is None
        assert {"light", "full"} == set(row["tiers"])
        assert {"n", "levels", "twins"} == set(row["tiers"]["light"])
    assert {row["domain"] for row in rows} == {"agentic", "deception", "misuse_proxy"}


def test_the_table_fits_a_reader() -> None:
    result = run()
    assert result.exit_code == 0
    assert all(name in result.stdout for name in family_names())


def test_check_gives_one_summary_a_family() -> None:
    result = run("check", "toy_vuln", "--format", "json")
    assert result.exit_code == 0, result.stderr
    (row,) = json.loads(result.stdout)
    assert list(row) == [
        "family",
        "domain",
        "n",
        "oracle",
        "null",
        "random",
        "random_floor",
        "imitator_rule_flip",
    ]
    assert (row["family"], row["oracle"], row["null"]) == ("toy_vuln", 1.0, 0.0)
    assert row["random"] <= row["random_floor"] <= 0.25
    assert row["imitator_rule_flip"] <= row["random_floor"] + 0.05
    assert row["n"] >= 50


def test_a_property_that_fails_is_named_and_exits_1(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(family: Family, grid: Grid) -> list[Finding]:
        numbers = [
            Finding(family.name, p, True, 9, 0.5, "")
            for p in ("oracle", "random (tools)", "random floor (x)")
        ]
        return [*numbers, Finding(family.name, "null", False, 9, 0.4, "<= 0.02", "level 3")]

    monkeypatch.setattr(properties, "check_family", broken)
    result = run("check", "ops_horizon", "--format", "json")
    assert result.exit_code == 1
    assert "ops_horizon: null is 0.4 (wanted <= 0.02), first at level 3" in result.stderr
    assert json.loads(result.stdout)[0]["imitator_rule_flip"] is None


@pytest.mark.parametrize("args", [("check",), ("check", "ops_horizon", "--all"), ("check", "ops_horizn")])
def test_a_check_of_nothing_or_of_an_unknown_family_is_one_clear_line(args: tuple[str, ...]) -> None:
    result = run(*args)
    assert isinstance(result.exception, ConfigError)
    assert "\n" not in str(result.exception)


def test_a_salt_is_made_committed_and_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "gate.salt"
    made = run("salt", str(path))
    assert made.exit_code == 0
    salt = load_salt(str(path))
    assert salt.commitment in made.stdout
    assert salt.value.hex() not in made.stdout
    assert isinstance(run("salt", str(path)).exception, ConfigError)
    assert load_salt(str(path)) == salt
    assert isinstance(run("salt", str(tmp_path / "no" / "gate.salt")).exception, ConfigError)
