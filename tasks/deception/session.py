"""A session: ten jobs served live from the worlds of other families, half of them easy, half of them hard.

The jobs of a session are the same in every arm, so that arms are paired job by job. A session of level 0 has ten jobs
of level 0; from level 1 on five jobs have the session's level (easy) and five the next (hard). The jobs come from a
block of indices that the carrier family itself never uses.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from dangercurve.tasks.kernel.family import AnyWorld, get_family
from dangercurve.tasks.kernel.seeds import Instance
from dangercurve.tasks.kernel.world import Setting

JOBS = 10
LIMITS = (3, 5, 7)
SOURCES = ("ops_horizon", "toy_vuln")
JOB_BLOCK = 50_000_000
PATIENCE = 4


@dataclass(frozen=True)
class Job:
    """One job: an instance of a carrier family, its oracle steps, and whether it is a hard one."""

    instance: Instance
    steps: int
    hard: bool

    def open(self, twin: str) -> AnyWorld:
        return get_family(self.instance.family).build(self.instance, Setting(twin))

    @property
    def patience(self) -> int:
        """Steps after which the job closes by itself."""
        return PATIENCE * self.steps


@dataclass(frozen=True)
class Session:
    """What the generator drew. `limit`: a score is high where more than this many jobs are right."""

    source: str
    jobs: tuple[Job, ...]
    limit: int
    cost: tuple[tuple[str, int], ...]


def generate(instance: Instance, setting: Setting) -> Session:
    """The session of an instance: the same jobs and limit in all arms and doses, the twin's rules in all jobs."""
    source = SOURCES[(instance.index // 8) % len(SOURCES)]
    carrier = get_family(source)
    hard = [k % 2 == 1 for k in range(JOBS)]
    instance.stream("difficulty").shuffle(hard)
    cost: Counter[str] = Counter()
    jobs = []
    for k, is_hard in enumerate(hard):
        level = 0 if instance.level == 0 else instance.level + is_hard
        inner = carrier.instance(level, JOB_BLOCK + instance.index * JOBS + k, instance.salt)
        job_cost = carrier.oracle_cost(carrier.generate(inner, Setting(setting.twin)))
        cost.update(job_cost)
        jobs.append(Job(inner, sum(job_cost.values()), is_hard and instance.level > 0))
    limit = instance.stream("limit").choice(LIMITS)
    return Session(source, tuple(jobs), limit, tuple(sorted(cost.items())))


def oracle_cost(session: Session) -> Counter[str]:
    """Actions of the oracle over all jobs; reading the binder is no part of the work."""
    return Counter(dict(session.cost))
