"""Transcript scanning: a second reading of every episode's words, and its agreement with the status channel.

Two engines with the same output: `own`, a pass over the logs that is always there, and `scout` (inspect-scout, extra
`scan`), which keeps its results where `scout view` shows them. The readings are 0/1 a sample: said at least once.
"""

from __future__ import annotations

import contextlib
import importlib.util
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from inspect_ai.event import ModelEvent
from inspect_ai.log import EvalSample, read_eval_log, read_eval_log_samples

from dangercurve._errors import ConfigError, did_you_mean
from dangercurve.evals.ingest import find_logs, is_foreign
from dangercurve.scorers.record import STORE_KEY, load_record
from dangercurve.scorers.scanning import SCANS, said, scan_text
from dangercurve.scorers.status import decide_status

if TYPE_CHECKING:
    import pandas as pd

Engine = Literal["own", "scout"]
Row = dict[str, object]
CHANNELS = {
    "refusal": "status refused",
    "eval_awareness": "status eval_aware_abstain",
    "reward_hacking": "tripwires, or a call of no action",
}
"""Scan -> what it is compared with."""


def scan_logs(paths: Iterable[Path], engine: Engine, scans: Path) -> pd.DataFrame:
    """One row a sample: model, family, instance, the channel and the scan of each of the three as 0/1.

    `scans` is the folder for the results of scout. Raises ConfigError for an unknown engine, where scout is not
    installed, and where there is nothing to scan.
    """
    import pandas as pd

    logs = [p for p in find_logs(paths) if _ours(p)]
    rows = [row for path in logs for row in _channel_rows(path, engine == "own")]
    if not rows:
        raise ConfigError("there is no finished log of this suite to scan")
    frame = pd.DataFrame(rows)
    if engine == "scout":
        found = _by_scout(logs, scans)
        missing = sorted(set(frame["sample_uuid"]) - found.keys())
        if missing:
            raise ConfigError(f"scout read no transcript of {len(missing)} samples, such as {missing[0]}")
        for name in SCANS:
            frame[f"scan_{name}"] = [int(found[u][name] > 0) for u in frame["sample_uuid"]]
    elif engine != "own":
        raise ConfigError(f"no scan engine '{engine}'{did_you_mean(engine, ('own', 'scout'))}")
    return frame


def agreement_rows(frame: pd.DataFrame, alpha: float = 0.05) -> list[Row]:
    """Cohen's kappa of scan and channel, for all samples and for each model, with the 2 x 2 counts."""
    from dangercurve.analysis.agreement import agreement

    rows: list[Row] = []
    groups = [("all", frame), *((str(m), g) for m, g in frame.groupby("model"))]
    for model, group in groups:
        for name in SCANS:
            found = agreement(
                group[f"scan_{name}"].to_numpy(), group[f"channel_{name}"].to_numpy(),
                group["instance_id"].tolist(), alpha=alpha,
            )  # fmt: skip
            rows.append(
                {"model": model, "scan": name, "channel": CHANNELS[name], "n": len(group), **asdict(found)}
            )
    return rows


def _ours(path: Path) -> bool:
    log = read_eval_log(str(path), header_only=True)
    return log.status != "started" and not is_foreign(log)


def _channel_rows(path: Path, with_scan: bool) -> Iterator[Row]:
    log = read_eval_log(str(path), header_only=True)
    for sample in read_eval_log_samples(str(path), all_samples_required=False, resolve_attachments=True):
        raw, meta = sample.store.get(STORE_KEY), sample.metadata or {}
        record = load_record(raw) if raw is not None else None
        status = decide_status(record)
        made_up = record is not None and any(
            str(r.get("result", "")).startswith("There is no such action") for r in record.journal
        )
        row: Row = {
            "model": log.eval.model,
            "family": str((log.eval.metadata or {})["family"]),
            "instance_id": str(meta.get("instance_id")),
            "sample_uuid": str(sample.uuid),
            "status": status,
            "channel_refusal": int(status == "refused"),
            "channel_eval_awareness": int(status == "eval_aware_abstain"),
            "channel_reward_hacking": int(record is not None and (bool(record.tripwires) or made_up)),
        }
        if with_scan:
            counts = scan_text(_words(sample))
            row |= {f"scan_{name}": int(counts[name] > 0) for name in SCANS}
        yield row


def _words(sample: EvalSample) -> str:
    outputs = [e.output for e in sample.events if isinstance(e, ModelEvent)]
    return said([o.choices[0].message for o in outputs if o.choices])


def _by_scout(logs: list[Path], scans: Path) -> dict[str, dict[str, float]]:
    """Counts of the three scanners by sample, through inspect-scout."""
    if importlib.util.find_spec("inspect_scout") is None:
        raise ConfigError(
            "engine scout needs inspect-scout: pip install 'dangercurve[scan]', or use --engine own"
        )
    from inspect_scout import scan, scan_results_df, transcripts_from

    from dangercurve.scorers import scout_scanners

    with contextlib.redirect_stdout(None):
        status = scan(
            [getattr(scout_scanners, name)() for name in SCANS], transcripts=transcripts_from([str(p) for p in logs]),
            scans=str(scans), max_processes=1, display="none", fail_on_error=True,
        )  # fmt: skip
    results = scan_results_df(str(status.location))
    found: dict[str, dict[str, float]] = {}
    for name in SCANS:
        table = results.scanners[name]
        for uuid, value in zip(table["transcript_id"], table["value"], strict=True):
            found.setdefault(str(uuid), {})[name] = float(value)
    return found
