"""`dangercurve tasks`: list task families, check them with their bots, make a private salt.

Further subcommands live in modules of their own and are added to `command` at the end of this file.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dangercurve._errors import ConfigError
from dangercurve.evals.verbs import _task_sets
from dangercurve.evals.verbs._common import emit, output_options

if TYPE_CHECKING:
    from dangercurve.tasks.kernel.family import Family

_LIST_COLUMNS = ("family", "domain", "version", "construct", "twins", "arms", "doses")
LADDER = {"bottom": 0, "top": None, "oracle_steps": "about 2^level"}


@click.group(invoke_without_command=True)
@output_options
@click.pass_context
def command(ctx: click.Context, fmt: str, output: Path | None) -> None:
    """List task families with their ladder, twins and arms; check them; make a private salt.

    Example: dangercurve tasks --format json

    Example: dangercurve tasks check ops_horizon
    """
    if ctx.invoked_subcommand is not None:
        return
    from dangercurve.tasks.kernel.family import family_names, get_family

    rows = [describe(get_family(name)) for name in family_names()]
    short = [{**row, "arms": list(row["arms"]), "doses": list(row["doses"])} for row in rows]
    emit(rows, fmt, output, rows=short, columns=_LIST_COLUMNS)


def describe(family: Family) -> dict[str, Any]:
    """One family as data: the row of `tasks --format json`."""
    return {
        "family": family.name,
        "domain": family.domain,
        "version": family.version,
        "construct": family.construct,
        "ladder": {**LADDER, "human_minutes": _minutes(family)},
        "twins": list(family.all_twins()),
        "twin_notes": {**family.twins, **family.control_twins},
        "control_twins": list(family.control_twins),
        "twins_without": dict(family.twins_without),
        "arms": {name: list(values) for name, values in family.arms.items()},
        "doses": {name: list(values) for name, values in family.doses.items()},
        "interfaces": list(family.interfaces()),
        "metrics": list(family.metrics),
        "tiers": {
            name: {"n": tier.n, "levels": list(tier.levels), "twins": list(tier.twins)}
            for name, tier in family.tiers.items()
        },
    }


def _minutes(family: Family) -> Mapping[str, float]:
    """Estimated minutes of a practised person by level: the first instance of each, an uncalibrated translation."""
    from dangercurve.tasks.kernel.seeds import DEV_SALT, Salt
    from dangercurve.tasks.kernel.world import Setting

    salt = Salt("dev", DEV_SALT)
    specs = {level: family.generate(family.instance(level, 0, salt), Setting()) for level in range(9)}
    return {
        str(level): round(family.human_minutes(family.oracle_cost(spec)), 2) for level, spec in specs.items()
    }


@command.command("check")
@click.argument("name", required=False)
@click.option("--all", "every", is_flag=True, help="All families.")
@click.option("--full", is_flag=True, help="At least 200 seeds over levels 0-8 instead of the quick grid.")
@click.option("--findings", is_flag=True, help="Show every property with its number instead of the summary.")
@output_options
@click.pass_context
def check(
    ctx: click.Context,
    name: str | None,
    every: bool,
    full: bool,
    findings: bool,
    fmt: str,
    output: Path | None,
) -> None:
    """Play the bots through a family and check the properties that every family owes.

    random is pooled over levels from 1 on; random_floor is the highest simulated floor of those cells.

    Exit code 0 when all properties hold, 1 when one fails.

    Example: dangercurve tasks check ops_horizon
    """
    from dataclasses import asdict

    from dangercurve.tasks.kernel.cases import QUICK, full_grid
    from dangercurve.tasks.kernel.family import family_names, get_family
    from dangercurve.tasks.kernel.golden import golden_finding
    from dangercurve.tasks.kernel.properties import calibrate

    if every == (name is not None):
        raise ConfigError("name one family or write --all, not both; `dangercurve tasks` lists them")
    families = [get_family(n) for n in (family_names() if every else (str(name),))]
    summaries, rows, broken = [], [], []
    for family in families:
        click.echo(f"checking {family.name} ...", err=True)
        summary, found = calibrate(family, full_grid(family) if full else QUICK)
        found = [*found, golden_finding(family.name)]
        summaries.append(asdict(summary))
        rows += [asdict(finding) for finding in found]
        broken += [finding for finding in found if not finding.ok]
    shown = rows if findings else summaries
    emit(shown, fmt, output, rows=shown)
    for finding in broken:
        click.echo(
            f"property fails: {finding.family}: {finding.property} is {finding.value:.3g} (wanted {finding.bound})"
            f"{', first at ' + finding.where if finding.where else ''}",
            err=True,
        )
    if broken:
        ctx.exit(1)


@command.command("salt")
@click.argument("path", type=click.Path(path_type=Path))
def salt(path: Path) -> None:
    """Write a fresh private salt (mode 600) and its commitment file beside it; neither is ever overwritten.

    Publish the commitment before a run, keep the salt, reveal it after (docs/seeds.md).

    Example: dangercurve tasks salt salts/2027-q1
    """
    from dangercurve.tasks.kernel.seeds import new_salt

    if not path.parent.is_dir():
        raise ConfigError(f"folder {path.parent} does not exist; make it first")
    made = new_salt(path)
    click.echo(f"wrote {path} (keep it secret) and {path}.commitment (publish it before the run)")
    click.echo(f"commitment {made.commitment}")


_task_sets.register(command)
