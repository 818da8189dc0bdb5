"""A folder on any file system that fsspec knows: a path of this machine, `s3://bucket/runs`, `gs://...`, `memory://...`.

Only what a run needs: small whole files, listings, no appends and no locks. A write is atomic: object stores show an
object when it is whole, and on a local file system a temporary file is renamed.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from dangercurve._errors import ConfigError
from dangercurve._files import write_atomic


@dataclass(frozen=True)
class Location:
    """A folder by its URL; without a scheme it is a path of this machine."""

    url: str

    @property
    def local(self) -> Path | None:
        """The folder as a path, where it lies on this machine's file system."""
        if self.url.startswith("file://"):
            return Path(self.url.removeprefix("file://"))
        return None if "://" in self.url else Path(self.url)

    def at(self, name: str) -> str:
        """The URL of `name` below this folder, as Inspect takes it for a log directory."""
        return f"{self.url.rstrip('/')}/{name}"

    @cached_property
    def _opened(self) -> tuple[Any, str]:
        from fsspec.core import url_to_fs

        try:
            system, root = url_to_fs(self.url if self.local is None else str(self.local.absolute()))
        except (ImportError, ValueError) as exc:
            raise ConfigError(f"location {self.url} cannot be opened: {exc}") from exc
        return system, str(root).rstrip("/")

    def names(self, folder: str) -> list[str]:
        """Names of files and folders in `folder`, sorted; none where there is no such folder."""
        system, root = self._opened
        system.invalidate_cache()
        try:
            found = system.ls(f"{root}/{folder}".rstrip("/"), detail=False)
        except FileNotFoundError:
            return []
        names = {str(path).rstrip("/").rsplit("/", 1)[-1] for path in found}
        return sorted(name for name in names if name and not name.startswith("."))

    def read(self, name: str) -> bytes:
        """Raises FileNotFoundError where there is no such file."""
        system, root = self._opened
        data = system.cat_file(f"{root}/{name}")
        return bytes(data)

    def read_all(self, folder: str) -> dict[str, bytes]:
        """Every file of a folder by its name; many at a time where the file system can."""
        system, root = self._opened
        names = self.names(folder)
        if not names:
            return {}
        found = system.cat([f"{root}/{folder}/{name}" for name in names])
        return {str(path).rsplit("/", 1)[-1]: bytes(data) for path, data in sorted(found.items())}

    def write(self, name: str, content: bytes) -> None:
        if self.local is not None:
            write_atomic(self.local / name, content)
            return
        system, root = self._opened
        system.pipe_file(f"{root}/{name}", content)

    def exists(self, name: str) -> bool:
        system, root = self._opened
        system.invalidate_cache()
        return bool(system.exists(f"{root}/{name}"))

    def remove(self, name: str) -> None:
        """Remove a file; one that is gone already is no error."""
        system, root = self._opened
        try:
            system.rm_file(f"{root}/{name}")
        except FileNotFoundError:
            return

    def move(self, name: str, to: str) -> None:
        """Copy, then remove: an interrupted move leaves both and is made again."""
        if self.local is not None:
            (self.local / to).parent.mkdir(parents=True, exist_ok=True)
            os.replace(self.local / name, self.local / to)  # noqa: PTH105
            return
        self.write(to, self.read(name))
        self.remove(name)
