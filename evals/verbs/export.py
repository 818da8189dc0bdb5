"""`dangercurve export`: a verdict in other formats, a study for other runners."""

from __future__ import annotations

from pathlib import Path

import click

FORMS = ("stream", "code-of-practice", "every-eval", "junit", "sarif", "summary", "text", "json")
RUNNERS = ("flow", "hawk")


@click.command()
@click.argument("verdict", metavar="VERDICT|STUDY", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--to", "form", type=click.Choice((*FORMS, *RUNNERS)), required=True, help="The format.")
@click.option(
    "--baseline", type=click.Path(path_type=Path, dir_okay=False), help="SARIF: the verdict before."
)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="Write to FILE instead of standard output."
)
@click.option(
    "--package",
    default="",
    help="flow, hawk: what is installed there [default: this version of dangercurve].",
)
def command(verdict: Path, form: str, baseline: Path | None, output: Path | None, package: str) -> None:
    """VERDICT as a STREAM or Code-of-Practice skeleton, JUnit, SARIF, Markdown, text or JSON; a STUDY for inspect-flow
    or hawk.

    Example: dangercurve export runs/quickstart/verdict.json --to stream -o stream.md

    Example: dangercurve export examples/quickstart.yaml --to flow -o flow.yaml
    """
    if form in RUNNERS:
        _export_study(verdict, form, package, output)
        return
    from dangercurve._errors import ConfigError
    from dangercurve._files import write_atomic
    from dangercurve.evals.gating.verdict import read_verdict
    from dangercurve.evals.outputs.forms import export

    if baseline is not None and form != "sarif":
        raise ConfigError("--baseline belongs to --to sarif")
    text = export(read_verdict(verdict), form, read_verdict(baseline) if baseline else None)
    if output is None:
        click.echo(text, nl=False)
    else:
        write_atomic(output, text)
        click.echo(f"wrote {output}", err=True)


def _export_study(study_file: Path, form: str, package: str, output: Path | None) -> None:
    """Write a study for another runner; several files where it needs several, numbered from 1."""
    from dangercurve._files import write_atomic
    from dangercurve.evals import export_study as exports
    from dangercurve.evals.study import load_study

    study, _ = load_study(study_file)
    made = exports.export_study(study, next(r for r in exports.RUNNERS if r == form), package)
    for note in made.notes:
        click.echo(f"note: {note}", err=True)
    if output is None:
        click.echo("---\n".join(made.texts), nl=False)
        return
    for index, text in enumerate(made.texts, 1):
        path = output if len(made.texts) == 1 else output.with_stem(f"{output.stem}-{index}")
        write_atomic(path, text)
        click.echo(f"wrote {path}", err=True)
