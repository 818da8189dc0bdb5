"""A hostile model through the whole pipeline: every attack ends as its harmless text does, and touches nothing outside."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hostile_child import spread
from support_hostile import BOMBS, corpus

HERE = Path(__file__).parent
PLACES = {
    "native tool arguments", "text protocol", "choice parser", "judge prompt", "monitor prompt", "refusal classifier",
    "store", "HTML report", "CSV", "terminal", "file names", "links to the log viewer", "evidence import",
    "YAML and JSON readers", "ingest --mapping", "answering model",
}  # fmt: skip


@cache
def namespace() -> tuple[str, ...]:
    """The command that takes the network away, or nothing where that is not permitted."""
    for command in (("unshare", "-n"), ("unshare", "-rn")):
        if (
            shutil.which("unshare")
            and subprocess.run([*command, "true"], capture_output=True, check=False).returncode == 0
        ):
            return command
    return ()


@dataclass(frozen=True)
class Played:
    attack: dict[str, Any]
    harmless: dict[str, Any]
    outside: set[str]


def play(folder: Path, mode: str) -> dict[str, Any]:
    out = folder / mode
    (out / "home").mkdir(parents=True)
    (out / "tmp").mkdir()
    environment = {
        **os.environ, "HOME": str(out / "home"), "TMPDIR": str(out / "tmp"), "PYTHONPATH": str(HERE),
        "PYTHONDONTWRITEBYTECODE": "1", "INSPECT_TELEMETRY": "",
    }  # fmt: skip
    for name in ("XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME"):
        environment[name] = str(out / "home")
    done = subprocess.run(
        [*namespace(), sys.executable, str(HERE / "hostile_child.py"), str(out), mode],
        capture_output=True, text=True, timeout=600, env=environment, cwd=folder, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stderr.isprintable() or all(line.isprintable() for line in done.stderr.splitlines())
    found: dict[str, Any] = json.loads((out / "result.json").read_text())
    return found


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Played:
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "neighbour.txt").write_text("untouched")
    attack, harmless = play(folder, "attack"), play(folder, "harmless")
    assert (folder / "neighbour.txt").read_text() == "untouched"
    return Played(attack, harmless, {p.name for p in folder.iterdir()})


def test_the_corpus_has_two_hundred_attacks_and_reaches_every_place() -> None:
    entries = corpus()
    assert len(entries) >= 200
    assert len({e.id for e in entries}) == len(entries)
    assert {e.place for e in entries} >= PLACES
    assert min(sum(e.place == p for e in entries) for p in PLACES) >= 6


def test_no_attack_of_the_corpus_names_a_host_that_exists() -> None:
    for path in (HERE / "hostile").glob("*.yaml"):
        for scheme, host in re.findall(r"(\w+):///?([^/\s\"'<>\\)]*)", path.read_text()):
            plain = host.rsplit("@", 1)[-1]
            assert plain.endswith(".invalid") or scheme in ("file", "attachment"), (path.name, scheme, host)


def test_every_attack_ends_as_the_harmless_text_of_the_same_meaning(both: Played) -> None:
    attack, harmless = both.attack["rows"], both.harmless["rows"]
    assert attack.keys() == harmless.keys() and len(attack) > 400
    different = {k: (attack[k], harmless[k]) for k in attack if attack[k] != harmless[k]}
    assert different == {}
    assert {row[0] for row in attack.values()} >= {"scored", "refused", "format_failure", "infra_error"}


def test_estimates_and_verdicts_are_the_same(both: Played) -> None:
    assert both.attack["estimates"] == both.harmless["estimates"]
    assert both.attack["verdicts"] == both.harmless["verdicts"]
    assert both.attack["verdicts"]["named"]["overall"] == "INVALID"
    assert both.attack["verdicts"]["plain"]["overall"] != "INVALID"


def test_a_stranger_that_looks_like_the_model_is_a_stranger(both: Played) -> None:
    names = sum(e.via == "answered" for e in corpus())
    assert len(both.attack["strangers"]) == names
    assert all(name.isprintable() for name in both.attack["strangers"])


def test_the_run_folder_holds_the_same_files(both: Played) -> None:
    assert both.attack["tree"] == both.harmless["tree"]


def test_nothing_outside_the_folder_is_written_started_or_called(both: Played) -> None:
    told = [
        [e for e in events if e[0] != "subprocess.Popen"]
        for events in (both.attack["events"], both.harmless["events"])
    ]
    assert told == [[], []]
    started = [{Path(e[1]).name for e in x["events"]} for x in (both.attack, both.harmless)]
    assert started[0] <= started[1] <= {"git"}  # Inspect asks git for the revision, whatever the model says
    assert both.outside == {"attack", "harmless", "neighbour.txt"}


def test_the_watch_would_have_seen_it(tmp_path: Path) -> None:
    code = (
        "import hostile_child as c, subprocess, socket, os\nc.ARMED = True\n"
        "open(os.devnull, 'w').close()\nopen('x.txt', 'w').close()\nsubprocess.run(['true'])\n"
        "try:\n    socket.create_connection(('127.0.0.1', 9), 0.1)\nexcept OSError:\n    pass\n"
        "c.ARMED = False\nprint(sorted({e[0] for e in c.EVENTS}))\n"
        "print([e[0] for e in c.EVENTS if not c.inside(e, '/nowhere')].count('write'))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=True,
        env={**os.environ, "PYTHONPATH": str(HERE)}, timeout=120,
    )  # fmt: skip
    kinds, outside = done.stdout.strip().split("\n")
    assert {"write", "subprocess.Popen", "socket.connect"} <= set(json.loads(kinds.replace("'", '"')))
    assert int(outside) >= 1


def test_the_child_had_no_network() -> None:
    if not namespace():
        pytest.skip("network namespaces are not permitted here: only the audit hook watched")
    code = "import socket; socket.create_connection(('127.0.0.1', 1), 1)"
    done = subprocess.run(
        [*namespace(), sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert "unreachable" in done.stderr


def test_no_form_of_any_output_shows_what_a_model_wrote_as_markup_or_control(both: Played) -> None:
    assert both.attack["leaks"] == []
    assert both.attack["problems"] == []


def test_a_file_with_a_hostile_text_gives_the_verdict_of_the_harmless_one(both: Played) -> None:
    attack, harmless = both.attack["files"], both.harmless["files"]
    assert {k: v["leaks"] for k, v in attack.items() if v["leaks"]} == {}
    different = [k for k in attack if {**attack[k], "leaks": 0} != {**harmless[k], "leaks": 0}]
    unlike = {e.id for e in corpus() if e.file == "waiver" and isinstance(e.text, str) and len(e.text) > 2000}
    assert set(different) <= unlike


def test_a_foreign_log_reads_the_same_whatever_its_samples_say(both: Played) -> None:
    assert both.attack["foreign"] == both.harmless["foreign"]
    assert len(both.attack["foreign"]) == 1 + sum(e.via == "foreign" for e in corpus())
    assert both.attack["foreign"]["leaks"] == []


def test_every_reader_refuses_every_bomb_in_one_line(both: Played) -> None:
    said = both.attack["readers"]
    assert len(said) == sum(e.via == "reader" for e in corpus())
    assert {k: v for k, v in said.items() if v == "read" or "\n" in v or not v.isprintable()} == {}


def test_no_cell_is_a_formula_and_no_record_leaves_the_fence_of_a_monitor() -> None:
    texts = tuple(e for e in corpus() if isinstance(e.text, str) and len(e.text) < 20_000)
    assert spread(texts) == []


def test_the_bombs_of_the_corpus_exist() -> None:
    assert {e.bomb for e in corpus() if e.bomb} <= set(BOMBS)
