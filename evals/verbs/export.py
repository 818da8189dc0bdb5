"""`dangercurve export`: a verdict in other formats."""

from __future__ import annotations

from pathlib import Path

import click

FORMS = ("stream", "code-of-practice", "every-eval", "junit", "sarif", "summary", "text", "json")


@click.command()
@click.argument("verdict", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--to", "form", type=click.Choice(FORMS), required=True, help="The format.")
@click.option(
    "--baseline", type=click.Path(path_type=Path, dir_okay=False), help="SARIF: the verdict before."
)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="Write to FILE instead of standard output."
)
def command(verdict: Path, form: str, baseline: Path | None, output: Path | None) -> None:
    """VERDICT as a STREAM or Code-of-Practice skeleton, JUnit, SARIF, Markdown, text or JSON.

    Example: dangercurve export runs/quickstart/verdict.json --to stream -o stream.md
    """
    from dangercurve._errors import ConfigError
    from dangercurve._files import write_atomic
    from dangercurve.evals.outputs.forms import export
    from dangercurve.evals.verdict import read_verdict

    if baseline is not None and form != "sarif":
        raise ConfigError("--baseline belongs to --to sarif")
    text = export(read_verdict(verdict), form, read_verdict(baseline) if baseline else None)
    if output is None:
        click.echo(text, nl=False)
    else:
        write_atomic(output, text)
        click.echo(f"wrote {output}", err=True)
