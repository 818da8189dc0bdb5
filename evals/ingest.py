"""Inspect logs become observations, by Inspect's public reader of headers and sample summaries.

A sample that crashed, hit a limit or never ran becomes a row with its status; nothing is left out. Logs that are
damaged, unfinished, or from another suite are refused with a reason; the others are still read.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from inspect_ai.log import EvalLog, EvalSampleSummary, read_eval_log, read_eval_log_sample_summaries
from inspect_ai.util import EarlyStoppingSummary

from dangercurve._files import sha256_file
from dangercurve._text import printable
from dangercurve.evals.engines.collector import quiet_collector
from dangercurve.evals.store import SCHEMA, Rows, write_part
from dangercurve.scorers.results import results_in, status_in

if TYPE_CHECKING:
    from dangercurve.evals.mapping import MappingFile

Row = dict[str, object]
Columns = dict[str, list[object]]
MANAGER = "dangercurve e-process"
"""The one early stopping whose unplayed samples are no missing evidence; under any other they are."""
SIMULATED_PROVIDERS = ("sim/", "bot/")
SAMPLING_KEYS = (
    "temperature", "top_p", "top_k", "max_tokens", "seed", "reasoning_effort", "reasoning_tokens", "system_message",
    "presence_penalty", "frequency_penalty", "stop_seqs", "num_choices",
)  # fmt: skip


@dataclass(frozen=True)
class Ingested:
    """What an ingest did: rows written, logs already known, logs refused with their reasons."""

    rows: int = 0
    written: tuple[str, ...] = ()
    known: tuple[str, ...] = ()
    unfinished: tuple[str, ...] = ()
    refused: tuple[tuple[str, str], ...] = ()


@dataclass
class _Tally:
    rows: int = 0
    written: list[str] = field(default_factory=list)
    known: list[str] = field(default_factory=list)
    unfinished: list[str] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)


class ForeignLogError(ValueError):
    """A log that no dangercurve task made."""


def find_logs(paths: Iterable[Path]) -> list[Path]:
    """Log files among `paths`: files as they are, folders searched for `.eval` and `.json` logs, sorted."""
    found: set[Path] = set()
    for path in paths:
        if path.is_dir():
            found.update(p for p in path.rglob("*.eval") if p.is_file())
            found.update(p for p in path.rglob("*_*.json") if p.is_file())
        else:
            found.add(path)
    return sorted(found)


def ingest_logs(
    logs: Iterable[Path],
    run: Path,
    study: str = "",
    aliases: Mapping[str, str] | None = None,
    mapping: MappingFile | None = None,
    partial: bool = False,
) -> Ingested:
    """Read every finished log into the run's store. Reading the same log again changes nothing.

    With a `mapping`, logs of other suites are read through the entry that matches their task. `partial` reads unfinished
    logs too, of cells that were given up: what they do not hold is missing evidence.
    """
    tally = _Tally()
    with quiet_collector(clean=False):
        _ingest(tally, logs, run, study, aliases, mapping, partial)
    return Ingested(
        tally.rows, tuple(tally.written), tuple(tally.known), tuple(tally.unfinished), tuple(tally.refused)
    )


def _ingest(
    tally: _Tally,
    logs: Iterable[Path],
    run: Path,
    study: str,
    aliases: Mapping[str, str] | None,
    mapping: MappingFile | None,
    partial: bool,
) -> None:
    for path in logs:
        name = printable(path.name, 120)
        try:
            digest = sha256_file(path)
            part = run / "store" / f"{digest}.parquet"
            if part.exists() and mapping is None:
                tally.known.append(name)
                continue
            log = read_eval_log(str(path), header_only=True)
            if log.status == "started" and not partial:
                tally.unfinished.append(name)
                continue
            summaries = read_eval_log_sample_summaries(str(path))
            rows = log_rows(log, summaries, digest, path.name, study, aliases or {}, mapping)
            if part.exists():
                if _stored_keys(part) - {rows.shared["comparability_key"]}:
                    raise ForeignLogError(
                        "is in this store already, read through another mapping: a changed mapping needs another run folder"
                    )
                tally.known.append(name)
                continue
        except ForeignLogError as exc:
            tally.refused.append((name, str(exc)))
            continue
        except Exception as exc:  # any reader error on a file that someone else wrote: named, never fatal
            tally.refused.append((name, f"cannot be read as an Inspect log: {printable(exc, 160)}"))
            continue
        write_part(run, digest, rows)
        tally.rows += rows.n
        tally.written.append(name)


def log_rows(
    log: EvalLog,
    summaries: list[EvalSampleSummary],
    digest: str,
    name: str,
    study: str = "",
    aliases: Mapping[str, str] | None = None,
    mapping: MappingFile | None = None,
) -> Rows:
    """Rows of one log: one a sample and epoch, with a row of status `infra_error` for each that never ran."""
    if is_foreign(log):
        return _foreign_rows(log, summaries, digest, name, study, mapping)
    shared = {**_shared(log, digest, name, study), **_cell_columns(log)}
    played = Rows(len(summaries), _sample_columns(log, summaries, aliases or {}), shared)
    return played.followed_by(_never_ran(log, summaries))


def is_foreign(log: EvalLog) -> bool:
    """Whether no task of this suite made the log."""
    return not {"family", "seed_commitment", *CELL_COLUMNS} <= (log.eval.metadata or {}).keys()


CELL_COLUMNS = ("interface", "kappa", "elicitation", "from_milestone")


def _cell_columns(log: EvalLog) -> Row:
    """What all samples of one of our logs share beside what any log has: interface, budget, elicitation, the key."""
    meta = log.eval.metadata or {}
    return {**{k: meta[k] for k in CELL_COLUMNS}, "comparability_key": _key(log)}


def _foreign_rows(
    log: EvalLog,
    summaries: list[EvalSampleSummary],
    digest: str,
    name: str,
    study: str,
    mapping: MappingFile | None,
) -> Rows:
    """As `log_rows`, of a log of another suite. Raises ForeignLogError where no mapping says what its scores mean."""
    made_by = f"made by task '{printable(log.eval.task, 60)}', which is not of this suite"
    if mapping is None:
        raise ForeignLogError(f"{made_by}; --mapping FILE says what its scores mean")
    entry = mapping.entry_for(log)
    if entry is None:
        raise ForeignLogError(f"{made_by}, and no entry of the mapping matches it")
    version = str(log.eval.task_version)
    if version not in entry.versions:
        raise ForeignLogError(
            f"made by version {printable(version, 40)} of its task; the mapping is for {', '.join(entry.versions)}"
        )
    if log.invalidated:
        raise ForeignLogError("holds samples that were invalidated after the run")
    from dangercurve.evals import mapping as foreign

    config = log.eval.model_generate_config.model_dump(exclude_none=True)
    key = comparability_key(
        {
            **foreign.key_parts(log, entry),
            "sampling": {k: config[k] for k in SAMPLING_KEYS if k in config},
        }
    )
    shared = {
        **_shared(log, digest, name, study),
        **foreign.shared_columns(log, entry),
        "comparability_key": key,
    }
    rows = [foreign.sample_columns(s, log, entry) for s in summaries]
    for sample_id, epoch in _missing(log, summaries):
        row: Row = {
            **foreign.condition(entry),
            "sample_id": foreign.label(sample_id),
            "epoch": epoch,
            "sample_uuid": "",
            "completed_at": str(log.stats.completed_at or log.eval.created),
            "instance_id": foreign.instance_id(log, sample_id),
            "status": "infra_error",
        }
        rows.append(row)
    return Rows.of(rows, shared)


def _stored_keys(part: Path) -> set[object]:
    import pyarrow.parquet as pq

    return set(pq.read_table(part, columns=["comparability_key"])["comparability_key"].to_pylist())


def _shared(log: EvalLog, digest: str, name: str, study: str) -> Row:
    spec, meta = log.eval, log.eval.metadata or {}
    config = spec.model_generate_config.model_dump(exclude_none=True)
    return {
        "schema": SCHEMA,
        "study": study,
        "model": spec.model,
        "roles": json.dumps({k: str(v) for k, v in (spec.model_roles or {}).items()}, sort_keys=True),
        "simulated": spec.model.startswith(SIMULATED_PROVIDERS),
        "eval_task_id": spec.task_id,
        "task": spec.task_registry_name or spec.task,
        "task_version": str(spec.task_version),
        "domain": str(meta.get("domain")),
        "family": str(meta.get("family")),
        "construct": str(meta.get("construct")),
        "seed_commitment": str(meta.get("seed_commitment")),
        "reasoning_effort": config.get("reasoning_effort"),
        "log_path": name,
        "log_sha256": digest,
        "inspect_version": str(spec.packages.get("inspect_ai", "")),
        "scaffold": str(meta.get("scaffold", "kernel")),
        "judge": "",
        "stopping": _stopping(log),
    }


def _stopping(log: EvalLog) -> str:
    """How the number of samples was decided: `fixed` before, by our `e_process` on the way, or by some `other` rule."""
    stopper = _stopper(log)
    return "fixed" if stopper is None else "e_process" if stopper.manager == MANAGER else "other"


def _stopper(log: EvalLog) -> EarlyStoppingSummary | None:
    """What the log says of early stopping; None where every planned sample was to be played."""
    return log.results.early_stopping if log.results is not None else None


def comparability_key(parts: Mapping[str, object]) -> str:
    """16 hex digits over suite and task version, instances (seed commitment), scaffold, elicitation, interface, budget,
    judge, sampling and Inspect version. What differs in any of these is never pooled."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:16]


