"""Someone else's verdict, checked: hashes, replay of the gate, and the numbers made anew from the logs."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Protocol

from dangercurve._errors import DangercurveError
from dangercurve._files import sha256_file
from dangercurve._text import printable
from dangercurve.evals.gate import Request, evaluate
from dangercurve.evals.gating.digests import code_digest
from dangercurve.evals.gating.later import Later, added_later, folder_then
from dangercurve.evals.gating.verdict import Digests, Verdict, as_dict, as_plain, canonical, read_verdict
from dangercurve.evals.policy import LoadedPolicy
from dangercurve.evals.run_folder import locate, log_paths

COPIED = ("forecasts", "evidence", "study.yaml", "events.jsonl", "forecast_ledger.jsonl", "history.jsonl", "waivers.jsonl",
          "signoff.jsonl", "attempts.jsonl")  # fmt: skip


class Rescorer(Protocol):
    """Makes `run/store/*.parquet` and `run/estimates/*.parquet` anew from logs, in a fresh run folder.

    `like` is the run folder that is being checked: its study and estimates say at which alpha and for which metrics.
    Raises EvidenceError naming the log that cannot be scored and the scorer version that it needs.
    """

    def __call__(self, logs: Sequence[Path], run: Path, like: Path) -> None: ...


@dataclass(frozen=True)
class Checked:
    """What a verification found: `problems` each refuse the verdict, `done` are the steps that were taken."""

    done: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def verified(self) -> bool:
        """Whether nothing speaks against the verdict."""
        return not self.problems


def verify(
    verdict_path: Path,
    loaded: LoadedPolicy,
    store: Path,
    *,
    attempt_ledger: Path | None = None,
    waivers: Path | None = None,
    rescorer: Rescorer | None = None,
) -> Checked:
    """Check a stored verdict against a run folder and a policy file, wherever they lie now.

    Three steps: (1) every file that the verdict names has its SHA-256, the policy too; (2) the gate, asked again as of
    the recorded time, gives the same bytes; (3) store and estimates made anew from the logs give the same decision.
    Without `rescorer` step 3 is left out and said so. Waivers, signatures and forecasts that were appended after the
    verdict are named in `done` and take no part. Raises EvidenceError where the verdict cannot be read.
    """
    verdict = read_verdict(verdict_path)
    found = Checked()
    if verdict_path.read_bytes() != canonical(verdict):
        found.problems.append(
            f"{verdict_path.name} is not in canonical form: it was changed after the gate wrote it"
        )
    root = locate(store)
    later = added_later(root, verdict.digests.files, waivers)
    _hashes(verdict, loaded, root, waivers, later, found)
    request = Request(
        model=verdict.subject,
        strict=verdict.strict,
        profile=None if verdict.profile == "none" else verdict.profile,
        attempt_ledger=attempt_ledger,
        ledger_head=verdict.ledger_head,
        deployment=verdict.deployment,
        as_of=verdict.as_of,
    )
    with folder_then(root, waivers, later) as (then, waivers_then):
        request = replace(request, waivers=waivers_then)
        _replay(verdict, loaded, then, request, found)
        if rescorer is None:
            found.done.append("not re-scored: only hashes and the gate were checked")
        elif not found.problems:
            _rescore(verdict, loaded, then, request, rescorer, found)
    return found


def load_rescorer(salt: str | None = None, mapping: Path | None = None) -> Rescorer:
    """The project's own re-scorer, which replays every journal; `salt` is the file of a private salt, `mapping` the
    file through which the scores of other suites' logs are read again."""
    from dangercurve.evals.mapping import load_mapping  # Inspect: only here
    from dangercurve.evals.rescore import rescore

    return partial(rescore, salt=salt, mapping=None if mapping is None else load_mapping(mapping))


