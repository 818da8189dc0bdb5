"""Golden digests: a generator that changed without a new version is refused.

Inspect reuses old logs by version, arguments and name, never by content. So `golden.yaml` pins, for each family and
generator version, a digest of what its instances are and how they score: prompts, oracle and random episodes, results,
metrics, over a small grid of levels, twins, arms and doses with the public salt. A line is never rewritten: a changed
family gets the next number in `version` and a line of its own (`dangercurve tasks pin NAME`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from importlib.resources import files
from pathlib import Path

import yaml

from dangercurve._errors import ConfigError
from dangercurve._files import write_atomic
from dangercurve.tasks.kernel.arms import notice, paraphrase_of
from dangercurve.tasks.kernel.cases import Finding
from dangercurve.tasks.kernel.family import Family, family_names, get_family
from dangercurve.tasks.kernel.seeds import DEV_SALT, Salt
from dangercurve.tasks.kernel.world import Setting

LEVELS = (0, 1, 2)
RANDOM_STEPS = 12


def _settings(family: Family) -> Iterator[Setting]:
    """Every twin once, then every value of every arm and dose once."""
    yield from (Setting(twin) for twin in family.all_twins())
    yield from (Setting("base", ((name, v),)) for name, values in family.arms.items() for v in values)
    yield from (Setting("base", (), ((name, v),)) for name, values in family.doses.items() for v in values)


def digest(family: Family) -> str:
    """SHA-256 over prompts, an oracle and a random episode and their scores; index 0 and the last of the grid."""
    salt = Salt("dev", DEV_SALT)
    total = hashlib.sha256()
    for k, bare in enumerate(_settings(family)):
        for level in LEVELS if not bare.arms and not bare.doses else (1,):
            instance = family.instance(level, k, salt)
            setting = Setting(bare.twin, bare.arms, bare.doses, paraphrase_of(instance))
            world = family.build(instance, setting)
            parts = [world.manual(), world.brief(), world.situation(), notice(setting)]
            parts += [
                f"{s.name} {s.doc} {[(p.name, p.kind, p.pattern) for p in s.params]}" for s in world.offered()
            ]
            cost = family.oracle_cost(world.spec)
            rng, other = instance.stream("golden"), world.fork()
            for _ in range(sum(cost.values())):
                world.play(world.oracle())
            for _ in range(RANDOM_STEPS):
                other.play(other.random_legal(rng))
            for played in (world, other):
                scores = (played.success(), round(played.outcome(), 9), dict(played.milestones()))
                gates = (played.opportunity(), played.competent(), dict(played.family_metrics()))
                parts.append(json.dumps([played.journal.head, scores, gates], sort_keys=True))
            parts.append(json.dumps(sorted(cost.items())))
            total.update("\x00".join(parts).encode("utf-8", "replace") + b"\x01")
    return total.hexdigest()


@lru_cache(maxsize=1)
def pinned() -> Mapping[str, Mapping[int, str]]:
    """Family -> generator version -> digest."""
    text = files("dangercurve.tasks.kernel").joinpath("golden.yaml").read_text(encoding="utf-8")
    return {str(f): {int(v): str(d) for v, d in by.items()} for f, by in (yaml.safe_load(text) or {}).items()}


def require_golden(family: Family) -> None:
    """Raise ConfigError where the family is not what its version says. Families of other packages may be unpinned."""
    fault = golden_fault(family.name)
    if fault:
        raise ConfigError(fault)


@lru_cache(maxsize=64)
def golden_fault(name: str) -> str:
    """What is wrong with the version of a family, in a sentence; empty where nothing is."""
    family = get_family(name)
    known = pinned().get(name, {})
    if family.gen_version not in known:
        if not known and not family.world.__module__.startswith("dangercurve.tasks."):
            return ""
        return (
            f"{name} version {family.version} has no golden digest in golden.yaml; "
            f"`dangercurve tasks pin {name}` adds it"
        )
    if digest(family) != known[family.gen_version]:
        newer = f"{family.gen_version + 1}-{family.version.split('-')[1]}"
        return (
            f"{name} does not generate or score what version {family.version} did, and old logs would be reused: "
            f"set version='{newer}' and run `dangercurve tasks pin {name}`"
        )
    return ""


def golden_finding(name: str) -> Finding:
    """The fault as a property of the family, for `dangercurve tasks check`."""
    fault = golden_fault(name)
    return Finding(
        name, "golden digest", not fault, 1, float(not fault), "1: as its version was pinned", fault
    )


def pin(name: str, path: Path) -> str:
    """Add the digest of a family's present version to the golden file. Refuses to rewrite one."""
    family = get_family(name)
    known = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    made = digest(family)
    before = known.get(name, {}).get(family.gen_version)
    if before not in (None, made):
        raise ConfigError(
            f"version {family.gen_version} of {name} is pinned to other instances; a changed family needs a new "
            "version (a line of a version that was never run may be deleted by hand)"
        )
    known.setdefault(name, {})[family.gen_version] = made
    lead = "# Family -> generator version -> digest (golden.py). Lines are added, never rewritten.\n"
    write_atomic(path, lead + yaml.safe_dump(known, sort_keys=True))
    return made


def unpinned() -> list[str]:
    """Faults of all families."""
    return [fault for name in family_names() if (fault := golden_fault(name))]