def _sample_columns(log: EvalLog, summaries: list[EvalSampleSummary], aliases: Mapping[str, str]) -> Columns:
    """The columns in which samples of one log differ; column by column, which takes half the time of row by row."""
    about = [s.metadata for s in summaries]
    counts = [status.metadata or {} if (status := (s.scores or {}).get("status")) else {} for s in summaries]
    statuses = [sample_status(s) for s in summaries]
    results = [
        results_in(s.scores or {}) if status == "scored" else (None, None)
        for s, status in zip(summaries, statuses, strict=True)
    ]
    of_family = sorted(name for name in set(chain(*counts)) if name.startswith("metric_"))
    metrics = [{name.removeprefix("metric_"): c[name] for name in of_family if name in c} for c in counts]
    reported = [str(c.get("answering_model") or "") for c in counts]
    names = {each: answering_name(each, log.eval.model, aliases) if each else None for each in set(reported)}
    ended = str(log.stats.completed_at or log.eval.created)
    arms = sorted(name for name in set(chain(*about)) if name.startswith(("arm_", "dose_")))
    return {
        "sample_id": [str(s.id) for s in summaries],
        "epoch": [s.epoch for s in summaries],
        "sample_uuid": [s.uuid or "" for s in summaries],
        "completed_at": [str(s.completed_at or ended) for s in summaries],
        "answering_model": [names[each] for each in reported],
        "status": list(statuses),
        "declined": [str(c.get("declined") or "") for c in counts],
        "journal_head": [str(c.get("journal_head") or "") for c in counts],
        "success": [_float(success) for success, _ in results],
        "outcome": [_float(outcome) for _, outcome in results],
        "family_metrics": [json.dumps(m, sort_keys=True) if m else None for m in metrics],
        "bits": [_float(m.get("bits")) for m in metrics],
        "working_s": [s.working_time for s in summaries],
        **{name: [each.get(name) for each in about] for name in (*ABOUT, *arms)},
        **{name: [int(c[name]) if name in c else None for c in counts] for name in COUNTS},
        **{name: [bool(c[name]) if name in c else None for c in counts] for name in FLAGS},
        **_usage(summaries),
    }


