"""Append-only JSON lines, each with the hash of the one before: no record can be dropped quietly."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from dangercurve._errors import ConfigError, EvidenceError
from dangercurve._text import printable

Record = Mapping[str, object]
GENESIS = "0" * 64


def record_hash(record: Record) -> str:
    """SHA-256 of a record's canonical JSON without its own `hash`."""
    body = {key: value for key, value in record.items() if key != "hash"}
    return hashlib.sha256(json.dumps(body, sort_keys=True, allow_nan=False).encode()).hexdigest()


def head(records: Sequence[Record]) -> str:
    """Hash of the last record, or sixty-four zeros for none."""
    return str(records[-1]["hash"]) if records else GENESIS


def read_chain(path: Path | str) -> list[dict[str, object]]:
    """Every record, in order, checked. An absent file is an empty chain.

    Raises EvidenceError naming file and line for a record that cannot be read, was changed, or follows a gap.
    """
    target = Path(path)
    if not target.exists():
        return []
    try:
        lines = target.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as exc:
        raise EvidenceError(f"{target.name}: cannot be read: {printable(exc, 120)}") from exc
    records: list[dict[str, object]] = []
    for number, line in enumerate(lines, 1):
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as exc:
            raise EvidenceError(f"{target.name}:{number}: no JSON record: {printable(exc, 120)}") from exc
        if not isinstance(record, dict) or record.get("seq") != number or record.get("prev") != head(records):
            raise EvidenceError(
                f"{target.name}:{number}: does not follow the record before it: one was dropped or moved"
            )
        try:
            same = record.get("hash") == record_hash(record)
        except (ValueError, RecursionError) as exc:  # an infinity, or nested beyond what can be written again
            raise EvidenceError(f"{target.name}:{number}: no JSON record: {printable(exc, 120)}") from exc
        if not same:
            raise EvidenceError(f"{target.name}:{number}: was changed after it was written")
        records.append(record)
    return records


def append(path: Path | str, body: Record) -> dict[str, object]:
    """Add `body` as the next record under a file lock and return it with seq, prev and hash.

    Raises EvidenceError where the chain is damaged, ConfigError where it cannot be written.
    """
    target = Path(path)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("a", encoding="utf-8") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            records = read_chain(target)
            record: dict[str, object] = {**body, "seq": len(records) + 1, "prev": head(records)}
            record["hash"] = record_hash(record)
            stream.write(json.dumps(record, sort_keys=True, allow_nan=False) + "\n")
            stream.flush()
            os.fsync(stream.fileno())
    except OSError as exc:
        raise ConfigError(f"cannot write {target}: {exc.strerror or exc}") from exc
    return record
