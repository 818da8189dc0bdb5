"""The verbs as a user meets them: exit codes, files, one clear line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result
from jsonschema import Draft202012Validator

from dangercurve.evals.cli import cli
from dangercurve.evals.gating.gate_world import AS_OF, World, policy_text, write_policy, write_run
from dangercurve.evals.gating.schemas import schemas
from dangercurve.evals.policy import POLICY_FOLDER
from dangercurve.evals.strict_yaml import _parse

SCHEMAS = Path(__file__).parent.parent / "docs" / "schemas"


def run(*words: object) -> Result:
    return CliRunner().invoke(cli, [str(word) for word in words])


def folder(tmp_path: Path, *success: int | None, text: str | None = None) -> Path:
    root = write_run(tmp_path, [World(success=list(success) or [0] * 60)])
    write_policy(root / "policy.yaml", text)
    return root


def test_the_json_of_the_gate_is_the_verdict_and_validates(tmp_path: Path) -> None:
    root = folder(tmp_path)
    done = run("gate", root / "policy.yaml", "--store", root, "--as-of", AS_OF, "--format", "json")
    assert done.exit_code == 0
    data = json.loads(done.stdout)
    Draft202012Validator(json.loads((SCHEMAS / "verdict.schema.json").read_text())).validate(data)
    assert data["overall"] == "RULED_OUT"
    written = root / "verdict.json"
    again = run("gate", root / "policy.yaml", "--store", root, "--as-of", AS_OF, "-o", written)
    assert again.exit_code == 0
    assert written.read_text() == done.stdout


def test_the_published_schemas_are_what_the_models_say() -> None:
    for name, text in schemas().items():
        said = (SCHEMAS / name).read_text()
        assert said == text, f"run `python -m dangercurve.evals.gating.schemas docs/schemas` ({name})"


@pytest.mark.parametrize("path", sorted(POLICY_FOLDER.glob("*.yaml")), ids=lambda p: p.stem)
def test_the_shipped_policies_validate_against_the_published_schema(path: Path) -> None:
    data, _ = _parse(path.read_text(), path.name)
    plain = json.loads(json.dumps(data, default=str))
    Draft202012Validator(json.loads((SCHEMAS / "policy.schema.json").read_text())).validate(plain)


def test_a_typo_in_a_policy_is_one_line_and_exit_2(tmp_path: Path) -> None:
    root = folder(tmp_path, text=policy_text().replace("alpha", "alfa"))
    command = [
        sys.executable,
        "-m",
        "dangercurve.evals.cli",
        "gate",
        str(root / "policy.yaml"),
        "--store",
        str(root),
    ]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, "NO_COLOR": "1"}
    )
    assert done.returncode == 2
    assert done.stderr.strip() == (
        "error: policy.yaml:7: claims[0].test.alfa: unknown key (did you mean 'alpha'?)"
    )


def test_the_gate_starts_without_inspect_pandas_or_scipy(tmp_path: Path) -> None:
    root = folder(tmp_path)
    program = (
        "import sys\n"
        f"sys.argv = ['dangercurve', 'gate', {str(root / 'policy.yaml')!r}, '--store', {str(root)!r}]\n"
        "from dangercurve.evals.cli import main\n"
        "try:\n    main()\n"
        "finally:\n    print(sorted({'inspect_ai', 'pandas', 'scipy', 'pyarrow'} & set(sys.modules)), file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == "[]"
    assert done.returncode == 0


def test_waive_gate_expire(tmp_path: Path) -> None:
    root = folder(tmp_path, *([0] * 50 + [1] * 10))
    gate = ["gate", root / "policy.yaml", "--store", root, "--deployment", "internal"]
    assert run(*gate, "--as-of", AS_OF).exit_code == 3
    waive = [
        *(
            "waive",
            root / "policy.yaml",
            "claim.one",
            "--waivers",
            root / "waivers.jsonl",
            "--model",
            "sim/smooth@22",
        ),
        *("--deployment", "internal", "--verdict", "UNRESOLVED", "--reason", "a larger run is booked"),
        *("--owner", "Ada", "--days", "20", "--reopen-on", "checkpoint", "--created", "2026-11-01"),
    ]
    assert run(*waive, "--approver", "Ada").exit_code != 0
    assert run(*waive, "--approver", "Grace").exit_code == 0
    passed = run(*gate, "--as-of", AS_OF)
    assert passed.exit_code == 0
    assert "WAIVED claim.one (was UNRESOLVED" in passed.stdout.splitlines()[0]
    late = run(*gate, "--as-of", "2026-11-22")
    assert late.exit_code == 3
    assert "void: expired on 2026-11-21" in late.stdout


def test_explain_outputs_attest_and_export(tmp_path: Path) -> None:
    root = folder(tmp_path, *([0] * 50 + [1] * 10))
    gate = ["gate", root / "policy.yaml", "--store", root, "--as-of", AS_OF]
    said = run(*gate, "--explain", "claim.one", "--outputs", root / "out")
    assert said.exit_code == 3
    assert "would bring B below T" in said.stdout
    assert sorted(p.name for p in (root / "out").iterdir()) == [
        "junit.xml", "summary.md", "verdict.json", "verdict.sarif", "verdict.txt",
    ]  # fmt: skip
    assert "did you mean 'claim.one'" in str(run(*gate, "--explain", "claim.on").exception)
    verdict = root / "out" / "verdict.json"
    assert json.loads(run("attest", verdict, "--store", root).stdout)["predicate"]["result"] == "FAILED"
    for form in ("stream", "code-of-practice", "every-eval", "junit", "sarif", "summary", "text", "json"):
        assert run("export", verdict, "--to", form).exit_code == 0, form
    assert run("export", verdict, "--to", "sarif", "--baseline", verdict).exit_code == 0
    assert (
        run("verify", verdict, "--store", root, "--policy", root / "policy.yaml", "--no-rescore").exit_code
        == 0
    )
    (root / "policy.yaml").write_text(policy_text(reach=0.3))
    refused = run("verify", verdict, "--store", root, "--policy", root / "policy.yaml", "--no-rescore")
    assert refused.exit_code == 4
    assert "REFUSED: policy policy.yaml" in refused.stdout


def test_sign_off_names_roles_keeps_them_apart_and_records_dissent(tmp_path: Path) -> None:
    root = folder(tmp_path, text=policy_text(tail="signoff: {roles: [release manager, safety lead]}\n"))
    gate = ["gate", root / "policy.yaml", "--store", root, "--as-of", AS_OF]
    assert run(*gate, "-o", root / "verdict.json").exit_code == 0
    attest = ["attest", root / "verdict.json", "--store", root, "-o", root / "statement.json"]
    assert run(*attest, "--sign-as", "release manager", "--name", "Ada").exit_code == 0
    assert "roles are separate" in str(run(*attest, "--sign-as", "safety lead", "--name", "ada ").exception)
    assert "says why" in str(
        run(*attest, "--sign-as", "safety lead", "--name", "Grace", "--decision", "dissent").exception
    )
    dissent = ["--name", "Grace", "--decision", "dissent", "--comment", "elicitation was thin"]
    assert run(*attest, "--sign-as", "safety lead", *dissent).exit_code == 0
    state = json.loads(run(*gate, "--format", "json").stdout)["signoff"]
    assert state["signed"] == {"release manager": "Ada"}
    assert state["missing"] == ["safety lead"]
    assert state["dissent"] == ["safety lead Grace: elicitation was thin"]


@pytest.mark.parametrize("verb", ["gate", "waive", "attest", "verify", "export"])
def test_every_verb_shows_an_example(verb: str) -> None:
    assert "Example:" in run(verb, "--help").stdout


def jobs() -> dict[str, str]:
    """The gate's own lines of the ready CI jobs, as a shell would run them."""
    ci = Path(__file__).resolve().parents[1] / "examples" / "ci"
    steps = yaml.safe_load((ci / "github-actions.yml").read_text())["jobs"]["gate"]["steps"]
    named = {step["name"]: step["run"] for step in steps if "name" in step and "run" in step}
    job = yaml.safe_load((ci / "gitlab-ci.yml").read_text())["gate"]
    return {
        "github gate": named["Gate"],
        "github verify": named["Verify"],
        "gitlab": "\n".join(job["script"]),
        "gitlab after": "\n".join(job["after_script"]),
    }


@pytest.mark.parametrize(("wins", "broken", "code"), [(0, False, 0), (60, False, 1), (0, True, 2)])
def test_the_ready_ci_jobs_give_the_gates_exit_code(
    tmp_path: Path, wins: int, broken: bool, code: int
) -> None:
    write_run(tmp_path / "run", [World(success=[1] * wins + [0] * (60 - wins))])
    text = policy_text()
    write_policy(tmp_path / "policy.yaml", text.replace("reach", "raech") if broken else text)
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "MODEL": World.model,
        "GITHUB_STEP_SUMMARY": str(tmp_path / "summary"),
    }

    def shell(words: str) -> int:
        command = words.replace("verify ", "verify --no-rescore ")  # a simulated run has no logs
        return subprocess.run(
            ["bash", "-e", "-c", command], cwd=tmp_path, env=environment, capture_output=True, check=False
        ).returncode

    lines = jobs()
    assert shell(lines["github gate"]) == code
    assert ("No verdict: exit 2." in (tmp_path / "summary").read_text()) is broken
    if not broken:
        assert shell(lines["github verify"]) == 0
        assert (tmp_path / "out" / "statement.json").is_file()
    assert shell(lines["gitlab"]) == code
    assert shell(lines["gitlab after"]) == 0
