"""`dangercurve verify`: recompute hashes, ask the gate again, re-score from the logs."""

from __future__ import annotations

from pathlib import Path

import click

FILE = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.argument("verdict", type=FILE)
@click.option(
    "--store", required=True, type=click.Path(path_type=Path), help="Run folder, wherever it lies now."
)
@click.option(
    "--policy", required=True, type=click.Path(path_type=Path), help="The policy file of the verdict."
)
@click.option("--attempt-ledger", type=FILE, help="The ledger that the gate was given.")
@click.option("--waivers", type=FILE, help="The waivers that the gate was given.")
@click.option("--salt", help="File of the private salt, where the logs were made with one.")
@click.option(
    "--mapping",
    type=FILE,
    help="The mapping that logs of other suites were read through: they are read again.",
)
@click.option("--no-rescore", is_flag=True, help="Check hashes and replay only; says so.")
def command(
    verdict: Path,
    store: Path,
    policy: Path,
    attempt_ledger: Path | None,
    waivers: Path | None,
    salt: str | None,
    mapping: Path | None,
    no_rescore: bool,
) -> None:
    """Check a stored VERDICT: every hash, the gate's decision as of its time, and the scores from the logs.

    Exit codes: 0 verified, 4 refused (each reason on a line), 2 usage.

    Example: dangercurve verify runs/quickstart/verdict.json --store runs/quickstart --policy quickstart
    """
    from dangercurve.evals.gating.verify import load_rescorer, verify
    from dangercurve.evals.policy import load_policy

    found = verify(
        verdict,
        load_policy(policy),
        store,
        attempt_ledger=attempt_ledger,
        waivers=waivers,
        rescorer=None if no_rescore else load_rescorer(salt, mapping),
    )
    for line in found.done:
        click.echo(f"checked: {line}")
    if mapping is not None and not no_rescore:
        click.echo(
            "note: scores of other suites are the logs' own, read again through the mapping, not made anew"
        )
    for line in found.problems:
        click.echo(f"REFUSED: {line}")
    click.echo("verified" if found.verified else f"not verified: {len(found.problems)} reasons")
    raise click.exceptions.Exit(0 if found.verified else 4)
