"""The house: imports are prefixed and go down only, every verb explains itself, and help starts light."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from dangercurve.evals.cli import VERBS, cli

ROOT = Path(__file__).resolve().parents[1]
FLOORS = ("analysis", "scorers", "tasks", "evals")
"""From the ground up: a floor imports itself and what lies below."""


def modules() -> Iterator[tuple[str, Path, ast.Module]]:
    for floor in FLOORS:
        for path in sorted((ROOT / floor).rglob("*.py")):
            yield floor, path, ast.parse(path.read_text(encoding="utf-8"))


def imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module


def test_no_module_is_imported_without_its_prefix() -> None:
    bare = [
        (path.name, name)
        for _, path, tree in modules()
        for name in imported(tree)
        if name.split(".")[0] in FLOORS
    ]
    assert bare == []


def test_imports_go_down_only() -> None:
    upward = []
    for floor, path, tree in modules():
        above = FLOORS[FLOORS.index(floor) + 1 :]
        for name in imported(tree):
            parts = name.split(".")
            if parts[0] == "dangercurve" and len(parts) > 1 and parts[1] in above:
                upward.append(f"{path.relative_to(ROOT)} imports {name}")
    assert upward == []


def test_the_analysis_knows_nothing_of_inspect() -> None:
    users = {
        p.name
        for floor, p, tree in modules()
        if floor == "analysis"
        for n in imported(tree)
        if "inspect_ai" in n
    }
    assert users == set()


def test_nothing_that_a_model_writes_can_be_executed() -> None:
    """No eval, exec, pickle or shell in any module that a task, a scorer or the analysis consists of."""
    forbidden = {"eval", "exec", "compile", "__import__"}
    found = []
    for floor, path, tree in modules():
        if floor == "evals":
            continue
        names = [
            n.func.id for n in ast.walk(tree) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)
        ]
        found += [(path.name, n) for n in names if n in forbidden]
        found += [
            (path.name, n)
            for n in imported(tree)
            if n in ("pickle", "marshal", "subprocess", "shelve", "os.system")
        ]
    assert found == []


@pytest.mark.parametrize("verb", list(VERBS))
def test_every_verb_shows_an_example_in_its_help(verb: str) -> None:
    result = CliRunner().invoke(cli, [verb, "--help"])
    assert result.exit_code == 0, result.output
    assert "Example" in result.output


def test_help_imports_no_heavy_package() -> None:
    code = (
        "import sys\nsys.argv = ['dangercurve', '--help']\nfrom dangercurve.evals.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "heavy = {'numpy', 'scipy', 'pandas', 'inspect_ai', 'duckdb', 'pyarrow', 'pydantic'} & set(sys.modules)\n"
        "sys.exit(3 if heavy else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "assess" in done.stdout


def test_a_mistyped_verb_gets_a_suggestion_and_exit_code_2() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "dangercurve.evals.cli", "gat"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 2
    assert "did you mean 'gate'" in done.stderr


def test_a_study_that_is_not_there_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "dangercurve.evals.cli", "assess", "nowhere.yaml"],
        capture_output=True, text=True, check=False, timeout=120, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "nowhere.yaml" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_readme_names_only_documents_and_verbs_that_exist() -> None:
    import re

    text = (ROOT / "README.md").read_text(encoding="utf-8")
    missing = [link for link in re.findall(r"\]\(([^)#:]+)\)", text) if not (ROOT / link).exists()]
    assert missing == []
    verbs = set(re.findall(r"dangercurve ([a-z]+)", text)) - {"measures"}
    assert verbs <= set(VERBS), verbs - set(VERBS)
