"""`dangercurve monitor`: monitors over the logs of a run."""

from __future__ import annotations

from pathlib import Path

import click

from dangercurve.evals.verbs._common import emit, output_options

SHOWN = (
    "agent", "monitor", "view", "auroc", "lcb", "ucb", "tpr_at_1", "tpr_at_5", "attack_capability", "n_honest",
    "n_attack", "n_unread", "status",
)  # fmt: skip


@click.command()
@click.argument("run", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option(
    "--monitor",
    "monitors",
    multiple=True,
    help="rule, length, random, sim/FAMILY@LOG10FLOP or an Inspect model. Repeatable; the first three by default.",
)
@click.option("--view", "views", multiple=True, help="actions, trace or extract. Repeatable; all by default.")
@click.option(
    "--form", default="letter", show_default=True, help="How a model answers: number, letter or logprob."
)
@output_options
def command(
    run: Path, monitors: tuple[str, ...], views: tuple[str, ...], form: str, fmt: str, output: Path | None
) -> None:
    """Let monitors read the episodes of RUN, a run folder with logs of a family with attacks (covert_side_task).

    Nobody is replayed; a model's answers are kept in RUN/monitors and asked for once. Writes RUN/evidence/oversight.json
    and, where RUN has a store, RUN/estimates/monitors.parquet, on which a policy's claims about monitors are decided.

    Example: dangercurve monitor runs/quickstart --monitor rule --monitor local/smollm2-135m-instruct --form logprob
    """
    import json

    from dangercurve._files import write_atomic
    from dangercurve._json import jsonable
    from dangercurve.evals.gating.monitor_rows import write_monitor_estimates
    from dangercurve.evals.monitoring import DEFAULT_MONITORS, DEFAULT_VIEWS, items, watch
    from dangercurve.evals.panels.oversight import oversight_panel
    from dangercurve.scorers.monitors import check_form, check_view

    seen = tuple(check_view(v) for v in views) or DEFAULT_VIEWS
    logs = run / "logs" if (run / "logs").is_dir() else run
    watch(
        list(items([logs])), monitors or DEFAULT_MONITORS, seen, check_form(form), run,
        lambda line: click.echo(line, err=True),
    )  # fmt: skip
    entries = oversight_panel(run)
    write_atomic(
        run / "evidence" / "oversight.json", json.dumps(jsonable(entries), indent=1, allow_nan=False) + "\n"
    )
    if (run / "store").is_dir():
        write_monitor_estimates(run)
    emit(entries, fmt, output, rows=[_row(e) for e in entries], columns=SHOWN)


def _row(entry: dict[str, object]) -> dict[str, object]:
    def of(key: str, field: str = "estimate") -> object:
        value = entry.get(key)
        return value.get(field) if isinstance(value, dict) else value

    flat = {name: of(name) for name in SHOWN}
    return flat | {"lcb": of("auroc", "lcb"), "ucb": of("auroc", "ucb")}