def _usage(summaries: list[EvalSampleSummary]) -> Columns:
    """Tokens and money over all models that answered in a sample; None for money where nobody says a price."""
    usage = [list(s.model_usage.values()) for s in summaries]
    costs = [[u.total_cost for u in each if u.total_cost is not None] for each in usage]
    return {
        "input_tokens": [
            sum([u.input_tokens + (u.input_tokens_cache_read or 0) for u in each]) for each in usage
        ],
        "output_tokens": [sum([u.output_tokens for u in each]) for each in usage],
        "reasoning_tokens": [sum([u.reasoning_tokens or 0 for u in each]) for each in usage],
        "usd": [sum(each) if each else None for each in costs],
    }


ABOUT = ("paraphrase", "level", "index", "instance_id", "twin", "oracle_steps", "human_minutes",
         "random_floor")  # fmt: skip
COUNTS = ("milestones_reached", "milestones_total", "tripwires", "violations", "steps", "budget", "turns", "unparsed",
           "invalid")  # fmt: skip
FLAGS = ("opportunity", "competent")


def sample_status(sample: EvalSampleSummary) -> str:
    """Status of a sample from its log. A success already reached stands; else an error is `infra_error` and a limit
    `limit_censored`; a log that contradicts itself is `infra_error`."""
    scores = sample.scores or {}
    decided = status_in(scores)
    success = _float(results_in(scores)[0]) if decided == "scored" else None
    if success == 1.0:
        return "scored"
    if sample.error is not None or not sample.completed or decided is None:
        return "infra_error"
    if decided == "scored":
        return "limit_censored" if sample.limit else "infra_error" if success is None else "scored"
    return decided


