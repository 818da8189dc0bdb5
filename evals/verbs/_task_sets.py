"""`dangercurve tasks freeze | load | pin`: frozen instance sets and golden digests."""

from __future__ import annotations

from pathlib import Path

import click

from dangercurve.evals.verbs._common import emit, output_options


def register(group: click.Group) -> None:
    """Add the subcommands to `dangercurve tasks`."""
    for subcommand in (freeze, load, pin):
        group.add_command(subcommand)


@click.command("freeze")
@click.argument("family")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--level", default="0", show_default=True, help="3, 0-3 or 0,2,4.")
@click.option("--twin", default="base", show_default=True, help="One or more, comma separated.")
@click.option("--arm", default="", help="name=value|value,name=value.")
@click.option("--dose", default="", help="name=0|3.")
@click.option("-n", "n", default=20, show_default=True, help="Instances a level.")
@click.option("--start", default=0, show_default=True, help="First index.")
@click.option("--interface", default="tools", show_default=True, help="tools, text or choice.")
@click.option("--kappa", default=2.0, show_default=True, help="Step budget over oracle steps.")
@click.option(
    "--salt", default="dev", show_default=True, help="dev, or a private salt file with its commitment."
)
@output_options
def freeze(
    family: str, folder: Path, level: str, twin: str, arm: str, dose: str, n: int, start: int, interface: str,
    kappa: float, salt: str, fmt: str, output: Path | None,
) -> None:  # fmt: skip
    """Pin the samples of a task as a Hugging Face dataset in a new FOLDER, with card, canary and fingerprint.

    Example: dangercurve tasks freeze ops_horizon sets/ops-l3 --level 0-3 -n 40
    """
    from dangercurve.tasks.sets import SetArguments
    from dangercurve.tasks.sets import freeze as write_set

    arguments = SetArguments(level, twin, arm, dose, n, start, interface, kappa)
    row = write_set(family, folder, arguments, salt).model_dump(by_alias=True)
    emit(row, fmt, output, rows=[row], columns=_COLUMNS)


@click.command("load")
@click.argument("source")
@click.option("--salt", default="dev", show_default=True, help="The salt with which the set was frozen.")
@output_options
def load(source: str, salt: str, fmt: str, output: Path | None) -> None:
    """Check a frozen set (folder or OWNER/NAME on the hub) against its fingerprint, the seeds and the generator.

    Run it with: inspect eval dangercurve/frozen_set -T source=SOURCE

    Example: dangercurve tasks load sets/ops-l3
    """
    from dangercurve.tasks.sets import load as read_set

    manifest, _ = read_set(source, salt)
    row = manifest.model_dump(by_alias=True)
    emit(row, fmt, output, rows=[row], columns=_COLUMNS)


@click.command("pin")
@click.argument("name")
def pin(name: str) -> None:
    """Add the golden digest of a family's new version, in a checkout; a pinned version is never rewritten.

    Example: dangercurve tasks pin ops_horizon
    """
    from dangercurve.tasks.kernel import golden

    digest = golden.pin(name, Path(golden.__file__).with_name("golden.yaml"))
    click.echo(f"{name}: {digest}")


_COLUMNS = ("family", "version", "n_samples", "seed_commitment", "content_sha256", "fingerprint")
