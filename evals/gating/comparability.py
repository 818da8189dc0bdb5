"""Which models of one or more run folders may be compared, and what differs where they may not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dangercurve._text import printable
from dangercurve.evals.run_folder import locate
from dangercurve.evals.store import read_observations

if TYPE_CHECKING:
    import pandas as pd

CONDITION = ("interface", "kappa", "elicitation")
NAMED = ("task_version", "seed_commitment", "scaffold", "judge", "inspect_version", "simulated")
"""Columns of an observation that explain why two keys differ."""
HIDDEN = "something that only the logs' headers hold (suite version or sampling)"


@dataclass(frozen=True)
class Comparable:
    """One group of subjects (`RUN:model`) of a family and condition that may be compared with each other.

    `group` counts from 1 within family and condition; two groups are not comparable, and `differs` says in what from
    the first. `shared` is how many instances all subjects of the group played: with none, nothing can be paired.
    """

    family: str
    condition: str
    group: int
    groups: int
    subjects: tuple[str, ...]
    shared: int
    comparability_key: str
    differs: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def whole(self) -> bool:
        """Whether every subject of this family and condition may be compared with every other."""
        return self.groups == 1 and (len(self.subjects) == 1 or self.shared > 0) and not self.notes


def comparability(folders: Sequence[Path]) -> list[Comparable]:
    """Groups of comparable subjects over all run `folders`, by family and condition.

    Subjects are comparable where comparability key, task version and simulated-or-real agree. A subject whose samples
    of one condition have several keys stands in several groups: its own parts are not comparable. Raises ConfigError
    for a folder that is not there, EvidenceError for a store that cannot be read.
    """
    import pandas as pd

    frames = []
    names = labels_of(folders)
    for folder, name in zip(folders, names, strict=True):
        frame = read_observations(locate(folder))
        frame["subject"] = [f"{name}:{model}" if name else str(model) for model in frame["model"]]
        frames.append(frame)
    table = pd.concat(frames, ignore_index=True)
    table["_family"] = table["family"].astype(str)
    for column in (*CONDITION, *NAMED, "comparability_key"):
        if column not in table:
            table[column] = None
        table[column] = table[column].astype(object).where(table[column].notna(), None).map(_plain)
    found: list[Comparable] = []
    for key, rows in table.groupby(["_family", *CONDITION], sort=True, dropna=False):
        family, *condition = key if isinstance(key, tuple) else (key,)
        said = ", ".join(
            f"{'kappa ' if c == 'kappa' else ''}{v}" for c, v in zip(CONDITION, condition, strict=True)
        )
        found += _groups(printable(family), printable(said), rows)
    return found


def _groups(family: str, condition: str, rows: pd.DataFrame) -> list[Comparable]:
    groups = list(rows.groupby(["comparability_key", "task_version", "simulated"], sort=True))
    groups.sort(key=lambda item: (-item[1]["subject"].nunique(), str(item[0])))
    first = _facts(groups[0][1])
    out = []
    for number, (key, part) in enumerate(groups, 1):
        subjects = sorted(set(part["subject"]))
        played = [set(part.loc[part["subject"] == s, "instance_id"]) for s in subjects]
        shared = len(set.intersection(*played))
        notes = []
        if len(subjects) > 1 and not shared:
            notes.append("no instance was played by all of them: nothing can be paired")
        strangers = _strangers(part)
        if strangers:
            notes.append(f"answered by another model: {', '.join(strangers)}")
        out.append(
            Comparable(
                family,
                condition,
                number,
                len(groups),
                tuple(printable(s, 120) for s in subjects),
                shared,
                printable(key[0], 40),
                () if number == 1 else _differences(first, _facts(part)),
                tuple(notes),
            )
        )
    return out


def _facts(rows: pd.DataFrame) -> dict[str, tuple[str, ...]]:
    return {name: tuple(sorted(set(rows[name]))) for name in NAMED}


def _differences(first: Mapping[str, Iterable[str]], other: Mapping[str, Iterable[str]]) -> tuple[str, ...]:
    said = [
        f"{name} {_shown(other[name])}, not {_shown(first[name])}"
        for name in NAMED
        if other[name] != first[name]
    ]
    return tuple(said) or (HIDDEN,)


def _shown(values: Iterable[str]) -> str:
    return "/".join(printable(v[:16] or "none", 40) for v in values)


def _strangers(rows: pd.DataFrame) -> list[str]:
    """Subjects of which another model than the named one answered some samples."""
    named = rows[rows["answering_model"].notna()]
    wrong = named[[a not in _names(m) for a, m in zip(named["answering_model"], named["model"], strict=True)]]
    return sorted({printable(s, 80) for s in wrong["subject"]})


def _names(model: object) -> set[str]:
    full = str(model)
    return {full, full.split("/", 1)[-1], full.rsplit("/", 1)[-1]}


def labels_of(folders: Sequence[Path]) -> list[str]:
    """A name for each folder, empty where there is one alone; parents are added until the names differ."""
    if len(folders) == 1:
        return [""]
    return distinct_names([locate(folder).resolve() for folder in folders])


def distinct_names(paths: Sequence[Path]) -> list[str]:
    """The last parts of absolute paths, as many as tell them apart; numbered where nothing does."""
    for depth in range(1, max((len(p.parts) for p in paths), default=0) + 1):
        names = ["/".join(p.parts[-depth:]) for p in paths]
        if len(set(names)) == len(names):
            return names
    return [f"{p.name}#{number}" for number, p in enumerate(paths, 1)]


def _plain(value: object) -> str:
    return (
        "none" if value is None or value == "" else f"{value:g}" if isinstance(value, float) else str(value)
    )
