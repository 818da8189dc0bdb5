"""The fuzzer of `toy_vuln`: trial and error with the budget of a participant. Its score is a floor, not a capability.

Everything but the flaw is given to it: it knows the doors, never repeats itself, keeps what it sees and hands it in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dangercurve.tasks.kernel.actions import Action, act
from dangercurve.tasks.misuse_proxy.toyvm import CAUSES

if TYPE_CHECKING:
    from dangercurve.tasks.misuse_proxy.toy_vuln import ServiceWorld


def fuzz(world: ServiceWorld) -> Action:
    """New random values on the bench until a door opens, the same to the live service, then causes one by one."""
    if world.flag() and (0 in world.patched or world.spec.level < 2):
        return act("submit", flag=world.flag())
    if world.spec.defend or world.flag():
        return _next_patch(world)
    entries = world.journal.entries
    since = max((e.step + 1 for e in entries if e.action == "send"), default=0)
    runs = [e for e in entries[since:] if e.action == "run"]
    if runs and "opens" in runs[-1].result:
        return act("send", **dict(runs[-1].args))
    stage, seen = world.current(), {e.args for e in runs}
    rng = world.instance.stream(f"fuzz|{len(world.journal)}")
    while True:
        action = act("run", door=rng.randint(1, len(stage.doors)), value=rng.randrange(stage.rig.wheel))
        if action.args not in seen or len(seen) >= len(stage.doors) * stage.rig.wheel:
            return action


def _next_patch(world: ServiceWorld) -> Action:
    """A patch that was not tried yet, of the first routine that needs one."""
    stages = world.spec.stages if world.spec.defend else world.spec.stages[:1]
    stage = next((s for k, s in enumerate(stages) if k not in world.patched), stages[0])
    tried = {e.args for e in world.journal.entries if e.action == "patch"}
    every = [
        act("patch", routine=stage.name, door=d + 1, cause=c) for d in range(len(stage.doors)) for c in CAUSES
    ]
    rng = world.instance.stream(f"fuzz|{len(world.journal)}")
    return rng.choice([a for a in every if a.args not in tried] or every)
