"""`dangercurve models`: list, audit and add model records."""

from __future__ import annotations

from pathlib import Path

import click

from dangercurve._errors import ConfigError
from dangercurve.evals.verbs._common import emit, output_options

_COLUMNS = (
    "model", "model_family", "params_total", "params_active", "training_tokens", "training_flop",
    "flop_method", "release_date", "access", "verified",
)  # fmt: skip

registry_option = click.option(
    "--registry",
    type=click.Path(path_type=Path),
    envvar="DANGERCURVE_REGISTRY",
    help="A file or folder of your own records, read after those of the package.",
)


@click.group(invoke_without_command=True)
@registry_option
@output_options
@click.pass_context
def command(ctx: click.Context, registry: Path | None, fmt: str, output: Path | None) -> None:
    """List, audit and add model records: size, data, compute, dates and their sources.

    Example: dangercurve models --format json

    Example: dangercurve models audit my-models.yaml
    """
    if ctx.invoked_subcommand is None:
        _list(registry, None, fmt, output)


@command.command("list")
@registry_option
@click.option("--family", "model_family", help="Only this model family.")
@output_options
def list_(registry: Path | None, model_family: str | None, fmt: str, output: Path | None) -> None:
    """List the records; as JSON every field of each.

    Example: dangercurve models list --family Pythia
    """
    _list(registry, model_family, fmt, output)


@command.command("audit")
@click.argument("path", type=click.Path(path_type=Path), required=False)
@click.option("--strict", is_flag=True, help="Warnings fail too.")
@output_options
@click.pass_context
def audit_(ctx: click.Context, path: Path | None, strict: bool, fmt: str, output: Path | None) -> None:
    """Check records against 6 x N_active x D and for missing facts.

    PATH is a file or folder; without it, the records of the package.

    Exit code 0 without errors, 2 with.

    Example: dangercurve models audit my-models.yaml
    """
    from dataclasses import asdict

    from dangercurve.evals.models import REGISTRY, audit, read_records, registry_files

    records = [record for file in registry_files(path or REGISTRY) for record in read_records(file)]
    findings = [finding for record in records for finding in audit(record)]
    rows = [asdict(finding) for finding in findings]
    errors = sum(finding.severity == "error" for finding in findings)
    title = f"{len(records)} records: {errors} errors, {len(findings) - errors} warnings"
    emit(rows, fmt, output, rows=rows, columns=("model", "severity", "check", "message"), title=title)
    if errors or (strict and findings):
        ctx.exit(2)


@command.command("add")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--to", "folder", type=click.Path(path_type=Path), envvar="DANGERCURVE_REGISTRY", required=True,
              help="Folder of your own records (or set DANGERCURVE_REGISTRY).")  # fmt: skip
@click.option("--replace", is_flag=True, help="Replace a file of the same name.")
def add(file: Path, folder: Path, replace: bool) -> None:
    """Check a file of records and put it into your registry folder; nothing is written if one record has an error.

    Example: dangercurve models add my-models.yaml --to registry
    """
    from dangercurve._files import write_atomic
    from dangercurve.evals.models import audit, load_registry, read_records

    records = read_records(file)
    load_registry(file)
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{folder} is a file; --to takes a folder")
    target = folder / (file.stem + ".yaml")
    if target.exists() and not replace:
        raise ConfigError(f"{target} exists; add --replace, or rename your file")
    write_atomic(target, file.read_bytes())
    for finding in (finding for record in records for finding in audit(record)):
        click.echo(f"warning: {finding.model}: {finding.message}", err=True)
    click.echo(f"added {len(records)} records to {target}; use them with DANGERCURVE_REGISTRY={folder}")


def _list(registry: Path | None, model_family: str | None, fmt: str, output: Path | None) -> None:
    from dangercurve._errors import did_you_mean
    from dangercurve.evals.models import load_registry

    records = list(load_registry(registry).values())
    families = {record.model_family for record in records}
    if model_family is not None:
        if model_family not in families:
            raise ConfigError(f"no model family '{model_family}'{did_you_mean(model_family, families)}")
        records = [record for record in records if record.model_family == model_family]
    rows = [record.model_dump(mode="json") for record in records]
    emit(rows, fmt, output, rows=rows, columns=_COLUMNS)
