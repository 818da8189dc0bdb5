"""`dangercurve waive`: record a waiver of one claim, with its expiry."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("policy", type=click.Path(path_type=Path))
@click.argument("claim")
@click.option(
    "--waivers", required=True, type=click.Path(path_type=Path), help="Ledger of waivers; appended to."
)
@click.option("--model", required=True, help="The model.")
@click.option(
    "--model-digest", help="SHA-256 of its weights (default: the model id, for a model without weights)."
)
@click.option("--deployment", required=True, help="The deployment that the waiver is for.")
@click.option(
    "--verdict",
    required=True,
    type=click.Choice(["APPROACHING", "UNRESOLVED", "REACHED"]),
    help="The worst verdict that it covers; nothing covers INVALID.",
)
@click.option("--reason", required=True, help="Why; at least ten characters.")
@click.option("--owner", required=True, help="Who answers for it.")
@click.option("--approver", required=True, help="Who approves it; not the owner.")
@click.option("--days", required=True, type=click.IntRange(1, 90), help="Days until it expires, at most 90.")
@click.option(
    "--reopen-on", multiple=True, required=True, help="A trigger that ends it early; may be repeated."
)
@click.option("--exit-code", type=click.Choice(["0", "1", "3"]), default="0", show_default=True)
@click.option("--created", help="ISO 8601 time of creation (default: now).")
def command(
    policy: Path,
    claim: str,
    waivers: Path,
    model: str,
    model_digest: str | None,
    deployment: str,
    verdict: str,
    reason: str,
    owner: str,
    approver: str,
    days: int,
    reopen_on: tuple[str, ...],
    exit_code: str,
    created: str | None,
) -> None:
    """Record a waiver of CLAIM of POLICY for one model and one deployment.

    The original verdict stays visible wherever the waiver applies.

    Example: dangercurve waive policy.yaml agentic.horizon --waivers waivers.jsonl --model openai/x
    --deployment internal --verdict UNRESOLVED --reason "rerun is booked" --owner Ada --approver Grace --days 30
    --reopen-on checkpoint
    """
    import datetime as dt

    from pydantic import ValidationError

    from dangercurve._errors import ConfigError, EvidenceError
    from dangercurve.evals.gating.observed import parse_time
    from dangercurve.evals.gating.waivers import Waiver, read_waivers, write_waiver
    from dangercurve.evals.policy import load_policy

    load_policy(policy).policy.claim(claim)
    try:
        start = parse_time(created) if created else dt.datetime.now(dt.UTC).replace(microsecond=0)
    except EvidenceError as exc:
        raise ConfigError(f"--created: {exc}") from exc
    number = len(read_waivers(waivers)) + 1
    try:
        waiver = Waiver.model_validate(
            {
                "id": f"W{number:04d}",
                "claim": claim,
                "model": model,
                "model_digest": model_digest or model,
                "deployment": deployment,
                "verdict": verdict,
                "reason": reason,
                "owner": owner,
                "approver": approver,
                "created": start.isoformat(),
                "expires": (start + dt.timedelta(days=days)).isoformat(),
                "exit_code": int(exit_code),
                "reopen_on": list(reopen_on),
            }
        )
    except ValidationError as exc:
        first = exc.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        said = first["msg"].removeprefix("Value error, ")
        raise ConfigError(f"no waiver: {where + ': ' if where else ''}{said}") from exc
    write_waiver(waivers, waiver)
    click.echo(f"{waiver.id}: {claim} waived for {model} in {deployment} until {waiver.expires}")
