"""Scores made anew from the logs: each journal is replayed on a fresh world, and the world says what was reached.

Nothing is taken from the logged scores. A journal that does not replay to its head was changed after the episode.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from inspect_ai.log import (
    EvalLog,
    EvalSample,
    EvalSampleSummary,
    read_eval_log,
    read_eval_log_sample_summaries,
)
from inspect_ai.scorer import Score
from pydantic import ValidationError

from dangercurve._errors import DangercurveError, EvidenceError
from dangercurve._files import sha256_file, write_atomic
from dangercurve._text import printable
from dangercurve._version import __version__
from dangercurve.evals.gating.monitor_rows import write_monitor_estimates
from dangercurve.evals.ingest import ForeignLogError, is_foreign, log_rows
from dangercurve.evals.monitoring import items, watch
from dangercurve.evals.store import read_observations, store_digest, write_part
from dangercurve.scorers.episode import scores_of
from dangercurve.scorers.monitors import check_view
from dangercurve.scorers.record import STORE_KEY, EpisodeRecord, load_record
from dangercurve.tasks.kernel.family import get_family
from dangercurve.tasks.kernel.journal import read_rows
from dangercurve.tasks.kernel.task import Cell, make_cell, open_world
from dangercurve.tasks.kernel.world import Setting

if TYPE_CHECKING:
    from dangercurve.evals.mapping import MappingFile


def rescore(
    logs: Sequence[Path],
    run: Path,
    like: Path,
    salt: str | None = None,
    mapping: MappingFile | None = None,
) -> None:
    """Write `run/store` and `run/estimates` from `logs`, re-scored. `like` is the run folder under check.

    `salt` is the private salt's file where the logs were made with one. The scores of other suites' logs are not made
    anew: with a `mapping` they are read again through it, without one they are refused. Raises EvidenceError naming log
    and sample where a journal does not replay, and naming the version that a log needs where this one cannot score it.
    """
    import pandas as pd

    from dangercurve._files import atomic_path
    from dangercurve.analysis.estimates import estimate_all

    old = read_observations(like)
    studies = dict(zip(old["log_sha256"], old["study"], strict=True))
    aliases = _aliases(like)
    for path in logs:
        digest = sha256_file(path)
        log = read_eval_log(str(path), resolve_attachments=True)
        summaries = read_eval_log_sample_summaries(str(path))
        if mapping is None or not is_foreign(log):
            summaries = _rescored(log, summaries, path.name, salt)
        try:
            study = str(studies.get(digest) or "")
            rows = log_rows(log, summaries, digest, path.name, study, aliases, mapping)
        except ForeignLogError as exc:
            raise EvidenceError(f"{printable(path.name)}: {exc}: it cannot be re-scored here") from exc
        write_part(run, digest, rows)
    before = pd.concat(map(pd.read_parquet, sorted((like / "estimates").glob("*.parquet"))))
    asked = before[["clock", "at"]].dropna().drop_duplicates() if "clock" in before else None
    budgets = [] if asked is None else [(str(c), float(x)) for c, x in asked.itertuples(index=False)]
    estimates = estimate_all(
        read_observations(run),
        alpha=float(before["alpha"].iloc[0]),
        store_digest=store_digest(run),
        budgets=budgets,
    )
    with atomic_path(run / "estimates" / "estimates.parquet") as temporary:
        estimates.to_parquet(temporary, index=False)
    if _rewatched(logs, run, like):
        write_monitor_estimates(run, float(before["alpha"].iloc[0]))


def _rewatched(logs: Sequence[Path], run: Path, like: Path) -> bool:
    """`run/monitors` as in `like`: code monitors read the logs anew, the answers of models are taken as they were given."""
    import pandas as pd

    watched = None
    for path in sorted((like / "monitors").glob("*.parquet")):
        kept = pd.read_parquet(path)
        if kept.empty or str(kept["form"].iloc[0]) != "code":
            write_atomic(run / "monitors" / path.name, path.read_bytes())
            continue
        watched = list(items(logs)) if watched is None else watched
        watch(watched, [str(kept["monitor"].iloc[0])], [check_view(str(kept["view"].iloc[0]))], "letter", run)
    return (run / "monitors").is_dir()


def _aliases(like: Path) -> dict[str, str]:
    """The names that the run's study lets its models answer under."""
    if not (like / "study.yaml").is_file():
        return {}
    from dangercurve.evals.run import aliases_of
    from dangercurve.evals.study import load_study

    return aliases_of(load_study(like / "study.yaml")[0])


def _rescored(
    log: EvalLog, summaries: list[EvalSampleSummary], name: str, salt: str | None
) -> list[EvalSampleSummary]:
    meta = log.eval.metadata or {}
    if "family" not in meta:
        raise EvidenceError(f"{printable(name)}: no task of this suite made it: it cannot be re-scored here")
    where = printable(name)
    family = get_family(str(meta["family"]))
    if str(log.eval.task_version) != family.version:
        raise EvidenceError(
            f"{where} needs the scorer of {family.name} {printable(log.eval.task_version)} "
            f"(dangercurve {printable(meta.get('suite_version'))}); this is {family.version} (dangercurve {__version__})"
        )
    args = {k: v for k, v in log.eval.task_args.items() if k != "salt"}
    cell = make_cell(family, **args, salt=salt or "dev")
    if cell.salt.commitment != meta.get("seed_commitment"):
        raise EvidenceError(
            f"{where} was made with a private salt: give its file with --salt to replay the journals"
        )
    samples = {(str(s.id), s.epoch): s for s in log.samples or []}
    out = []
    for summary in summaries:
        sample = samples.get((str(summary.id), summary.epoch))
        if sample is None:
            raise EvidenceError(
                f"{where}: sample {printable(summary.id, 80)} is in the summary and not in the log"
            )
        scores = None if sample.error is not None or not sample.scores else _scores(sample, cell, where)
        out.append(summary.model_copy(update={"scores": scores, "metadata": dict(sample.metadata)}))
    return out


def _scores(sample: EvalSample, cell: Cell, where: str) -> dict[str, Score]:
    said = f"{where}: sample {printable(sample.id, 80)} epoch {sample.epoch}"
    raw = (sample.store or {}).get(STORE_KEY)
    record = None
    if raw is not None:
        try:
            record = replayed(load_record(raw), sample, cell)
        except (ValidationError, ValueError, KeyError, DangercurveError) as exc:
            raise EvidenceError(f"{said}: {printable(str(exc).splitlines()[0], 160)}") from exc
    return scores_of(record)


def replayed(record: EpisodeRecord, sample: EvalSample, cell: Cell) -> EpisodeRecord:
    """The record with success, outcome, milestones and gates as a replay of its journal gives them.

    Raises ValueError where the replay ends in another journal head.
    """
    meta = sample.metadata
    arms = tuple((k[4:], str(v)) for k, v in meta.items() if k.startswith("arm_"))
    doses = tuple((k[5:], int(str(v))) for k, v in meta.items() if k.startswith("dose_"))
    setting = Setting(str(meta["twin"]), arms, doses)
    world, _ = open_world(cell, int(str(meta["level"])), int(str(meta["index"])), setting)
    world = world.replay(read_rows(record.journal))
    if world.journal.head != record.journal_head:
        raise ValueError("its journal does not replay to its head: it was changed after the episode")
    return record.model_copy(
        update={
            "success": world.success(),
            "outcome": world.outcome(),
            "milestones": dict(world.milestones()),
            "declined": world.declined,
            "opportunity": world.opportunity(),
            "competent": world.competent(),
        }
    )
