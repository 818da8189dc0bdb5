"""`dangercurve scan`: a second reading of the transcripts of a run."""

from __future__ import annotations

from pathlib import Path

import click

from dangercurve.evals.verbs._common import emit, output_options

SHOWN = (
    "model", "scan", "channel", "kappa", "lcb", "ucb", "both", "first_only", "second_only", "neither", "n_instances",
)  # fmt: skip


@click.command()
@click.argument("run", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option(
    "--engine", type=click.Choice(["own", "scout"]), default="own", show_default=True,
    help="scout needs the extra `scan` and keeps its results in RUN/scans.",
)  # fmt: skip
@output_options
def command(run: Path, engine: str, fmt: str, output: Path | None) -> None:
    """Scan what participants said in RUN for evaluation awareness, refusals and reward hacking.

    Reports Cohen's kappa with the status channel, which the scan never sees; `first_only` counts samples of which the scan
    says so and the channel does not. Writes RUN/evidence/scan.json and changes no score.

    Example: dangercurve scan runs/quickstart
    """
    import json

    from dangercurve._files import write_atomic
    from dangercurve._json import jsonable
    from dangercurve.evals.scanning import agreement_rows, scan_logs

    logs = run / "logs" if (run / "logs").is_dir() else run
    rows = agreement_rows(scan_logs([logs], "scout" if engine == "scout" else "own", run / "scans"))
    text = json.dumps(jsonable([{"engine": engine, **r} for r in rows]), indent=1, allow_nan=False)
    write_atomic(run / "evidence" / "scan.json", text + "\n")
    emit(rows, fmt, output, columns=None if fmt == "json" else SHOWN)
