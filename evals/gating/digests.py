"""Digests of everything that a verdict rests on, and whether logs and store still belong together."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

from dangercurve._files import sha256_file
from dangercurve._text import printable
from dangercurve._version import __version__
from dangercurve.evals.gating.verdict import Digests
from dangercurve.evals.policy import LoadedPolicy
from dangercurve.evals.run_folder import RunFolder

DECIDING = (
    "evals/gating/*.py", "evals/gate.py", "evals/policy.py", "evals/evidence.py", "evals/run_folder.py", "evals/answering.py",
    "evals/store*.py", "evals/strict_yaml.py", "evals/progress/anomalies.py", "analysis/metrics.yaml", "analysis/registry.py",
    "analysis/rest.py", "analysis/safeguards.py", "analysis/ledger_lines.py",
)  # fmt: skip


def digests_of(loaded: LoadedPolicy, folder: RunFolder, waivers: Path | None) -> Digests:
    """Policy, store, code, and every file by its path in the run folder; plans and waivers from elsewhere by name."""
    files = dict(folder.files)
    if waivers is not None and waivers.is_file():
        files["--waivers"] = sha256_file(waivers)
    for claim in loaded.policy.claims:
        path = loaded.path.parent / (claim.response_plan or "")
        if claim.response_plan and path.is_file():
            files[f"plan:{printable(claim.response_plan)}"] = sha256_file(path)
    return Digests(policy=loaded.sha256, store=folder.store_digest, code=code_digest(), files=files)


@cache
def code_digest() -> str:
    """Version and SHA-256 over the files that decide: another code base is another gate."""
    house = Path(__file__).parents[2]
    files = sorted(path for glob in DECIDING for path in house.glob(glob))
    body = "".join(f"{path.relative_to(house).as_posix()} {sha256_file(path)}\n" for path in files)
    return f"{__version__}:{hashlib.sha256(body.encode()).hexdigest()}"


def log_problems(folder: RunFolder) -> list[str]:
    """Logs that were changed after they were read: parts without a log of their digest, beside logs without a part."""
    parts, strange = _parts(folder), _strange(folder)
    gone = parts - {digest for name, digest in folder.files.items() if name.startswith("logs/")}
    if gone and strange:
        return [
            f"{len(gone)} parts of the store have no log with their digest; changed or never ingested: {strange[0]}"
        ]
    return []


def log_notes(folder: RunFolder) -> list[str]:
    """What a reader should know of the logs: those outside the store, or that there are none."""
    strange = _strange(folder)
    notes = [f"{len(strange)} logs are not in the store, {strange[0]} among them"] if strange else []
    if not any(name.startswith("logs/") for name in folder.files):
        notes.append("no logs in the run folder: the verdict cannot be re-scored from here")
    return notes


def _parts(folder: RunFolder) -> set[str]:
    return {Path(name).stem for name in folder.files if name.startswith("store/")}


def _strange(folder: RunFolder) -> list[str]:
    parts = _parts(folder)
    return sorted(n for n, digest in folder.files.items() if n.startswith("logs/") and digest not in parts)
