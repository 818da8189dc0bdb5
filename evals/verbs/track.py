"""`dangercurve track`: a lineage of models over releases, and the live dashboard."""

from __future__ import annotations

from pathlib import Path

import click

from dangercurve._errors import ConfigError
from dangercurve.evals.verbs._common import emit, output_options, table

PATH = click.Path(path_type=Path)


@click.command()
@click.argument("runs", nargs=-1, required=True, type=PATH)
@click.option(
    "--policy", type=PATH, help="Ask this policy's triggers as of now [default: as each verdict saw them]."
)
@click.option("--ledger", "ledgers", multiple=True, type=PATH, help="Another forecast ledger. Repeatable.")
@click.option("--as-of", help="As of this ISO 8601 time instead of now.")
@click.option(
    "--serve", is_flag=True, help="Live dashboard on loopback, read-only; goes on until interrupted."
)
@click.option(
    "--port", type=click.IntRange(0, 65535), default=7570, show_default=True, help="Port of --serve."
)
@click.option(
    "--viewer-port",
    type=click.IntRange(1, 65535),
    default=7575,
    show_default=True,
    help="Port of `inspect view`.",
)
@output_options
def command(
    runs: tuple[Path, ...], policy: Path | None, ledgers: tuple[Path, ...], as_of: str | None, serve: bool, port: int,
    viewer_port: int, fmt: str, output: Path | None,
) -> None:  # fmt: skip
    """Safety margins of RUNS (run folders, verdict files, or a folder of runs), oldest first: score, orders of
    magnitude of compute, days; what changed, what is due, which forecasts came true.

    -o FILE.html writes a page that opens offline. --serve shows the same, and runs that are under way, in a browser.

    Example: dangercurve track runs/2026-05 runs/2026-11 -o track.html
    """
    from dangercurve.evals.gating.observed import parse_time
    from dangercurve.evals.policy import load_policy
    from dangercurve.evals.track import track

    now = parse_time(as_of) if as_of is not None else None
    loaded = load_policy(policy) if policy is not None else None
    if serve:
        if output is not None or fmt != "table":
            raise ConfigError("--serve shows the dashboard: leave -o and --format away")
        from dangercurve.evals.tracking.serve import serve_forever

        serve_forever(
            runs, loaded, ledgers, port=port, viewer_port=viewer_port, tell=lambda s: click.echo(s, err=True)
        )
        return
    found = track(runs, policy=loaded, ledgers=ledgers, as_of=now)
    for line in found.notes:
        click.echo(f"note: {line}", err=True)
    from dangercurve.evals.tracking import words as track_words

    if output is not None and output.suffix == ".html":
        from dangercurve._files import write_atomic
        from dangercurve.evals.tracking.page import render

        write_atomic(output, render(found))
        click.echo(f"wrote {output}", err=True)
        return
    if fmt == "json":
        emit(track_words.data(found), fmt, output)
        return
    text = track_words.text(found, markdown=fmt == "md", table=table)
    if output is None:
        click.echo(text, nl=False)
    else:
        from dangercurve._files import write_atomic

        write_atomic(output, text)
        click.echo(f"wrote {output}", err=True)
