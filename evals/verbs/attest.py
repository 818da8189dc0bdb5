"""`dangercurve attest`: an in-toto statement over a verdict and its evidence."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("verdict", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--store", required=True, type=click.Path(path_type=Path), help="Run folder of the verdict.")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="Write to FILE instead of standard output."
)
def command(verdict: Path, store: Path, output: Path | None) -> None:
    """Write an unsigned in-toto Statement v1 (predicate test-result) over VERDICT.

    Sign it with a tool of your own, for example `cosign attest-blob --statement`. It is made only from hashes that
    the verdict holds: run `dangercurve verify` first.

    Example: dangercurve attest runs/quickstart/verdict.json --store runs/quickstart -o statement.json
    """
    from dangercurve._files import write_atomic
    from dangercurve.evals.attest import as_json, statement
    from dangercurve.evals.verdict import read_verdict

    text = as_json(statement(read_verdict(verdict), store))
    if output is None:
        click.echo(text, nl=False)
    else:
        write_atomic(output, text)
        click.echo(f"wrote {output}", err=True)
