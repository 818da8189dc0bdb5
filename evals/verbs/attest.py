"""`dangercurve attest`: an in-toto statement over a verdict and its evidence."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("verdict", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--store", required=True, type=click.Path(path_type=Path), help="Run folder of the verdict.")
@click.option("--sign-as", metavar="ROLE", help="First record a signature in this role (signoff.jsonl).")
@click.option("--name", default="", help="Who signs.")
@click.option("--decision", type=click.Choice(["approve", "dissent"]), default="approve", show_default=True)
@click.option("--comment", default="", help="Why; needed for a dissent.")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="Write to FILE instead of standard output."
)
def command(
    verdict: Path,
    store: Path,
    sign_as: str | None,
    name: str,
    decision: str,
    comment: str,
    output: Path | None,
) -> None:
    """Write an unsigned in-toto Statement v1 (predicate test-result) over VERDICT.

    Sign it with a tool of your own, for example `cosign attest-blob --statement`. It is made only from hashes that
    the verdict holds: run `dangercurve verify` first. A signature counts from the next `gate` on, which shows who
    signed, who is missing and who dissented.

    Example: dangercurve attest runs/quickstart/verdict.json --store runs/quickstart -o statement.json
    """
    import datetime as dt

    from dangercurve._files import write_atomic
    from dangercurve.evals.gating.attest import as_json, statement
    from dangercurve.evals.gating.signoff import sign
    from dangercurve.evals.gating.verdict import read_verdict
    from dangercurve.evals.run_folder import locate

    found = read_verdict(verdict)
    if sign_as is not None:
        at = dt.datetime.now(dt.UTC).replace(microsecond=0).isoformat()
        path = locate(store) / "signoff.jsonl"
        sign(path, found, role=sign_as, name=name, decision=decision, comment=comment, at=at)
        click.echo(f"{name} signed as {sign_as}: {decision}", err=True)
    text = as_json(statement(found, store))
    if output is None:
        click.echo(text, nl=False)
    else:
        write_atomic(output, text)
        click.echo(f"wrote {output}", err=True)
