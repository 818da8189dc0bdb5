"""Frozen instance sets: a cell of a family pinned as a Hugging Face dataset, and loaded only where it still matches.

A set is a folder (or a dataset repository of the hub) with `data/test-00000-of-00001.parquet`, one row a sample, a
dataset card with the canary, and `dangercurve.json`, the manifest: task arguments, seed commitment, SHA-256 of the
content, and the fingerprint that binds both. Nothing in a set is executed or unpickled: loading generates the cell
again from the seeds and refuses the set where it is not the same, so that a set pins what was run and can be read by
anybody, and old results stay comparable to new ones. A set made with a private salt needs that salt to be played.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from inspect_ai import Task, task
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from dangercurve._errors import ConfigError, EvidenceError
from dangercurve._files import write_atomic
from dangercurve.tasks.kernel.family import get_family
from dangercurve.tasks.kernel.interfaces import CANARY
from dangercurve.tasks.kernel.task import Cell, build_task, episode_of, make_cell

MANIFEST = "dangercurve.json"
ROWS = "data/test-00000-of-00001.parquet"
SCHEMA = 1
ESTIMATES = ("random_floor", "human_minutes")  # computed about a sample, no part of it
COLUMNS = (
    "id",
    "input",
    "system",
    "family",
    "gen_version",
    "level",
    "index",
    "instance_id",
    "twin",
    "metadata",
)


class Manifest(BaseModel):
    """What a set is. `fingerprint` = SHA-256 over seed commitment and content."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: int = Field(alias="schema")
    family: str
    version: str
    arguments: dict[str, str | int | float]
    n_samples: int
    seed_commitment: str
    content_sha256: str
    fingerprint: str
    canary: str


@dataclass(frozen=True)
class SetArguments:
    """The arguments of a task that choose its samples, as they stand in a manifest. The salt is never among them."""

    level: str = "0"
    twin: str = "base"
    arm: str = ""
    dose: str = ""
    n: int = 20
    start: int = 0
    interface: str = "tools"
    kappa: float = 2.0
    elicitation: str = "zero"
    choice_by: str = "letter"


def set_rows(cell: Cell) -> list[dict[str, str | int]]:
    """One row a sample, in order: prompt, system prompt, identity, metadata as JSON."""
    rows: list[dict[str, str | int]] = []
    for sample in build_task(cell).dataset:
        meta: Mapping[str, Any] = {k: v for k, v in (sample.metadata or {}).items() if k not in ESTIMATES}
        rows.append(
            {
                "id": str(sample.id),
                "input": str(sample.input),
                "system": episode_of(cell, dict(meta)).system(),
                "family": cell.family.name,
                "gen_version": cell.family.gen_version,
                **{k: meta[k] for k in ("level", "index", "instance_id", "twin")},
                "metadata": json.dumps(meta, sort_keys=True),
            }
        )
    return rows


def content_sha256(rows: list[dict[str, str | int]]) -> str:
    """SHA-256 over the canonical JSON of the rows in order."""
    total = hashlib.sha256()
    for row in rows:
        total.update(json.dumps({k: row[k] for k in COLUMNS}, sort_keys=True).encode() + b"\n")
    return total.hexdigest()


def fingerprint(seed_commitment: str, content: str) -> str:
    return hashlib.sha256(f"dangercurve set v{SCHEMA}|{seed_commitment}|{content}".encode()).hexdigest()


def freeze(family: str, folder: Path, arguments: SetArguments, salt: str = "dev") -> Manifest:
    """Write the set of a cell into a new folder. Raises ConfigError where the folder exists or holds something."""
    datasets = _datasets()
    if folder.exists():
        raise ConfigError(f"{folder} exists; a frozen set is never overwritten, choose another folder")
    cell = make_cell(get_family(family), **asdict(arguments), salt=salt)
    rows = set_rows(cell)
    content = content_sha256(rows)
    manifest = Manifest(
        schema=SCHEMA, family=family, version=cell.family.version, arguments=asdict(arguments), n_samples=len(rows),
        seed_commitment=cell.salt.commitment, content_sha256=content,
        fingerprint=fingerprint(cell.salt.commitment, content), canary=CANARY,
    )  # fmt: skip
    (folder / "data").mkdir(parents=True)
    datasets.Dataset.from_list(rows).to_parquet(str(folder / ROWS))
    write_atomic(folder / MANIFEST, manifest.model_dump_json(by_alias=True, indent=2) + "\n")
    write_atomic(folder / "README.md", card(manifest, cell))
    return manifest


def card(manifest: Manifest, cell: Cell) -> str:
    """The dataset card."""
    private = cell.salt.name != "dev"
    arguments = "\n".join(f"| {k} | {v if v != '' else '(none)'} |" for k, v in manifest.arguments.items())
    note = (
        "Private until the salt is revealed: do not publish." if private else "Made with the public dev salt."
    )
    return f"""---
pretty_name: dangercurve {manifest.family} {manifest.version}
tags: [dangercurve, evaluation]
configs:
- config_name: default
  data_files: [{{split: test, path: "{ROWS}"}}]
---
# dangercurve {manifest.family}, version {manifest.version}

{manifest.n_samples} samples of the task family `{manifest.family}` ({cell.family.construct}), generated and fictional.
{note}

This is an evaluation set and must not appear in training data: `{manifest.canary}`

| argument | value |
|---|---|
{arguments}

Seed commitment `{manifest.seed_commitment}`, content `{manifest.content_sha256}`, fingerprint `{manifest.fingerprint}`.

`dangercurve tasks load FOLDER` generates the set again and compares;
`inspect eval dangercurve/frozen_set -T source=FOLDER` runs it.
"""


