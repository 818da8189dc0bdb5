"""What a run folder's logs hold already, told to the progress as if it had just been played."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from inspect_ai.log import EvalSampleSummary, read_eval_log, read_eval_log_sample_summaries

from dangercurve.evals.study import Cell as StudyCell
from dangercurve.scorers.results import results_in, status_in
from dangercurve.tasks.kernel.watch import Cell, Seen


def played(folder: Path, cells: Iterable[StudyCell]) -> Iterator[Seen]:
    """The finished samples in the logs of one eval set, each (task, sample, epoch) once, the newest log winning.

    A log that cannot be read holds nothing that can be resumed; the eval set decides about it, not this count.
    """
    wanted = {(cell.task, cell.interface) for cell in cells}
    found: dict[tuple[str, str, str | int, int], Seen] = {}
    for path in sorted(folder.glob("*.eval"), key=lambda p: (p.stat().st_mtime, p.name)):
        try:
            header = read_eval_log(str(path), header_only=True)
            summaries = read_eval_log_sample_summaries(str(path))
        except Exception:  # noqa: S112 - a torn log of a killed run: Inspect raises whatever its zip reader met
            continue
        task, interface = header.eval.task.split("/")[-1], str(header.eval.task_args.get("interface", ""))
        if (task, interface) not in wanted:
            continue
        cell = Cell(header.eval.model, task, interface)
        for summary in summaries:
            if summary.completed and not summary.error:
                found[task, interface, summary.id, summary.epoch] = _seen(cell, summary)
    yield from found.values()


def seen_in_part(path: Path) -> Iterator[Seen]:
    """The samples of one part of the store: how a cell that another process played is told to the progress."""
    import pyarrow.parquet as pq

    for row in pq.read_table(path).to_pylist():
        settings = [
            f"{k.split('_', 1)[1]}={v}"
            for k, v in row.items()
            if k.startswith(("arm_", "dose_")) and v is not None
        ]
        success = row["success"] if row["status"] == "scored" else None
        yield Seen(
            cell=Cell(row["model"], row["family"], row["interface"]),
            stratum=f"{row['level'] or 0}|{'+'.join([str(row['twin'] or ''), *settings])}",
            sample=f"{row['sample_id']} epoch {row['epoch']}",
            status=row["status"],
            turns=0,
            output_tokens=row["output_tokens"] or 0,
            seconds=0.0,
            answering_models=(),
            tripwires=0,
            canary=False,
            instance=row["instance_id"],
            success=success,
            input_tokens=row["input_tokens"] or 0,
        )


def _seen(cell: Cell, summary: EvalSampleSummary) -> Seen:
    about, scores = summary.metadata or {}, summary.scores or {}
    status = status_in(scores)
    value, _ = results_in(scores)
    scored = status == "scored" and isinstance(value, (int, float))
    settings = [f"{k[4:]}={v}" for k, v in about.items() if k.startswith("arm_")]
    settings += [f"{k[5:]}={v}" for k, v in about.items() if k.startswith("dose_")]
    usage = list((summary.model_usage or {}).values())
    return Seen(
        cell=cell,
        stratum=f"{about.get('level', 0)}|{'+'.join([str(about.get('twin', '')), *settings])}",
        sample=f"{summary.id} epoch {summary.epoch}",
        status=status or "infra_error",
        turns=0,
        output_tokens=sum(u.output_tokens for u in usage),
        seconds=0.0,
        answering_models=(),
        tripwires=0,
        canary=False,
        instance=str(about.get("instance_id", "")),
        success=float(value) if scored and isinstance(value, (int, float)) else None,
        input_tokens=sum(u.input_tokens for u in usage),
    )
