"""`dangercurve run`: the evaluations of a study."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dangercurve.evals.verbs._common import emit, output_options

if TYPE_CHECKING:
    from dangercurve.evals.run import Engine

Command = Callable[..., object]


def run_option(function: click.decorators.FC) -> click.decorators.FC:
    """`--run DIR`: the run folder, by default `runs/NAME`."""
    return click.option(
        "--run", "run", type=click.Path(path_type=Path), help="Run folder [default: runs/NAME of the study]."
    )(function)


def quiet_option(function: click.decorators.FC) -> click.decorators.FC:
    """`--quiet`: no progress, problems alone."""
    return click.option("--quiet", is_flag=True, help="No progress on standard error, only problems.")(
        function
    )


def policy_path(study_file: Path, policy: str) -> Path:
    """A policy named in a study lies beside the study, or is a shipped one."""
    beside = study_file.parent / policy
    return beside if beside.is_file() else Path(policy)


def engine_options(function: Command) -> Command:
    """How the cells are spread; the command gets `engine`, an `evals.run.Engine`."""
    options = [
        click.option(
            "--engine",
            "kind",
            type=click.Choice(["local", "ray"]),
            default="local",
            show_default=True,
            help="Who plays the cells: this machine, or the workers of a Ray cluster.",
        ),
        click.option(
            "--processes",
            type=click.IntRange(1, 1024),
            help="Local engine: spread the cells over N processes.",
        ),
        click.option("--workers", type=click.IntRange(1, 100_000), help="Ray: at most N cells at a time."),
        click.option(
            "--address", help="Ray cluster to join (auto, HOST:PORT) [default: one of this machine]."
        ),
        click.option(
            "--location", help="URL that all workers reach (s3://...) for logs and parts [default: --run]."
        ),
        click.option(
            "--attempts",
            type=click.IntRange(1, 1000),
            default=5,
            show_default=True,
            help="How often a cell is tried where its worker dies.",
        ),
        click.option(
            "--retry-crashed",
            is_flag=True,
            help="Play samples again that crashed in finished logs; all others stay as they are.",
        ),
    ]

    @functools.wraps(function)
    def with_engine(
        kind: str,
        processes: int | None,
        workers: int | None,
        address: str | None,
        location: str | None,
        attempts: int,
        retry_crashed: bool,
        **rest: object,
    ) -> object:
        from dangercurve._errors import ConfigError
        from dangercurve.evals.run import Engine

        if kind == "local" and (workers or address or location):
            raise ConfigError("--workers, --address and --location belong to --engine ray")
        if kind == "ray":
            if processes:
                raise ConfigError("--processes belongs to the local engine; Ray takes --workers")
            engine = Engine("ray", workers, address, location, attempts, retry_crashed)
        else:
            engine = Engine(
                "processes" if processes else "local", processes, attempts=attempts, again=retry_crashed
            )
        return function(engine=engine, **rest)

    for option in reversed(options):
        with_engine = option(with_engine)
    return with_engine


@click.command()
@click.argument("study_file", metavar="STUDY", type=click.Path(path_type=Path))
@run_option
@quiet_option
@click.option(
    "--check",
    is_flag=True,
    help="Run nothing: the log of each task x model x arm: current, stale, unfinished, missing.",
)
@engine_options
@output_options
def command(
    study_file: Path,
    run: Path | None,
    quiet: bool,
    check: bool,
    engine: Engine,
    fmt: str,
    output: Path | None,
) -> None:
    """Run every cell of STUDY and ingest its logs. The same command again goes on where it stopped.

    A terminal shows what is done and left, expected time and cost, and running estimates; elsewhere they are lines
    `progress key=value ...` on standard error.

    Example: dangercurve run examples/quickstart.yaml --processes 2
    """
    from dangercurve.evals.coverage import coverage
    from dangercurve.evals.engines.location import Location
    from dangercurve.evals.gating.baselines import families_in, write_baselines
    from dangercurve.evals.policy import load_policy
    from dangercurve.evals.progress.show import display
    from dangercurve.evals.run import locked, open_run, run_study
    from dangercurve.evals.study import load_study

    study, _ = load_study(study_file)
    folder = run or Path("runs") / study.name
    if check:
        rows = coverage(study, Location(engine.location or str(folder)))
        emit(rows, fmt, output, rows=rows)
        raise click.exceptions.Exit(0 if all(r["log"] == "current" for r in rows) else 1)
    open_run(study_file, folder, study)
    loaded = load_policy(policy_path(study_file, study.policy)) if study.policy else None
    with locked(folder), display(quiet) as told:
        done = run_study(study, folder, told.tell, told.show, engine, loaded)
        write_baselines(folder, families_in(folder), told.tell)
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
