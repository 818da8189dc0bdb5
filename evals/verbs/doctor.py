"""`dangercurve doctor`: is this machine fit for a run?"""

from __future__ import annotations

from pathlib import Path

import click

from dangercurve.evals.verbs._common import emit, output_options


@click.command()
@click.option("--run", "run_folder", type=click.Path(path_type=Path), default=Path("runs"), show_default=True,
              help="Folder that runs will be written to.")  # fmt: skip
@click.option(
    "--aa",
    type=click.Path(path_type=Path),
    metavar="RUN",
    help="A/A flip check of a run folder; needs --policy.",
)
@click.option(
    "--policy", type=click.Path(path_type=Path), help="The policy whose claims are checked by --aa."
)
@click.option("--model", help="The model of --aa; needed where the store holds several.")
@click.option("--splits", type=int, default=200, show_default=True, help="Random halves a claim for --aa.")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the halves.")
@click.option("--compare", multiple=True, type=click.Path(path_type=Path), metavar="RUN",
              help="Which models of this run folder may be compared. Repeatable: several folders together.")  # fmt: skip
@click.option("--server", is_flag=True, help="Start the local model once and measure its speed.")
@output_options
@click.pass_context
def command(
    ctx: click.Context, run_folder: Path, aa: Path | None, policy: Path | None, model: str | None, splits: int,
    seed: int, compare: tuple[Path, ...], server: bool, fmt: str, output: Path | None,
) -> None:  # fmt: skip
    """Check packages, local model, tokenizer cache, run folder, sandboxes and model records.

    With --aa or --compare, check the evidence of run folders instead: does a model's run contradict itself, may these
    models be compared (docs/gate.md, section 7).

    Exit code 0, or 2 where a check failed; 4 where the evidence flips too often or not all may be compared. Warnings
    say what will not work and do not fail.

    Example: dangercurve doctor --server
    """
    from dataclasses import asdict

    if aa is not None or compare:
        from dangercurve.evals.verbs._evidence_checks import check_evidence

        ctx.exit(check_evidence(aa, policy, model, splits, seed, compare, fmt, output))
    from dangercurve.evals.gating.doctor import examine, healthy

    checks = examine(run_folder, server=server)
    rows = [asdict(check) for check in checks]
    emit(rows, fmt, output, rows=rows, columns=("check", "state", "found", "advice"))
    if not healthy(checks):
        ctx.exit(2)
