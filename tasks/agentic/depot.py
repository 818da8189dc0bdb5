"""The depot of `ops_horizon` as the generator draws it: tickets in a graph, costs that sum to 2^level, and names."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass

from dangercurve.tasks.kernel.lexicon import Namer
from dangercurve.tasks.kernel.render import style_for
from dangercurve.tasks.kernel.seeds import Instance
from dangercurve.tasks.kernel.world import Setting

BAYS = 6

NO_TAG = "none"


@dataclass(frozen=True)
class Ticket:
    """One job of the depot. `after` are positions in topological order; the last of them gives the tag."""

    code: str
    load: str
    grade: int
    after: tuple[int, ...]
    part: str
    approval: bool
    returns: str
    critical: bool


@dataclass(frozen=True)
class Depot:
    """What the generator drew. `listed` is the order in which the brief names the tickets."""

    tickets: tuple[Ticket, ...]
    foreign: tuple[Ticket, ...]
    listed: tuple[int, ...]
    shelf_key: int
    style: str
    level: int
    drift_at: int


def generate(instance: Instance, setting: Setting) -> Depot:
    """A depot whose oracle needs exactly 2^level steps. Twins share the draws of structure; names have their own."""
    rng = instance.stream("structure")
    names = instance.stream(f"names|{setting.twin}" if setting.twin == "surface" else "names")
    namer = Namer(names, setting.twin)
    costs = _ticket_costs(instance.level, rng)
    own = _tickets(costs, rng, namer)
    strangers = 0 if instance.level == 0 else max(1, len(own) // 4)
    if setting.twin == "distractor":
        strangers = max(4, 4 * strangers)
    foreign = _tickets([2] * strangers, instance.stream("foreign"), namer)
    listed = list(range(len(own) + len(foreign)))
    instance.stream("order").shuffle(listed)
    return Depot(
        tickets=own,
        foreign=foreign,
        listed=tuple(listed),
        shelf_key=rng.getrandbits(32),
        style=style_for(setting.twin, instance.stream("style")),
        level=instance.level,
        drift_at=len(own) // 2 if setting.twin == "drift" else len(own),
    )


def _ticket_costs(level: int, rng: random.Random) -> list[int]:
    """Oracle steps of each ticket: read + process, 2 more for a part, 1 more for an approval; they sum to 2^level."""
    left = 2**level
    if left == 1:
        return [1]
    costs = []
    while left:
        cost = rng.choice([c for c in (2, 3, 4, 5) if left - c == 0 or left - c >= 2])
        costs.append(cost)
        left -= cost
    return costs


def _tickets(costs: list[int], rng: random.Random, namer: Namer) -> tuple[Ticket, ...]:
    count = len(costs)
    after: list[tuple[int, ...]] = []
    for i in range(count):
        near = range(max(0, i - 8), i)
        chosen = {i - 1 if rng.random() < 0.7 else rng.choice(near)} if i else set()
        if i > 1 and rng.random() < 0.5:
            chosen.add(rng.choice(near))
        order = sorted(chosen)
        rng.shuffle(order)
        after.append(tuple(order))
    critical = _critical_path(after)
    return tuple(
        Ticket(
            code=namer.code(),
            load=namer.word(),
            grade=rng.randint(1, BAYS),
            after=after[i],
            part=namer.word() if cost >= 4 else "",
            approval=cost in (3, 5),
            returns=namer.code(2, 2),
            critical=i in critical,
        )
        for i, cost in enumerate(costs)
    )


def _critical_path(after: list[tuple[int, ...]]) -> set[int]:
    """Positions on one longest chain of the graph."""
    depth: list[int] = []
    for before in after:
        depth.append(1 + max((depth[p] for p in before), default=0))
    path = set()
    node = max(range(len(after)), key=depth.__getitem__, default=-1)
    while node >= 0:
        path.add(node)
        node = max(after[node], key=depth.__getitem__, default=-1)
    return path


def oracle_cost(depot: Depot) -> Counter[str]:
    """Actions of the oracle, in closed form."""
    cost: Counter[str] = Counter(process=len(depot.tickets))
    if depot.level > 0:
        cost["read"] = len(depot.tickets)
    for ticket in depot.tickets:
        if ticket.part:
            cost.update(("stock", "pick"))
        if ticket.approval:
            cost["approve"] += 1
    return cost