def _hashes(
    verdict: Verdict, loaded: LoadedPolicy, root: Path, waivers: Path | None, later: Later, found: Checked
) -> None:
    if loaded.sha256 != verdict.digests.policy:
        found.problems.append(
            f"policy {loaded.path.name}: SHA-256 {loaded.sha256[:12]}..., the verdict has {verdict.digests.policy[:12]}..."
        )
    checked = 0
    for name, digest in sorted(verdict.digests.files.items()):
        if name == "--waivers":
            path = waivers or root / "waivers.jsonl"
        elif name.startswith("plan:"):
            path = loaded.path.parent / name.removeprefix("plan:")
        else:
            path = root / name
        if not path.is_file():
            found.problems.append(f"{printable(name)} is missing")
        elif name not in later.then and sha256_file(path) != digest:
            found.problems.append(f"{printable(name)} was changed: its SHA-256 is not the verdict's")
        checked += 1
    if verdict.digests.code != code_digest():
        found.problems.append(
            f"the verdict was made by dangercurve {verdict.digests.code.partition(':')[0]} with other decision code "
            f"than this ({code_digest().partition(':')[0]}): verify with that version"
        )
    found.problems.extend(later.problems)
    found.done.append(f"{checked} files and the policy against their SHA-256")
    found.done.extend(later.notes)


def _replay(verdict: Verdict, loaded: LoadedPolicy, store: Path, request: Request, found: Checked) -> None:
    try:
        again = evaluate(loaded, store, request)
    except DangercurveError as exc:
        found.problems.append(f"the gate cannot be asked again: {exc}")
        return
    if canonical(again) != canonical(verdict):
        found.problems.append("the gate gives another verdict: " + difference(verdict, again))
    else:
        found.done.append(f"the gate as of {verdict.as_of}: the same {len(canonical(verdict))} bytes")


def difference(old: Verdict, new: Verdict) -> str:
    """The first field in which two verdicts differ, with both values, and the new reason where there is one."""
    for index, (x, y) in enumerate(zip(old.claims, new.claims, strict=False)):
        a, b = as_plain(x), as_plain(y)
        for key in a:
            if key not in ("reasons", "text") and a[key] != b.get(key):
                why = f" ({printable(y.reasons[0], 160)})" if y.reasons and y.reasons != x.reasons else ""
                return (
                    f"claims[{index}].{key} {printable(a[key], 80)} became {printable(b.get(key), 80)}{why}"
                )
    a, b = as_dict(old), as_dict(new)
    for key in a:
        if key not in ("claims", "headline") and a[key] != b.get(key):
            return f"{key} {printable(a[key], 80)} became {printable(b.get(key), 80)}"
    return "in its claims or its words"


def _rescore(
    verdict: Verdict, loaded: LoadedPolicy, root: Path, request: Request, rescorer: Rescorer, found: Checked
) -> None:
    logs = log_paths(root)
    parts = {Path(name).stem for name in verdict.digests.files if name.startswith("store/")}
    used = [path for path in logs if sha256_file(path) in parts]
    if len(used) < len(parts):
        found.problems.append(
            f"{len(parts) - len(used)} of {len(parts)} logs are not in logs/: nothing can be re-scored"
        )
        return
    with tempfile.TemporaryDirectory(prefix="dangercurve-verify-") as name:
        fresh = Path(name)
        for item in COPIED:
            _link(root / item, fresh / item)
        (fresh / "logs").symlink_to((root / "logs").resolve())
        try:
            rescorer(used, fresh, root)
            again = evaluate(loaded, fresh, replace(request, attempt_ledger=request.attempt_ledger))
        except DangercurveError as exc:
            found.problems.append(f"re-scoring failed: {exc}")
            return
    _compare_tables(verdict, again, found)


def _link(source: Path, target: Path) -> None:
    if source.exists():
        target.symlink_to(source.resolve())


def _compare_tables(verdict: Verdict, again: Verdict, found: Checked) -> None:
    """Re-scored decision against the stored one. Digests of tables differ with the Parquet writer, so where only they
    do, the decision is what is compared."""
    same = Digests(policy=verdict.digests.policy, code=verdict.digests.code)
    old, new = (
        v.model_copy(update={"digests": same, "transcripts": [], "attempts": None, "ledger_head": None})
        for v in (verdict, again)
    )
    if canonical(old) != canonical(new):
        found.problems.append("the logs give another verdict: " + difference(old, new))
    elif canonical(verdict) == canonical(again):
        found.done.append("re-scored from the logs: the same verdict byte for byte")
    else:
        found.done.append(
            "re-scored from the logs: the same decision; tables written anew have other digests"
        )
