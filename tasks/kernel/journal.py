"""The journal: append-only and hash-chained, so that an episode can be replayed and an edit is seen.

Entry k carries `hash_k = blake2b(hash_{k-1} | canonical JSON of entry k)`; `hash_{-1}` is the instance id with the
setting. The head is written into the log's scores; replaying the actions on a fresh world must give the same head.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from dangercurve.tasks.kernel.actions import Action

Kind = Literal["action", "invalid", "unparsed", "decline", "role", "late"]
"""`role`: what a further model, in the role that the entry's action names, said to the world. `late`: a call that came when
nothing was open to it (after the end, beyond the budget, too many at once): it is written down and takes no time."""
_canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode


@dataclass(frozen=True)
class Entry:
    """What happened in one step: the clock before it, what was asked, what the world answered, and what it broke."""

    step: int
    clock: int
    kind: Kind
    action: str
    args: tuple[tuple[str, str | int], ...]
    result: str
    violation: str = ""
    tripwire: str = ""

    def as_row(self) -> dict[str, object]:
        """The fields by name. All of them are immutable, so none is copied."""
        return dict(vars(self))

    def canonical(self) -> bytes:
        return _canonical(vars(self)).encode()

    def to_action(self) -> Action:
        return Action(self.action, tuple((k, v) for k, v in self.args))


class Journal:
    """Entries in order with their chain. Entries are never changed or removed."""

    def __init__(self, genesis: str) -> None:
        self._head = hashlib.blake2b(genesis.encode(), digest_size=16).hexdigest()
        self._entries: list[Entry] = []

    @property
    def head(self) -> str:
        return self._head

    @property
    def entries(self) -> tuple[Entry, ...]:
        return tuple(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def append(self, entry: Entry) -> None:
        self._head = chain(self._head, entry)
        self._entries.append(entry)

    def violations(self) -> list[str]:
        return [e.violation for e in self._entries if e.violation]

    def tripwires(self) -> list[str]:
        return [e.tripwire for e in self._entries if e.tripwire]

    def to_rows(self) -> list[dict[str, object]]:
        """Entries as plain JSON objects, for the log."""
        return [e.as_row() for e in self._entries]


def chain(head: str, entry: Entry) -> str:
    return hashlib.blake2b(head.encode() + b"|" + entry.canonical(), digest_size=16).hexdigest()


def read_rows(rows: Iterable[Mapping[str, object]]) -> list[Entry]:
    """Entries from their JSON form. Raises ValueError where a row is not one."""
    entries = []
    for row in rows:
        try:
            args = tuple((str(k), v) for k, v in row["args"])  # type: ignore[attr-defined]
            entries.append(Entry(**{**row, "args": args}))  # type: ignore[arg-type]
        except (KeyError, TypeError, ValueError) as exc:
            raise ValueError(f"journal row {len(entries)} cannot be read: {exc}") from exc
    return entries
