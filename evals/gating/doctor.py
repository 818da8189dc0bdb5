"""Checks of the environment: each answers ok, warn or fail, what it found, and what to do."""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from dangercurve._errors import DangercurveError
from dangercurve._text import printable

State = Literal["ok", "warn", "fail"]
DISTRIBUTION = "dangercurve"
REAL_MODEL = "smollm2-135m-instruct"
EXTRAS = {"local": "xllamacpp", "bayes": "numpyro", "datasets": "datasets", "ray": "ray"}
TOKENIZER_URL = "https://openaipublic.blob.core.windows.net/encodings/o200k_base.tiktoken"
MIN_FREE_BYTES = 1_000_000_000


@dataclass(frozen=True)
class Check:
    """One line of the diagnosis. `advice` is empty where nothing needs to be done."""

    check: str
    state: State
    found: str
    advice: str = ""


def examine(run_folder: Path, *, server: bool = False) -> list[Check]:
    """All checks. `server` also starts the local model and measures its speed (seconds)."""
    checks = [_python(), *_requirements(), *_extras(), _entry_point(), _local_model(), _threads(), _tokenizer(),
              _writable(run_folder), *_sandboxes(), _registry(), _slow_companions()]  # fmt: skip
    if server:
        checks.append(_server())
    return checks


def healthy(checks: list[Check]) -> bool:
    """Whether nothing failed; warnings do not count."""
    return all(check.state != "fail" for check in checks)


def in_range(version: str, specifier: str) -> bool:
    """Whether a release number satisfies comma-separated bounds such as `>=0.3.278,<0.4` (no pre-release rules)."""
    have = _release(version)
    for part in filter(None, specifier.split(",")):
        match = re.fullmatch(r"\s*(>=|<=|==|!=|>|<|~=)\s*([0-9][\w.]*)\s*", part)
        if match is None:
            raise ValueError(f"cannot read the bound '{part}'")
        sign, want = match[1], _release(match[2])
        width = max(len(have), len(want))
        left, right = _padded(have, width), _padded(want, width)
        if sign == "~=":
            if not (left >= right and have[: len(want) - 1] == want[:-1]):
                return False
        elif not _SIGNS[sign](left, right):
            return False
    return True


_SIGNS: dict[str, Callable[[tuple[int, ...], tuple[int, ...]], bool]] = {
    ">=": lambda a, b: a >= b,
    "<=": lambda a, b: a <= b,
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    ">": lambda a, b: a > b,
    "<": lambda a, b: a < b,
}


def _release(version: str) -> tuple[int, ...]:
    match = re.match(r"\d+(\.\d+)*", version)
    return tuple(int(part) for part in match[0].split(".")) if match else (0,)


def _padded(parts: tuple[int, ...], width: int) -> tuple[int, ...]:
    return parts + (0,) * (width - len(parts))


def _python() -> Check:
    """Which interpreter; an older one cannot have installed the package."""
    return Check("python", "ok", f"{platform.python_implementation()} {platform.python_version()}")


def _requirements() -> Iterator[Check]:
    """Every requirement of the distribution against what is installed; one line where all is well."""
    try:
        wanted = metadata.requires(DISTRIBUTION) or []
    except metadata.PackageNotFoundError:
        yield Check("packages", "fail", f"{DISTRIBUTION} is not installed", "pip install -e .")
        return
    good = []
    for line in wanted:
        if ";" in line:  # extras
            continue
        match = re.match(r"([A-Za-z0-9._-]+)\s*(.*)", line)
        if match is None:
            continue
        name, bounds = match[1], match[2].strip("() ")
        try:
            version = metadata.version(name)
        except metadata.PackageNotFoundError:
            yield Check(f"package {name}", "fail", "missing", f"pip install '{name}{bounds}'")
            continue
        if in_range(version, bounds):
            good.append(f"{name} {version}")
        else:
            yield Check(
                f"package {name}", "fail", f"{version}, wanted {bounds}", f"pip install '{name}{bounds}'"
            )
    shown = next((item for item in good if item.startswith("inspect-ai ")), "")
    yield Check("packages", "ok", f"{len(good)} in range ({shown})" if shown else f"{len(good)} in range")


def _extras() -> Iterator[Check]:
    for extra, module in EXTRAS.items():
        present = find_spec(module) is not None
        if present or extra != "local":
            yield Check(f"extra {extra}", "ok", "installed" if present else "not installed (optional)")
        else:
            yield Check(
                "extra local", "warn", "not installed: no local models", "pip install 'dangercurve[local]'"
            )


