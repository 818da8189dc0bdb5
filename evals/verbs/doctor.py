"""`dangercurve doctor`: is this machine fit for a run?"""

from __future__ import annotations

from pathlib import Path

import click

from dangercurve.evals.verbs._common import emit, output_options


@click.command()
@click.option("--run", "run_folder", type=click.Path(path_type=Path), default=Path("runs"), show_default=True,
              help="Folder that runs will be written to.")  # fmt: skip
@click.option("--server", is_flag=True, help="Start the local model once and measure its speed.")
@output_options
@click.pass_context
def command(ctx: click.Context, run_folder: Path, server: bool, fmt: str, output: Path | None) -> None:
    """Check packages, local model, tokenizer cache, run folder, sandboxes and model records.

    Exit code 0, or 2 where a check failed. Warnings say what will not work and do not fail.

    Example: dangercurve doctor --server
    """
    from dataclasses import asdict

    from dangercurve.evals.doctor import examine, healthy

    checks = examine(run_folder, server=server)
    rows = [asdict(check) for check in checks]
    emit(rows, fmt, output, rows=rows, columns=("check", "state", "found", "advice"))
    if not healthy(checks):
        ctx.exit(2)
