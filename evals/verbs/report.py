"""`dangercurve report`: the offline HTML page of a run."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("run", metavar="RUN", type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="Write to FILE instead of RUN/report.html."
)
def command(run: Path, output: Path | None) -> None:
    """Write the report of the run folder RUN: one HTML file without script or external reference.

    What is missing in the folder is named on the page.

    Example: dangercurve report runs/quickstart
    """
    click.echo(f"wrote {write_report(run, output)}", err=True)


def write_report(run: Path, output: Path | None = None) -> Path:
    """Write the page of a run folder, atomically, to `output` or RUN/report.html, and return its path.

    Raises ConfigError where there is no such folder or the page cannot be written.
    """
    from dangercurve._files import write_atomic
    from dangercurve.analysis.report.page import render
    from dangercurve.evals.reporting import build_report

    page = render(build_report(run))
    return write_atomic(output or run / "report.html", page)