def _entry_point() -> Check:
    found = [entry for entry in metadata.entry_points(group="inspect_ai") if entry.name == DISTRIBUTION]
    if not found:
        return Check(
            "inspect registry", "fail", "no entry point: Inspect does not know our tasks", "pip install -e ."
        )
    started = time.perf_counter()
    try:
        found[0].load()
    except Exception as exc:  # a broken entry point may raise anything, and breaks every get_model()
        return Check("inspect registry", "fail", printable(f"{type(exc).__name__}: {exc}", 200), "reinstall")
    return Check("inspect registry", "ok", f"{found[0].value} loads in {time.perf_counter() - started:.1f} s")


def _local_model() -> Check:
    from dangercurve.evals.models import find, load_registry
    from dangercurve.evals.participants.gguf import PACKAGED, packaged_path, resolve_gguf

    name = f"model local/{REAL_MODEL}"
    if packaged_path(REAL_MODEL) is None:
        return Check(name, "warn", "weights not installed", PACKAGED[REAL_MODEL].hint)
    try:
        record = find(load_registry(), f"local/{REAL_MODEL}")
        weights = resolve_gguf(REAL_MODEL, expected_sha256=record.weights_sha256 if record else None)
    except DangercurveError as exc:
        return Check(name, "fail", printable(exc, 200), PACKAGED[REAL_MODEL].hint)
    return Check(name, "ok", f"SHA-256 {weights.sha256[:16]}... as recorded")


def _threads() -> Check:
    from dangercurve.evals.participants.server import default_threads

    cores = os.cpu_count() or 1
    return Check(
        "threads", "ok", f"{default_threads()} of {cores} for a local model (-M threads=N changes it)"
    )


def _tokenizer() -> Check:
    folder = os.environ.get("TIKTOKEN_CACHE_DIR") or os.environ.get("DATA_GYM_CACHE_DIR")
    held = hashlib.sha1(TOKENIZER_URL.encode(), usedforsecurity=False).hexdigest()
    if folder and (Path(folder) / held).is_file():
        return Check("tokenizer cache", "ok", "o200k_base is there: token estimates work without a network")
    return Check(
        "tokenizer cache",
        "warn",
        "o200k_base is not cached; Inspect downloads it for mockllm, count_tokens and compaction",
        "air-gapped: copy a filled cache and set TIKTOKEN_CACHE_DIR; our own models need none",
    )


def _writable(folder: Path) -> Check:
    nearest = folder.absolute()
    while not nearest.exists() and nearest != nearest.parent:
        nearest = nearest.parent
    try:
        with tempfile.TemporaryFile(dir=nearest):
            pass
    except OSError as exc:
        return Check(
            "run folder", "fail", f"{folder}: {exc.strerror or exc}", "choose a folder that you may write to"
        )
    free = shutil.disk_usage(nearest).free
    if free < MIN_FREE_BYTES:
        return Check("run folder", "warn", f"{folder}: {free / 1e9:.1f} GB free", "make room: logs are kept")
    return Check("run folder", "ok", f"{folder}: writable, {free / 1e9:.0f} GB free")


def _sandboxes() -> Iterator[Check]:
    """Our worlds need none; the interface shell does (evals/isolation.py)."""
    from dangercurve.evals.isolation import findings

    for check, state, found, advice in findings():
        yield Check(check, state, found, advice)


def _registry() -> Check:
    from dangercurve.evals.models import audit, load_registry

    try:
        records = load_registry()
    except DangercurveError as exc:
        return Check("model records", "fail", printable(exc, 300), "dangercurve models audit FILE")
    verified = sum(record.verified for record in records.values())
    warnings = sum(len(audit(record)) for record in records.values())
    return Check(
        "model records", "ok", f"{len(records)} records, {verified} verified, {warnings} audit warnings"
    )


def _slow_companions() -> Check:
    if find_spec("inspect_evals") is None:
        return Check("companions", "ok", "inspect_evals is not in this environment")
    return Check(
        "companions",
        "warn",
        "inspect_evals is installed: every process pays seconds and memory to load it",
        "keep it in an environment of its own",
    )


def _server() -> Check:
    from dangercurve.evals.participants.gguf import resolve_gguf
    from dangercurve.evals.participants.server import LlamaServer, ServerOptions

    name = f"server local/{REAL_MODEL}"
    try:
        weights = resolve_gguf(REAL_MODEL)
        started = time.perf_counter()
        with LlamaServer(ServerOptions(weights.path, weights.name, context=1024)) as server:
            up = time.perf_counter() - started
            timings = server.complete("The depot opens at nine. " * 24, max_tokens=16)["timings"]
    except (DangercurveError, OSError, KeyError) as exc:
        return Check(name, "fail", printable(exc, 300), "see the log that the message names")
    assert isinstance(timings, dict)
    prompt, generated = timings["prompt_per_second"], timings["predicted_per_second"]
    return Check(name, "ok", f"up in {up:.1f} s; {prompt:.0f} prompt and {generated:.0f} generated tokens/s")