def load(source: str, salt: str = "dev") -> tuple[Manifest, Cell]:
    """The cell that a set pins, after the check that stored rows, seeds and generator all still give its fingerprint.

    `source` is a folder or a dataset id of the hub (`owner/name`). Raises ConfigError for what is no set or needs
    another salt or version, EvidenceError where content and fingerprint differ.
    """
    folder = _folder(source)
    manifest = read_manifest(folder)
    stored = read_rows(folder)
    if content_sha256(stored) != manifest.content_sha256 or len(stored) != manifest.n_samples:
        raise EvidenceError(
            f"{source}: the rows are not those of its fingerprint; the set was changed after it was frozen"
        )
    if fingerprint(manifest.seed_commitment, manifest.content_sha256) != manifest.fingerprint:
        raise EvidenceError(
            f"{source}: the fingerprint does not bind the commitment and content in {MANIFEST}"
        )
    family = get_family(manifest.family)
    if family.version.split("-")[0] != manifest.version.split("-")[0]:
        raise ConfigError(
            f"{source} was frozen from {manifest.family} {manifest.version}; here it is {family.version}: "
            "scores are not comparable, install the version of the set"
        )
    try:
        arguments = SetArguments(**manifest.arguments)  # type: ignore[arg-type]
    except TypeError as exc:
        raise ConfigError(f"{source}: {MANIFEST} names task arguments that do not exist ({exc})") from exc
    cell = make_cell(family, **asdict(arguments), salt=salt)
    if cell.salt.commitment != manifest.seed_commitment:
        raise ConfigError(
            f"{source} was frozen with another salt; pass the salt file whose commitment it names"
        )
    if content_sha256(set_rows(cell)) != manifest.content_sha256:
        raise EvidenceError(
            f"{source}: {manifest.family} {family.version} generates other samples than the set holds; "
            f"the generator or its prompts were changed since (the set is of {manifest.version})"
        )
    return manifest, cell


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a set. Raises ConfigError where there is none or it cannot be read."""
    path = folder / MANIFEST
    if not path.is_file():
        raise ConfigError(f"{folder} holds no {MANIFEST}; make a set with `dangercurve tasks freeze`")
    try:
        manifest = Manifest.model_validate_json(path.read_text(encoding="utf-8"))
    except (ValidationError, UnicodeDecodeError) as exc:
        first = exc.errors()[0] if isinstance(exc, ValidationError) else {"loc": ("text",), "msg": str(exc)}
        raise ConfigError(f"{path}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    if manifest.schema_version != SCHEMA:
        raise ConfigError(f"{path} has schema {manifest.schema_version}; this version reads {SCHEMA}")
    return manifest


def read_rows(folder: Path) -> list[dict[str, str | int]]:
    """The rows of a set, read through `datasets`. Raises EvidenceError where they cannot be."""
    path = folder / ROWS
    if not path.is_file():
        raise EvidenceError(f"{folder} holds no {ROWS}")
    datasets = _datasets()
    cache = tempfile.mkdtemp()
    try:
        rows = [dict(row) for row in datasets.Dataset.from_parquet(str(path), cache_dir=cache)]
    except (
        Exception
    ) as exc:  # whatever the reader raises for a file that is no Parquet file: named, never a traceback
        raise EvidenceError(f"{path} cannot be read: {type(exc).__name__}") from exc
    finally:
        shutil.rmtree(cache, ignore_errors=True)
    if any(set(row) != set(COLUMNS) for row in rows):
        raise EvidenceError(f"{path} does not have the columns {', '.join(COLUMNS)}")
    return rows


def _folder(source: str) -> Path:
    """A local folder, or a copy of a hub dataset in the hub's own cache."""
    if Path(source).is_dir():
        return Path(source)
    if source.count("/") != 1 or source.startswith((".", "/", "~")):
        raise ConfigError(f"no folder {source}; a dataset of the hub is written OWNER/NAME")
    _datasets()
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(
            snapshot_download(source, repo_type="dataset", allow_patterns=[MANIFEST, ROWS, "README.md"])
        )
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as exc:
        raise ConfigError(
            f"no folder and no dataset of the hub that can be reached: {source} ({type(exc).__name__})"
        ) from exc


def _datasets() -> Any:
    if importlib.util.find_spec("datasets") is None:
        raise ConfigError("frozen sets need the package datasets: pip install 'dangercurve[datasets]'")
    import datasets

    datasets.disable_progress_bars()
    return datasets


@task
def frozen_set(source: str, salt: str = "dev") -> Task:
    """A frozen instance set (folder or hub dataset), run as the task it pins."""
    return build_task(load(source, salt)[1])
