"""Seeds: every instance comes from `(family, gen_version, level, index, salt)` and from nothing else.

The `dev` salt is public. A private `gate` salt is a file of at least 32 random bytes (hex) with its commitment in a
file beside it (`SALT.commitment`): the commitment is published before a run, the salt is revealed after it, and
anyone can then regenerate the instances (custody: `docs/seeds.md`). The salt itself never enters a log.
"""

from __future__ import annotations

import hashlib
import hmac
import random
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from dangercurve._errors import ConfigError
from dangercurve._files import write_atomic

_DOMAIN = b"dangercurve seed commitment v1"
DEV_SALT = b"dangercurve public dev salt"


@dataclass(frozen=True)
class Salt:
    """A named salt. `commitment` binds it without showing it: SHA-256 over a domain string and the salt."""

    name: str
    value: bytes = field(repr=False)
    path: Path | None = field(default=None, repr=False, compare=False)

    @property
    def commitment(self) -> str:
        return hashlib.sha256(_DOMAIN + b"\x00" + self.value).hexdigest()


def load_salt(source: str) -> Salt:
    """`"dev"`, or the path of a private salt file whose `.commitment` file lies beside it and matches.

    Raises ConfigError where the file or its commitment is missing, malformed or does not match.
    """
    if source == "dev":
        return Salt("dev", DEV_SALT)
    path = Path(source)
    if not path.is_file():
        raise ConfigError(f"salt file {path} not found; make one with `dangercurve tasks salt {path}`")
    try:
        value = bytes.fromhex(path.read_text(encoding="ascii").strip())
    except (ValueError, UnicodeDecodeError):
        raise ConfigError(
            f"salt file {path} is not hexadecimal text; make one with `dangercurve tasks salt`"
        ) from None
    if len(value) < 32:
        raise ConfigError(f"salt file {path} holds {len(value)} bytes; at least 32 are needed")
    salt = Salt("gate", value, path)
    committed = path.with_name(path.name + ".commitment")
    if not committed.is_file():
        raise ConfigError(
            f"salt file {path} has no commitment {committed.name} beside it; commit before you run"
        )
    if not hmac.compare_digest(committed.read_text(encoding="ascii").strip(), salt.commitment):
        raise ConfigError(
            f"commitment {committed} does not match the salt; the salt was changed after it was committed"
        )
    return salt


def new_salt(path: Path) -> Salt:
    """Write a fresh private salt (mode 600) and its commitment file. Refuses to overwrite either."""
    committed = path.with_name(path.name + ".commitment")
    for existing in (path, committed):
        if existing.exists():
            raise ConfigError(f"{existing} exists; a salt is never overwritten, choose another name")
    salt = Salt("gate", secrets.token_bytes(32))
    write_atomic(path, salt.value.hex() + "\n")
    path.chmod(0o600)
    write_atomic(committed, salt.commitment + "\n")
    return salt


@dataclass(frozen=True)
class Instance:
    """The unit of pairing, clustering and counting."""

    family: str
    gen_version: int
    level: int
    index: int
    salt: Salt = field(repr=False)

    @property
    def instance_id(self) -> str:
        """BLAKE2b over `family|gen_version|level|index|salt`, 16 bytes as 32 hex digits."""
        return self._digest("").hex()

    def stream(self, name: str) -> random.Random:
        """An independent generator for one purpose; the same name gives the same draws, whatever was drawn before."""
        return random.Random(int.from_bytes(self._digest(name), "big"))

    def _digest(self, name: str) -> bytes:
        plain = f"{self.family}|{self.gen_version}|{self.level}|{self.index}|{name}".encode()
        key = hashlib.blake2b(self.salt.value, digest_size=32).digest()
        return hashlib.blake2b(plain, digest_size=16, key=key).digest()
