"""Whether this machine can hold a shell: which sandboxes there are, and what gets out of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import anyio

from dangercurve._errors import ConfigError
from dangercurve._text import printable
from dangercurve.evals.sandbox import BwrapSandbox, trial
from dangercurve.tasks.kernel.preflight import EscapeError, escapes
from dangercurve.tasks.kernel.shell import engine_answers, shell_sandbox

Finding = tuple[str, Literal["ok", "warn", "fail"], str, str]
"""Check, state (ok | warn | fail), what was found, what to do: the columns of `doctor`."""
INSTALL = "Debian: apt-get install bubblewrap"


def findings() -> Iterator[Finding]:
    """What `doctor` reports of isolation. Only a sandbox that lets something out is a failure: a shell is optional."""
    engine = engine_answers()
    if engine:
        yield "sandbox docker", "ok", "an engine answers; the pre-flight runs in each sample's container", ""
    else:
        yield "sandbox docker", "ok", "no engine (optional: interface shell of ops_horizon)", ""
    reason = trial()
    if reason:
        yield (
            "sandbox bwrap",
            "ok" if engine else "warn",
            f"no interface shell: {printable(reason, 160)}",
            INSTALL,
        )
        return
    try:
        leaks = bwrap_leaks()
    except EscapeError as exc:
        leaks = (printable(exc, 200),)
    if leaks:
        yield (
            "sandbox bwrap",
            "fail",
            f"does not hold: {'; '.join(leaks)}",
            "use a Docker engine for interface shell",
        )
    else:
        yield "sandbox bwrap", "ok", "holds: the canary pre-flight got nothing out", ""


def bwrap_leaks(salt: Path | None = None) -> tuple[str, ...]:
    """What gets out of a bubblewrap sandbox on this machine. Raises EscapeError where that could not be tried."""

    async def try_it() -> tuple[str, ...]:
        box = BwrapSandbox()
        try:
            return await escapes(box, salt)
        finally:
            box.remove()

    return anyio.run(try_it)


def require_isolation(salt: Path | None) -> None:
    """Raise ConfigError where a shell may not be opened on this machine.

    A container is tried by each sample for itself, before its model is asked for the first time.
    """
    if shell_sandbox() != "bwrap":
        return
    reason = trial()
    if reason:
        raise ConfigError(f"interface shell: the sandbox bwrap does not work here: {printable(reason, 200)}")
    leaks = bwrap_leaks(salt)
    if leaks:
        raise ConfigError(
            f"interface shell: the sandbox does not hold, nothing is run in it: it {'; it '.join(leaks)}"
        )
