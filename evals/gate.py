"""The gate: a policy and a run folder in, one verdict object out. It decides on upper bounds and fails closed."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dangercurve._errors import ConfigError, EvidenceError
from dangercurve._text import printable
from dangercurve.evals.evidence import random_transcripts
from dangercurve.evals.gating import decide
from dangercurve.evals.gating.attempts import Ledger, read_ledger, record_attempts
from dangercurve.evals.gating.chain import Record
from dangercurve.evals.gating.claims import Context, blank, evaluate_measured
from dangercurve.evals.gating.digests import digests_of, log_notes, log_problems
from dangercurve.evals.gating.forecast_claims import evaluate_forecast, margins
from dangercurve.evals.gating.history import full_tier_passed, read_history
from dangercurve.evals.gating.observed import Observed, parse_time
from dangercurve.evals.gating.signoff import signoff_state
from dangercurve.evals.gating.triggers import trigger_states
from dangercurve.evals.gating.verdict import (
    Alarm,
    ClaimResult,
    Outcome,
    PolicyRef,
    Transcript,
    TriggerState,
    Verdict,
    exit_code_of,
    overall_of,
)
from dangercurve.evals.gating.waivers import Waiver, read_waivers, waiver_for
from dangercurve.evals.policy import Claim, LoadedPolicy, refuse_unset
from dangercurve.evals.progress.anomalies import Anomaly, read_anomalies
from dangercurve.evals.run_folder import RunFolder, read_run_folder

SIMULATED_PREFIXES = ("bot/", "sim/")
LAPSE = (
    "the weights, system prompt, tools, scaffold or safeguards change",
    "a trigger of the policy comes due",
    "a scored log, the policy or an evidence file changes or is found wrong",
    "a stronger elicitation is found for a claim that passed",
)


@dataclass(frozen=True)
class Request:
    """How the gate is asked. Nothing here can loosen a policy."""

    model: str | None = None
    strict: bool = False
    profile: str | None = None
    attempt_ledger: Path | None = None
    ledger_head: str | None = None
    waivers: Path | None = None
    history: Path | None = None
    deployment: str | None = None
    as_of: str | None = None


def evaluate(loaded: LoadedPolicy, store: Path | str, request: Request) -> Verdict:
    """The verdict on one model under one policy, from the run folder `store`.

    Raises ConfigError (exit 2) for a request that cannot be meant: no such folder, several models and none named, a
    more lenient profile, a pack without numbers. Everything wrong with the evidence is INVALID in the verdict.
    """
    refuse_unset(loaded)
    profile_name, profile = loaded.policy.profile(request.profile)
    as_of = _as_of(request.as_of)
    folder = read_run_folder(store)
    problems = list(folder.problems)
    subject = request.model
    results: list[ClaimResult] = []
    triggers: list[TriggerState] = []
    transcripts: list[Transcript] = []
    simulated = subject is not None and subject.startswith(SIMULATED_PREFIXES)
    ledger: Ledger | None = None
    waivers: list[Waiver] = []
    history: list[dict[str, object]] = []
    try:
        waivers = read_waivers(request.waivers or folder.root / "waivers.jsonl")
    except EvidenceError as exc:
        problems.append(str(exc))
    try:
        with Observed(folder) as observed:
            subject = _subject(subject, observed.models())
            kinds = observed.simulated(subject)
            simulated = simulated or subject.startswith(SIMULATED_PREFIXES) or True in kinds
            if not kinds:
                problems.append(f"the store holds no observation of {printable(subject)}")
            elif len(kinds) > 1:
                problems.append(f"{printable(subject)} has simulated and real observations in one store")
            problems += log_problems(folder)
            ledger = _ledger(loaded, folder, observed, request, subject, as_of)
            history = read_history(request.history or folder.root / "history.jsonl", as_of)
            ctx = Context(loaded, folder, observed, subject, as_of, profile, ledger)
            results = [_claim(claim, ctx) for claim in loaded.policy.claims]
            transcripts = _transcripts(loaded, ctx)
            assessed = _oldest(observed, subject, loaded)
            triggers = trigger_states(loaded.policy.triggers, assessed, folder.evidence.get("changes"), as_of)
    except EvidenceError as exc:
        problems.append(str(exc))
    problems += [f"re-assessment overdue: {t.kind} ({t.why})" for t in triggers if t.state == "overdue"]
    if profile.needs_ledger and request.attempt_ledger is None:
        problems.append(
            f"the profile {profile_name} needs --attempt-ledger FILE: looks at the data must be counted"
        )
    if not results:
        results = [blank(claim, []) for claim in loaded.policy.claims]
    anomalies, damaged = read_anomalies(folder.root)
    problems += damaged
    results = [_stopped(r, anomalies, subject, loaded) for r in results]
    results = _confirm_alarms(results)
    results = [_tier(r, profile.tier, history, subject, loaded) for r in results]
    if problems:
        results = [_invalidate(r, problems) for r in results]
    results = [
        _plan(_waive(r, waivers, subject, folder, request.deployment, as_of, triggers), c, loaded)
        for r, c in zip(results, loaded.policy.claims, strict=True)
    ]
    results = [_with_text(r, subject, simulated=simulated) for r in results]
    overall = overall_of(results)
    lenient = _lenient(loaded, profile_name, profile.unresolved, needs_ledger=profile.needs_ledger)
    return Verdict(
        as_of=as_of.isoformat(),
        subject=None if subject is None else printable(subject),
        simulated=simulated,
        deployment=None if request.deployment is None else printable(request.deployment),
        profile=profile_name,
        tier=profile.tier,
        strict=request.strict,
        overall=overall,
        exit_code=exit_code_of(overall, results, strict=request.strict),
        headline=_headline(
            overall, results, subject, lenient, loaded.policy.framework.id, simulated=simulated
        ),
        policy=PolicyRef(
            id=printable(loaded.policy.framework.id),
            version=loaded.policy.version,
            effective=loaded.policy.framework.effective.isoformat(),
            sha256=loaded.sha256,
            lenient=lenient,
        ),
        claims=results,
        triggers=triggers,
        lapse=[*LAPSE, *(printable(line) for line in loaded.policy.lapse)],
        transcripts=transcripts,
        signoff=signoff_state(loaded, folder),
        attempts=len(ledger.records) if ledger else None,
        ledger_head=ledger.head if ledger else None,
        digests=digests_of(loaded, folder, request.waivers),
        comparability={r.id: [r.cell[k] for k in sorted(r.cell)] for r in results if r.cell},
        notes=[*log_notes(folder), *_marked(anomalies, subject)],
    )


def _as_of(stamp: str | None) -> dt.datetime:
    if stamp is None:
        return dt.datetime.now(dt.UTC).replace(microsecond=0)
    try:
        return parse_time(stamp)
    except EvidenceError as exc:
        raise ConfigError(f"--as-of: {exc}") from exc


def _subject(wanted: str | None, models: list[str]) -> str:
    if wanted is not None:
        return wanted
    if len(models) > 1:
        shown = ", ".join(printable(m, 80) for m in models[:10])
        raise ConfigError(f"the store holds {len(models)} models: name one with --model ({shown})")
    return models[0]


def _ledger(
    loaded: LoadedPolicy,
    folder: RunFolder,
    observed: Observed,
    request: Request,
    subject: str,
    as_of: dt.datetime,
) -> Ledger | None:
    own = folder.root / "attempts.jsonl"
    path = request.attempt_ledger or own
    if request.attempt_ledger is None and not own.is_file():
        return None
    if request.ledger_head is not None:
        return read_ledger(path).until(request.ledger_head)
    if request.attempt_ledger is None:
        return read_ledger(path)
    claims = {
        claim.id: observed.evidence_digest(subject, claim.family)
        for claim in loaded.policy.claims
        if claim.kind != "forecast"
    }
    return record_attempts(path, subject, claims, loaded.policy, loaded.sha256, as_of.isoformat())


def _claim(claim: Claim, ctx: Context) -> ClaimResult:
    try:
        if claim.kind == "forecast":
            return evaluate_forecast(claim, ctx)
        result = evaluate_measured(claim, ctx)
        return result.model_copy(update={"margin": margins(claim, result, ctx)})
    except EvidenceError as exc:
        return blank(claim, [str(exc)])


def _confirm_alarms(results: list[ClaimResult]) -> list[ClaimResult]:
    """Holm over every claim that can raise an alarm; an alarm that does not survive it is UNRESOLVED, never a pass."""
    able = [i for i, result in enumerate(results) if result.kind != "forecast"]
    p_values = [alarm.p if (alarm := results[i].alarm) else 1.0 for i in able]
    adjusted = dict(zip(able, decide.holm(p_values), strict=True))
    out = []
    for index, result in enumerate(results):
        if result.alarm is None:
            out.append(result)
            continue
        p_holm = adjusted[index]
        update: dict[str, object] = {"alarm": Alarm(p=result.alarm.p, p_holm=p_holm)}
        # The level of a single claim is met exactly where its bound touches T: rounding must not undo that.
        if result.verdict is Outcome.REACHED and p_holm > result.alpha * (1 + 1e-5):
            weak = f"the alarm (p {result.alarm.p:.3g}) does not survive Holm over {len(able)} claims (p {p_holm:.3g})"
            update |= {
                "verdict": Outcome.UNRESOLVED,
                "original": Outcome.UNRESOLVED,
                "reasons": [*result.reasons, weak],
            }
        out.append(result.model_copy(update=update))
    return out


def _tier(
    result: ClaimResult, tier: str, history: Sequence[Record], subject: str | None, loaded: LoadedPolicy
) -> ClaimResult:
    """The light tier may only escalate: what it would rule out stays UNRESOLVED unless the full tier has ruled it out."""
    if tier == "full" or result.verdict not in (Outcome.RULED_OUT, Outcome.APPROACHING):
        return result
    if full_tier_passed(history, subject, result.id, loaded.sha256):
        return result
    why = "the light tier only escalates: no full-tier pass of this claim and policy is in the history"
    return result.model_copy(
        update={
            "verdict": Outcome.UNRESOLVED,
            "original": Outcome.UNRESOLVED,
            "reasons": [*result.reasons, why],
        }
    )


def _stopped(
    result: ClaimResult, anomalies: Sequence[Anomaly], subject: str | None, loaded: LoadedPolicy
) -> ClaimResult:
    """INVALID where an anomaly stopped a cell that the claim is about, or is of a kind that the policy does not bear."""
    why = [
        f"an anomaly in the run, {a.kind}: {a.detail}"
        for a in anomalies
        if (a.action == "stop" or a.kind in loaded.policy.invalid_on)
        and a.cell.model == subject
        and a.cell.family == result.family
        and result.cell.get("interface", a.cell.interface) == a.cell.interface
    ]
    return _invalidate(result, why).model_copy(update={"alarm": None}) if why else result


def _marked(anomalies: Sequence[Anomaly], subject: str | None) -> list[str]:
    """What was flagged during the run and stopped nothing, for the reader."""
    return [
        f"anomaly marked in {printable(a.cell.family, 80)} ({printable(a.cell.interface, 20)}): {printable(a.detail)}"
        for a in anomalies
        if a.action == "mark" and a.cell.model == subject
    ]


def _invalidate(result: ClaimResult, problems: list[str]) -> ClaimResult:
    return result.model_copy(
        update={
            "verdict": Outcome.INVALID,
            "original": Outcome.INVALID,
            "reasons": [*(printable(problem) for problem in problems), *result.reasons],
        }
    )


def _waive(
    result: ClaimResult,
    waivers: list[Waiver],
    subject: str | None,
    folder: RunFolder,
    deployment: str | None,
    as_of: dt.datetime,
    triggers: list[TriggerState],
) -> ClaimResult:
    about = folder.evidence.get("subject")
    known: Mapping[str, object] = about if isinstance(about, dict) else {}
    note = waiver_for(
        waivers,
        result.id,
        result.verdict,
        model=subject or "",
        model_digest=model_digest(known, subject),
        deployment=deployment or (str(known["deployment"]) if "deployment" in known else None),
        as_of=as_of,
        changed=[t.kind for t in triggers if t.state != "ok"],
    )
    if note is None:
        return result
    return result.model_copy(
        update={"waiver": note, "verdict": Outcome.WAIVED if note.applied else result.verdict}
    )


def model_digest(about: Mapping[str, object], subject: str | None) -> str:
    """What a waiver names: the digest of the weights from `evidence/subject.json`, or the model id without one."""
    if about.get("model") == subject and isinstance(about.get("weights_sha256"), str):
        return str(about["weights_sha256"])
    return subject or ""


def _plan(result: ClaimResult, claim: Claim, loaded: LoadedPolicy) -> ClaimResult:
    """Name the response plan where it lies on record: a file beside the policy that is not empty."""
    if claim.response_plan is None:
        return result
    path = loaded.path.parent / claim.response_plan
    if path.is_file() and path.stat().st_size:
        return result.model_copy(update={"response_plan": printable(claim.response_plan)})
    missing = f"the response plan {printable(claim.response_plan)} is not on record beside the policy"
    return result.model_copy(update={"reasons": [*result.reasons, missing]})


def _with_text(result: ClaimResult, subject: str | None, *, simulated: bool) -> ClaimResult:
    cell = ", ".join(f"{key} {value}" for key, value in result.cell.items()) or "no condition"
    text = (
        f"{'SIMULATED. ' if simulated else ''}{result.family} ({result.metric}) of {printable(subject)}, {cell}: "
        f"{result.verdict.value} on a one-sided {1 - result.alpha:.4g} bound with elicitation, growth and "
        "forecast-error allowances. This does not establish that the model is safe."
    )
    return result.model_copy(update={"text": text})


def _lenient(loaded: LoadedPolicy, profile: str, unresolved: str, *, needs_ledger: bool) -> list[str]:
    lines = [f"pools {len(p.keys)} comparability keys of {printable(p.family)}" for p in loaded.policy.pool]
    if unresolved == "warn":
        lines.append(f"profile {profile} warns on unresolved claims")
    if not needs_ledger and profile != "none":
        lines.append(f"profile {profile} counts no attempts")
    return lines


def _headline(
    overall: Outcome,
    results: list[ClaimResult],
    subject: str | None,
    lenient: list[str],
    policy: str,
    *,
    simulated: bool,
) -> str:
    counts = {o: sum(r.verdict is o for r in results) for o in Outcome}
    said = ", ".join(f"{count} {outcome.value}" for outcome, count in counts.items() if count)
    waived = [r for r in results if r.verdict is Outcome.WAIVED]
    parts = [
        f"{'SIMULATED ' if simulated else ''}{overall.value}: {printable(subject)} under {printable(policy)} ({said})"
    ]
    parts += [
        f"WAIVED {r.id} (was {r.original.value}, until {r.waiver.expires[:10]})" for r in waived if r.waiver
    ]
    parts += [f"policy {line}" for line in lenient]
    return "; ".join(parts)


def _transcripts(loaded: LoadedPolicy, ctx: Context) -> list[Transcript]:
    seed = f"{ctx.folder.store_digest}:{loaded.sha256}:{ctx.model}"
    families = sorted({claim.family for claim in loaded.policy.claims if claim.kind != "forecast"})
    found: list[Transcript] = []
    for family in families:
        found += random_transcripts(ctx.observed, ctx.model, family, seed)
    return found


def _oldest(observed: Observed, subject: str, loaded: LoadedPolicy) -> dt.datetime | None:
    """When the evidence was completed that is oldest among the claims' families."""
    stamps = []
    for family in {claim.family for claim in loaded.policy.claims if claim.kind != "forecast"}:
        last = observed.last(subject, family)
        if last is not None:
            stamps.append(parse_time(last))
    return min(stamps, default=None)
