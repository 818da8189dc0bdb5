"""`dangercurve assess`: run, ingest, fit, forecast, gate, report, in one resumable command."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from dangercurve.evals.verbs.run import engine_options, policy_path, quiet_option, run_option

if TYPE_CHECKING:
    from dangercurve.evals.run import Engine


@click.command()
@click.argument("study_file", metavar="STUDY", type=click.Path(path_type=Path))
@run_option
@quiet_option
@click.option(
    "--dry-run", is_flag=True, help="Run nothing: print a prompt a family and arm, samples, tokens, cost."
)
@click.option("--gate", "use_gate", is_flag=True, help="Exit with the code of the verdict.")
@engine_options
def command(
    study_file: Path, run: Path | None, quiet: bool, dry_run: bool, use_gate: bool, engine: Engine
) -> None:
    """Assess the models of STUDY: evaluations, estimates, forecasts, verdict and report in one folder.

    The same command again goes on where it stopped. Exits 0 when the verdict was written, whatever it says.

    Example: dangercurve assess examples/quickstart.yaml
    """
    from dangercurve.evals.policy import load_policy
    from dangercurve.evals.study import load_study

    study, _ = load_study(study_file)
    loaded = load_policy(policy_path(study_file, study.policy)) if study.policy else None
    if dry_run:
        from dangercurve.evals.planning.plan import dry_run_text

        click.echo(dry_run_text(study), nl=False)
        return
    from dangercurve.evals import pipeline
    from dangercurve.evals.monitoring import watch_study
    from dangercurve.evals.panels.panels import write_panels
    from dangercurve.evals.progress.show import display
    from dangercurve.evals.run import locked, open_run, run_study

    folder = run or Path("runs") / study.name
    open_run(study_file, folder, study)
    with locked(folder), display(quiet) as told:
        tell = told.tell
        tell(f"study {study.name}: run folder {folder}")
        done = run_study(study, folder, tell, told.show, engine, loaded)
        for problem in done.problems:
            tell(f"problem: {problem}")
        watch_study(study, folder, tell)
        tell("estimates and panels")
        estimates = pipeline.write_estimates(folder, budgets=pipeline.wanted_budgets(loaded))
        write_panels(folder, estimates)
        pipeline.write_records(folder, estimates, tell)
        tell("forecasts")
        forecasts = pipeline.write_forecasts(folder, pipeline.wanted_events(loaded), study.seed)
        tell(f"{len(forecasts)} forecasts")
        code = 0
        if loaded is not None:
            verdict = pipeline.write_verdict(folder, loaded, pipeline.pick_subject(folder, study.subject))
            click.echo(verdict.headline)
            code = verdict.exit_code
        from dangercurve.evals.verbs.report import write_report

        path = write_report(folder)
        tell(f"report {path}")
    raise click.exceptions.Exit(code if use_gate else 0)