def answering_name(reported: str, model: str, aliases: Mapping[str, str]) -> str:
    """The model id where the reported names say that it answered itself (bare name or listed alias), else as reported."""
    bare = model.split("/", 1)[-1]
    names = {aliases.get(r, r) for r in reported.split("|")}
    return model if names <= {model, bare, model.rsplit("/", 1)[-1]} else "|".join(sorted(names))


def _key(log: EvalLog) -> str:
    meta = log.eval.metadata or {}
    config = log.eval.model_generate_config.model_dump(exclude_none=True)
    password = (log.eval.model_args or {}).get("key")  # a locked model with its password is another condition
    return comparability_key(
        {
            **({} if password is None else {"password": str(password)}),
            "suite": meta.get("suite_version"),
            "task": log.eval.task,
            "task_version": str(log.eval.task_version),
            "seed_commitment": meta.get("seed_commitment"),
            "scaffold": meta.get("scaffold", "kernel"),
            "judge": "",
            "interface": meta.get("interface"),
            "kappa": meta.get("kappa"),
            "elicitation": meta.get("elicitation"),
            "sampling": {k: config[k] for k in SAMPLING_KEYS if k in config},
            "inspect": log.eval.packages.get("inspect_ai"),
        }
    )


def _never_ran(log: EvalLog, summaries: list[EvalSampleSummary]) -> list[Row]:
    """Rows for samples that the dataset names and the log does not hold: missing evidence, never absence."""
    return [
        {
            "sample_id": sample_id,
            "epoch": epoch,
            "sample_uuid": "",
            "completed_at": str(log.stats.completed_at or log.eval.created),
            "instance_id": f"never-ran:{sample_id.rsplit('-', 1)[0]}",
            "twin": sample_id.rsplit("-", 1)[-1].split("+")[0],
            "status": "infra_error",
        }
        for sample_id, epoch in _missing(log, summaries)
    ]


def _missing(log: EvalLog, summaries: list[EvalSampleSummary]) -> list[tuple[str, int]]:
    """Sample id and epoch of what the log's dataset names and the log does not hold."""
    epochs = log.eval.config.epochs or 1
    have = {(str(s.id), s.epoch) for s in summaries}
    stopper = _stopper(log)
    if (
        stopper is not None and stopper.manager == MANAGER
    ):  # not played by design: no evidence, and none missing
        have |= {(str(stop.id), stop.epoch) for stop in stopper.early_stops}
    planned = [(str(i), e) for i in (log.eval.dataset.sample_ids or []) for e in range(1, epochs + 1)]
    return [pair for pair in planned if pair not in have]


def _float(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return None
    return float(value)
