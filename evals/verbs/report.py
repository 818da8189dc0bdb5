"""`dangercurve report`: the offline HTML page of a run, and its figures as files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from dangercurve.analysis.report.data import ReportData


@click.command()
@click.argument("run", metavar="RUN", type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="Write to FILE instead of RUN/report.html."
)
@click.option(
    "--figures",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Also write each figure as SVG, PNG and CSV.",
)
def command(run: Path, output: Path | None, figures: Path | None) -> None:
    """Write the report of the run folder RUN: one HTML file that opens offline, with JavaScript or without.

    What is missing in the folder is named on the page.

    Example: dangercurve report runs/quickstart

    Example: dangercurve report runs/quickstart --figures figures
    """
    from dangercurve.evals.reporting.data import build_report

    data = build_report(run)
    click.echo(f"wrote {_write(data, output or run / 'report.html')}", err=True)
    if figures is not None:
        click.echo(f"wrote {len(write_figures(data, figures))} files to {figures}", err=True)


def write_report(run: Path, output: Path | None = None) -> Path:
    """Write the page of a run folder, atomically, to `output` or RUN/report.html, and return its path.

    Raises ConfigError where there is no such folder or the page cannot be written.
    """
    from dangercurve.evals.reporting.data import build_report

    return _write(build_report(run), output or run / "report.html")


def write_figures(data: ReportData, folder: Path) -> list[Path]:
    """Each figure of the page as ID.svg, ID.png (with its question and answer) and its whole table as ID.csv.

    A figure without data has no picture. Raises ConfigError where a file cannot be written.
    """
    from dangercurve._files import write_atomic
    from dangercurve.analysis.report import draw
    from dangercurve.analysis.report.figure import table_csv
    from dangercurve.analysis.report.page import figures_of
    from dangercurve.analysis.report.theme import WIDE

    written = []
    for figure in figures_of(data):
        if figure.rows:
            written.append(write_atomic(folder / f"{figure.id}.csv", table_csv(figure)))
        if figure.chart is not None:
            spec = draw.specification(figure, WIDE, titled=True)
            written.append(write_atomic(folder / f"{figure.id}.svg", draw.svg(figure, spec, figure.id)))
            written.append(write_atomic(folder / f"{figure.id}.png", draw.png(spec)))
    return written


def _write(data: ReportData, path: Path) -> Path:
    from dangercurve._files import write_atomic
    from dangercurve.analysis.report.page import render

    return write_atomic(path, render(data))
