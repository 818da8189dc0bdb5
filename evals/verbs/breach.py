"""`dangercurve breach`: survival of safeguards under attack."""

from __future__ import annotations

from pathlib import Path

import click

from dangercurve._errors import ConfigError
from dangercurve.evals.verbs._common import emit, notes, output_options


@click.command()
@click.argument("source", metavar="TABLE|RUN", type=click.Path(path_type=Path))
@click.option(
    "--clock", help="attempts, attacker_tokens or hours; default: the table's own, attempts of a run."
)
@click.option("--family", help="Task family of a run that has several with breaches.")
@click.option("--twin", default="base", show_default=True, help="Twin of a run's episodes.")
@click.option("--at", "at", multiple=True, type=float, help="Effort to read success at. Repeatable.")
@click.option("--by", multiple=True, help="Column that groups units; default safeguard, attacker, defender.")
@click.option("--where", multiple=True, metavar="COLUMN=VALUE", help="Only these units. Repeatable.")
@click.option("--baseline", help="Safeguard that the others are compared with; default: the weakest.")
@click.option("--persistence", type=float, help="Mean effort after which attackers give up: deployment risk.")
@click.option("--attacks", type=float, help="Attacks a period, with --persistence.")
@click.option("--harm", type=float, help="Harm of one breach, with --persistence.")
@click.option(
    "--elicitation", metavar="COLUMN", help="Column of elicitation probabilities: extrapolate their tail."
)
@click.option(
    "--queries", multiple=True, type=int, help="Queries in deployment, with --elicitation. Repeatable."
)
@click.option(
    "--alpha", type=float, default=0.05, show_default=True, help="One-sided level; intervals are 1 - 2 alpha."
)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--map", "mapping", multiple=True, metavar="NAME=COLUMN", help="Our column name = the table's.")
@output_options
def command(
    source: Path, clock: str | None, family: str | None, twin: str, at: tuple[float, ...], by: tuple[str, ...],
    where: tuple[str, ...], baseline: str | None, persistence: float | None, attacks: float | None,
    harm: float | None, elicitation: str | None, queries: tuple[int, ...], alpha: float, seed: int,
    mapping: tuple[str, ...], fmt: str, output: Path | None,
) -> None:  # fmt: skip
    """Attempts, tokens or hours until safeguards fail, from a TABLE of attack runs or a RUN folder with a store.

    Columns of a table: unit, effort, breached, clock?, cluster?, lower?, upper?, cause?, safeguard?, attacker?,
    defender?, secret?, log10_compute? of the attacker. docs/breach.md says what each number means.

    Example: dangercurve breach attacks.csv --clock attempts --at 100 --at 1000

    Example: dangercurve breach runs/first --family guard_breach --persistence 50
    """
    from dangercurve.analysis.breach_table import read_breach_table, where_rows
    from dangercurve.analysis.survival.report import GROUPS, Deployment, breach_report
    from dangercurve.analysis.tables import parse_mapping
    from dangercurve.evals import breach_rows

    if seed < 0:
        raise ConfigError(f"--seed {seed}: give 0 or more")
    if elicitation is not None:
        found = breach_rows.elicitation(source, elicitation, queries, alpha, seed)
        emit(found.data, fmt, output, rows=found.rows, title=found.title)
        return
    if queries:
        raise ConfigError("--queries belongs to --elicitation COLUMN")
    if persistence is None and (attacks is not None or harm is not None):
        raise ConfigError(
            "--attacks and --harm need --persistence: the mean effort after which attackers give up"
        )
    if source.is_dir():
        from dangercurve.evals.breaching import breaches_of_run

        if mapping:
            raise ConfigError("--map renames columns of a table; a run folder has its own")
        table = breaches_of_run(source, clock or "attempts", family=family, twin=twin)
    else:
        table = read_breach_table(source, parse_mapping(mapping), clock=clock)
    report = breach_report(
        where_rows(table, where) if where else table, at=at or breach_rows.budgets(table), by=by or GROUPS,
        baseline=baseline, alpha=alpha, seed=seed,
        deployment=None if persistence is None else Deployment(persistence, attacks, harm),
    )  # fmt: skip
    notes(breach_rows.remarks(report))
    if fmt == "json":
        emit(report.as_dict(), fmt, output)
        return
    breach_rows.show(report, fmt, output)
