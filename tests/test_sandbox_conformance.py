"""Inspect's own conformance checks over the bubblewrap sandbox.

`exec_as_user` is the one documented exception: the sandbox has a single user, and asking for another raises
`SandboxUserUnsupportedError` before anything runs.
"""

from __future__ import annotations

import anyio
import pytest
from inspect_ai.util import SandboxUserUnsupportedError
from inspect_ai.util._sandbox import self_check

from dangercurve.evals.sandbox import BwrapSandbox, trial

REASON = trial()
pytestmark = pytest.mark.skipif(bool(REASON), reason=f"no bubblewrap sandbox here: {REASON}")
UNSUPPORTED = {"test_exec_as_user"}


@pytest.mark.parametrize("name", sorted(set(self_check.__all__) - UNSUPPORTED))
def test_inspects_conformance_check(name: str) -> None:
    async def check() -> None:
        box = BwrapSandbox()
        try:
            await getattr(self_check, name)(box)
        finally:
            box.remove()

    anyio.run(check)


def test_another_user_is_refused_before_anything_runs() -> None:
    async def check() -> None:
        box = BwrapSandbox()
        try:
            with pytest.raises(SandboxUserUnsupportedError):
                await box.exec(["touch", "ran"], user="root")
            assert (await box.exec(["ls"])).stdout == ""
        finally:
            box.remove()

    anyio.run(check)
