"""The baselines of a run's task families: what oracle, null, random and imitator bots score, from playing them.

Written to `evidence/baselines.json`, where a policy's `require: {baselines: true}` reads them. Playing a family costs
seconds, so its numbers are kept in the user's cache under the family's version and the SHA-256 of every task source.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable
from dataclasses import asdict
from functools import cache
from pathlib import Path

from dangercurve._errors import EvidenceError
from dangercurve._files import sha256_file, write_atomic
from dangercurve._text import printable
from dangercurve._version import __version__

CACHE = "DANGERCURVE_CACHE"
"""Environment variable: the cache's folder, by default `dangercurve` under XDG_CACHE_HOME or `~/.cache`."""
SOURCES = ("*.py", "*.yaml")
Entry = dict[str, object]


def write_baselines(
    run: Path, families: Iterable[str], tell: Callable[[str], None] | None = None
) -> list[Entry]:
    """Write `evidence/baselines.json` for the `families` of this suite among those given, sorted by name.

    An entry has the keys of `tasks check --format json` (family, domain, n, oracle, null, random, random_floor,
    imitator_rule_flip), `version` of the task, and `failed`: the properties that the family broke. Families of other
    suites have no bots here and get no entry, so that a claim on them that requires baselines is INVALID.
    """
    from dangercurve.tasks.kernel.family import family_names

    entries = [baseline(name, tell) for name in sorted(set(families) & set(family_names()))]
    path = run / "evidence" / "baselines.json"
    if entries:
        write_atomic(path, json.dumps(entries, indent=1, sort_keys=True, allow_nan=False) + "\n")
    else:
        path.unlink(missing_ok=True)
    return entries


def families_in(run: Path) -> list[str]:
    """The families that a run's store holds observations of, sorted; none for an empty store.

    Only that column is read. Raises EvidenceError where a part is damaged.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    from dangercurve.evals.run_folder import part_paths

    found: set[str] = set()
    for part in part_paths(run):
        try:
            found |= {
                str(name) for name in pq.read_table(part, columns=["family"])["family"].unique().to_pylist()
            }
        except (pa.ArrowException, OSError, KeyError) as exc:
            raise EvidenceError(
                f"{part}: the store cannot be read: {printable(str(exc).splitlines()[0], 160)}"
            ) from exc
    return sorted(found)


def baseline(name: str, tell: Callable[[str], None] | None = None) -> Entry:
    """The entry of one family: from the cache where its version and every source are the same, else by playing."""
    from dangercurve.tasks.kernel.family import get_family
    from dangercurve.tasks.kernel.properties import calibrate

    family = get_family(name)
    kept = cache_folder() / "baselines" / f"{name}-{family.version}-{sources_digest()[:16]}.json"
    known = _read(kept)
    if known is not None and (known.get("family"), known.get("version")) == (name, family.version):
        return known
    if tell is not None:
        tell(f"baselines of {name}: the bots play it once a version")
    summary, findings = calibrate(family)
    entry: Entry = {
        **asdict(summary),
        "version": family.version,
        "failed": sorted(finding.property for finding in findings if not finding.ok),
    }
    try:
        write_atomic(kept, json.dumps(entry, sort_keys=True, allow_nan=False) + "\n")
    except OSError as exc:
        if tell is not None:
            tell(f"baselines of {name} are not kept for the next run: {exc.strerror or exc}")
    return entry


def cache_folder() -> Path:
    """Where numbers that can be made again are kept between runs."""
    named = os.environ.get(CACHE)
    if named:
        return Path(named)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "dangercurve"


@cache
def sources_digest() -> str:
    """SHA-256 over this suite's version and every source and data file of `tasks/` and `scorers/`."""
    here = Path(__file__).resolve().parents[2]
    files = sorted(
        path for folder in ("tasks", "scorers") for glob in SOURCES for path in (here / folder).rglob(glob)
    )
    body = "".join(f"{path.relative_to(here)} {sha256_file(path)}\n" for path in files)
    return hashlib.sha256(f"{__version__}\n{body}".encode()).hexdigest()


def _read(path: Path) -> Entry | None:
    try:
        entry = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None  # not kept yet, or damaged: the family is played again
    return entry if isinstance(entry, dict) else None
