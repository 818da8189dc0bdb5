"""One location, one run folder: who may bind cells at a location that several machines can reach.

The file `driver.json` at the location names the run folder (by a random id that the folder keeps) whose driver works
there. Stores without locks cannot keep two drivers that start at the same moment from both writing it; the last one
stands, and the other sees that before it binds its next cell.
"""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime
from pathlib import Path

from dangercurve._errors import ConfigError
from dangercurve._files import write_atomic
from dangercurve._text import printable
from dangercurve.evals.engines.location import Location

OWNER, ID = "driver.json", "driver-id"


class Ownership:
    """The claim of a run folder to a location. Where the location is the run folder itself, its lock is enough."""

    def __init__(self, place: Location, run: Path) -> None:
        self._place = place
        self._id = "" if place.local is not None and place.local.absolute() == run.absolute() else _id_of(run)

    def take(self) -> None:
        """Claim the location. Raises ConfigError where it belongs to another run folder."""
        if not self._id or self._held():
            return
        since = datetime.now(UTC).isoformat(timespec="seconds")
        self._place.write(OWNER, json.dumps({"run": self._id, "since": since}).encode())
        self.check()

    def check(self) -> None:
        """Raises ConfigError where the location is no longer this run folder's."""
        if self._id and not self._held():
            raise ConfigError(
                f"{self._place.url}: {OWNER} was removed while this run was using it; run again"
            )

    def _held(self) -> bool:
        try:
            found = json.loads(self._place.read(OWNER))
            owner, since = str(found["run"]), str(found["since"])
        except FileNotFoundError:
            return False
        except (ValueError, KeyError, TypeError):
            raise ConfigError(f"{self._place.url}/{OWNER} is damaged: remove it if no run uses it") from None
        if owner != self._id:
            raise ConfigError(
                f"{self._place.url} belongs to another run folder ({printable(owner, 40)}, since {printable(since, 40)}): go "
                f"on from that folder, choose another location, or remove {OWNER} there if that folder is gone"
            )
        return True


def _id_of(run: Path) -> str:
    path = run / ID
    if not path.exists():
        write_atomic(path, uuid.uuid4().hex + "\n")
    return path.read_text("ascii").strip()
