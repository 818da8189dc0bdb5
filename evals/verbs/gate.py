"""`dangercurve gate`: the verdict on one model against a policy, with its exit code."""

from __future__ import annotations

from pathlib import Path

import click

from dangercurve.evals.verbs._common import output_options

FILE = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.argument("policy", type=click.Path(path_type=Path))
@click.option(
    "--store", required=True, type=click.Path(path_type=Path), help="Run folder with store/ and estimates/."
)
@click.option("--model", help="The model under decision; needed where the store holds several.")
@click.option("--strict", is_flag=True, help="APPROACHING fails even with a response plan.")
@click.option("--profile", help="A stricter profile of the policy than its default.")
@click.option("--attempt-ledger", type=FILE, help="Hash-chained ledger of looks at the data; appended to.")
@click.option("--waivers", type=FILE, help="Ledger of waivers (default: waivers.jsonl in the run folder).")
@click.option(
    "--history", type=FILE, help="Hash-chained history of verdicts; appended to, and read by the light tier."
)
@click.option("--deployment", help="The deployment that is decided on; waivers are bound to one.")
@click.option("--as-of", help="Decide as of this ISO 8601 time instead of now.")
@click.option("--explain", metavar="CLAIM", help="Say what a claim rests on and what would resolve it.")
@click.option(
    "--outputs", type=click.Path(path_type=Path, file_okay=False), help="Write every form into this folder."
)
@output_options
def command(
    policy: Path,
    store: Path,
    model: str | None,
    strict: bool,
    profile: str | None,
    attempt_ledger: Path | None,
    waivers: Path | None,
    history: Path | None,
    deployment: str | None,
    as_of: str | None,
    explain: str | None,
    outputs: Path | None,
    fmt: str,
    output: Path | None,
) -> None:
    """Verdict on MODEL against POLICY (a file, or the name of a shipped policy).

    Exit codes: 0 pass, 1 gate failed, 2 usage or configuration, 3 unresolved, 4 evidence invalid, 70 internal error.
    -o writes by the file's ending: .json verdict, .md summary, .xml JUnit, .sarif SARIF, else text.

    Example: dangercurve gate quickstart --store runs/quickstart --model sim/smooth@22 -o verdict.json
    """
    from dangercurve._files import write_atomic
    from dangercurve.evals.gate import Request, evaluate
    from dangercurve.evals.gating.history import record_verdict
    from dangercurve.evals.outputs.forms import render, write_all
    from dangercurve.evals.outputs.text import explain as explained
    from dangercurve.evals.planning.costs import cost_of
    from dangercurve.evals.policy import load_policy

    loaded = load_policy(policy)
    if explain is not None:
        loaded.policy.claim(explain)
    verdict = evaluate(
        loaded,
        store,
        Request(
            model=model,
            strict=strict,
            profile=profile,
            attempt_ledger=attempt_ledger,
            waivers=waivers,
            history=history,
            deployment=deployment,
            as_of=as_of,
        ),
    )
    if history is not None:
        record_verdict(history, verdict)
    if outputs is not None:
        write_all(verdict, outputs)
    if output is not None:
        write_atomic(output, render(verdict, output.suffix.lstrip(".") or fmt))
        click.echo(verdict.headline, err=True)
    if explain is not None:
        claim = next(result for result in verdict.claims if result.id == explain)
        cost = cost_of(store, verdict.subject, claim.family) if verdict.subject else None
        click.echo(explained(verdict, claim, cost), nl=False)
    elif output is None:
        click.echo(render(verdict, fmt), nl=False)
    raise click.exceptions.Exit(verdict.exit_code)
