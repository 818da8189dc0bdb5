"""`dangercurve run`: the evaluations of a study."""

from __future__ import annotations

from pathlib import Path

import click

from dangercurve.evals.verbs._common import emit, output_options


def run_option(function: click.decorators.FC) -> click.decorators.FC:
    """`--run DIR`: the run folder, by default `runs/NAME`."""
    return click.option(
        "--run", "run", type=click.Path(path_type=Path), help="Run folder [default: runs/NAME of the study]."
    )(function)


@click.command()
@click.argument("study_file", metavar="STUDY", type=click.Path(path_type=Path))
@run_option
@click.option("--check", is_flag=True, help="Run nothing: which cells have a current log, which are missing.")
@output_options
def command(study_file: Path, run: Path | None, check: bool, fmt: str, output: Path | None) -> None:
    """Run every cell of STUDY and ingest its logs. The same command again goes on where it stopped.

    Example: dangercurve run examples/quickstart.yaml
    """
    from dangercurve.evals.baselines import families_in, write_baselines
    from dangercurve.evals.run import coverage, locked, open_run, run_study
    from dangercurve.evals.study import load_study

    study, _ = load_study(study_file)
    folder = run or Path("runs") / study.name
    if check:
        rows = coverage(study, folder)
        emit(rows, fmt, output, rows=rows)
        raise click.exceptions.Exit(0 if all(r["log"] == "current" for r in rows) else 1)
    open_run(study_file, folder, study)
    with locked(folder):
        done = run_study(study, folder, lambda line: click.echo(line, err=True))
        write_baselines(folder, families_in(folder), lambda line: click.echo(line, err=True))
    data = {
        "run": str(folder),
        "complete": done.complete,
        "samples": done.samples,
        "rows_ingested": done.ingested.rows,
        "stopped_by": done.stopped_by,
        "problems": done.problems,
    }
    emit(data, fmt, output, rows=[data])
    raise click.exceptions.Exit(0 if done.complete and not done.problems else 4)
