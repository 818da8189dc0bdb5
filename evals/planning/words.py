"""A plan as data and as text."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from dangercurve._errors import ConfigError
from dangercurve.analysis.budget import SplitModel, split_budget
from dangercurve.analysis.intervals import zero_event_n
from dangercurve.analysis.power import paired_detectable, paired_sample_size, zero_event_bound
from dangercurve.analysis.registry import metric
from dangercurve.evals.planning.prices import usd_text
from dangercurve.evals.progress.show import clock

if TYPE_CHECKING:
    from dangercurve.evals.planning.plan import StudyPlan
    from dangercurve.evals.planning.power import CellPower, ClaimPower
    from dangercurve.evals.policy import LoadedPolicy

Row = Mapping[str, object]
TRIAL_INSTANCES = 20
ASSUMPTIONS = (
    "tokens: the oracle's episode in characters / 3.6 without caching or reasoning, unless `basis` says measured; a model "
    "that errs takes up to the whole step budget (`most`); models in roles are not counted",
    "time: cells one after the other; seconds a call from the price table's `speeds` or an earlier run",
    "power: instances are independent; epochs, twins and paraphrases add none",
)


def sizes(
    difference: float | None,
    discordance: float,
    zero: float | None,
    n: int | None,
    alpha: float,
    power: float,
) -> list[dict[str, object]]:
    """Answers to questions that need no study, one row each."""
    rows: list[dict[str, object]] = []
    if difference is not None:
        pairs = paired_sample_size(difference, discordance, alpha=alpha, power=power)
        asked = f"a paired difference of {difference:g} at discordance {discordance:g}, power {power:g}"
        rows.append({"question": asked, "answer": pairs, "unit": "pairs", "alpha": alpha})
    if zero is not None:
        asked = f"an upper bound of at most {zero:g} after no event"
        rows.append(
            {"question": asked, "answer": zero_event_n(zero, alpha), "unit": "instances", "alpha": alpha}
        )
    if n is not None:
        if n < 1:
            raise ConfigError(f"--n {n}: give at least 1")
        rows.append(
            {
                "question": f"upper bound after no event in {n} instances",
                "answer": zero_event_bound(n, alpha),
                "unit": "rate",
                "alpha": alpha,
            }
        )
        smallest = paired_detectable(n, discordance, alpha=alpha, power=power)
        rows.append(
            {
                "question": f"smallest difference that {n} pairs show at discordance {discordance:g}, power {power:g}",
                "answer": smallest,
                "unit": "difference of rates" if smallest is not None else "none: too few pairs",
                "alpha": alpha,
            }
        )
    return rows


def split(
    budget: float,
    instance: float,
    trial: float | None,
    attempt: float | None,
    rate: float,
    gap: float | None,
    alpha: float,
) -> dict[str, object]:
    """The best split of a budget with what it rests on; see `analysis.budget.split_budget` for the formula."""
    priors = metric("success_rate").priors
    if gap is None and priors is None:
        raise ConfigError("--gap is needed: success_rate has no prior for elicitation")
    model = SplitModel(
        rate=rate,
        instance=instance,
        gap=gap if gap is not None else priors.elicitation if priors else 0.0,
        trial=trial if trial is not None else TRIAL_INSTANCES * instance,
        attempt=attempt if attempt is not None else instance,
        alpha=alpha,
    )
    found = asdict(split_budget(model, budget))
    return {**found, "model": asdict(model), "gap_source": "given" if gap is not None else "prior"}


def study_data(
    plan: StudyPlan,
    digest: str,
    powers: Sequence[CellPower],
    claims: Sequence[ClaimPower],
    loaded: LoadedPolicy | None,
) -> dict[str, object]:
    """A study's plan as the JSON that `plan STUDY --format json` prints (docs/plan.md)."""
    tokens_in, tokens_out = plan.tokens
    priced = plan.prices.oldest(c.cell.model for c in plan.cells)
    return {
        "name": plan.study.name,
        "study_sha256": digest,
        "samples": plan.samples,
        "tokens": {"input": tokens_in, "output": tokens_out},
        "tokens_most": dict(zip(("input", "output"), plan.most_tokens, strict=True)),
        "usd": plan.usd,
        "usd_most": plan.most_usd,
        "usd_unknown": list(plan.unpriced),
        "prices_as_of": priced.isoformat() if priced else None,
        "seconds": plan.seconds,
        "seconds_unknown": list(plan.untimed),
        "limits": plan.study.limits.model_dump(exclude_none=True),
        "over_limits": over_limits(plan),
        "cells": [
            {
                "model": c.cell.model,
                "family": c.cell.task,
                "interface": c.cell.interface,
                "kappa": c.cell.kappa,
                "elicitation": c.cell.elicitation,
                "levels": list(c.cell.levels),
                "epochs": c.cell.epochs,
                "instances": c.instances,
                "samples": c.samples,
                "input_tokens": c.input_tokens,
                "output_tokens": c.output_tokens,
                "calls": c.calls,
                "usd": c.usd,
                "usd_most": c.most_usd,
                "seconds": c.seconds,
                "basis": c.basis,
            }
            for c in plan.cells
        ],
        "power": [asdict(row) for row in powers],
        "policy": loaded.policy.framework.id if loaded else None,
        "claims": [asdict(row) for row in claims],
        "assumptions": list(ASSUMPTIONS),
    }


def over_limits(plan: StudyPlan) -> list[str]:
    """Limits of the study that the plan alone would break."""
    limits, found = plan.study.limits, []
    if limits.tokens is not None and sum(plan.tokens) > limits.tokens:
        found.append(f"{sum(plan.tokens):,} tokens planned, limit {limits.tokens:,}")
    if limits.usd is not None and plan.usd is not None and plan.usd > limits.usd:
        found.append(f"${plan.usd:,.2f} planned, limit ${limits.usd:,.2f}")
    if limits.wall_s is not None and plan.seconds is not None and plan.seconds > limits.wall_s:
        found.append(f"{plan.seconds:,.0f} s planned, limit {limits.wall_s:,.0f} s")
    return found


def text(data: Mapping[str, object], *, markdown: bool, table: Callable[..., str]) -> str:
    """The plan as plain or Markdown text."""
    parts: list[str] = []
    study = data.get("study")
    if isinstance(study, dict):
        parts += _study_parts(study, markdown, table)
    rows = data.get("sizes")
    if isinstance(rows, list):
        parts.append(table(rows, ["question", "answer", "unit", "alpha"], markdown=markdown))
    found = data.get("split")
    if isinstance(found, dict):
        parts += _split_parts(found, markdown, table)
    return "\n".join(parts)


def _study_parts(study: Row, markdown: bool, table: Callable[..., str]) -> list[str]:
    tokens, unknown, untimed = study["tokens"], study["usd_unknown"], study["seconds_unknown"]
    if not isinstance(tokens, dict) or not isinstance(unknown, list) or not isinstance(untimed, list):
        raise ConfigError("a study's plan lacks its sums")
    usd, seconds = study["usd"], study["seconds"]
    dated = f", prices as of {study['prices_as_of']}" if study["prices_as_of"] else ""
    known = usd if isinstance(usd, float | int) else None
    time_text = clock(float(seconds)) if isinstance(seconds, float | int) else "unknown"
    if untimed and seconds is not None:
        time_text += f" and an unknown time ({', '.join(map(str, untimed[:4]))})"
    most = study["usd_most"]
    ahead = (
        f" (at most {usd_text(float(most))} with whole step budgets)"
        if isinstance(most, float | int) and most
        else ""
    )
    lines = [
        f"study {study['name']}: {study['samples']:,} samples, {tokens['input']:,} tokens in, {tokens['output']:,} out",
        f"cost {usd_text(known, map(str, unknown))}{ahead}{dated}; time {time_text}",
    ]
    over = study["over_limits"]
    lines += [f"LIMIT: {line}" for line in over] if isinstance(over, list) else []
    cells, powers, claims = study["cells"], study["power"], study["claims"]
    parts = ["\n".join(lines) + "\n"]
    if isinstance(cells, list):
        columns = ["model", "family", "interface", "instances", "samples", "input_tokens", "output_tokens", "usd",
                   "seconds", "basis"]  # fmt: skip
        parts.append(table([_said_unknown(c) for c in cells], columns, markdown=markdown))
    if isinstance(powers, list):
        columns = ["model", "family", "interface", "instances", "zero_event_bound", "detectable_difference"]
        parts.append("what the instances can show (levels together)\n")
        parts.append(table(powers, columns, markdown=markdown))
    if isinstance(claims, list) and claims:
        columns = ["claim", "instances", "required", "limit", "largest_rate", "power_at_zero", "note"]
        parts.append(f"claims of {study['policy']}: the true rate up to which each is ruled out\n")
        parts.append(table(claims, columns, markdown=markdown))
    assumed = study["assumptions"]
    if isinstance(assumed, list):
        parts.append("".join(f"assumed, {line}\n" for line in assumed))
    return parts


def _said_unknown(cell: Row) -> dict[str, object]:
    return {**cell, **{k: "unknown" for k in ("usd", "seconds") if cell[k] is None}}


def _split_parts(found: Row, markdown: bool, table: Callable[..., str]) -> list[str]:
    rows = [
        {"use": "instances", "count": found["instances"], "spend": found["spend_instances"], "adds": found["sampling"]},
        {"use": "elicitation trials", "count": found["trials"], "spend": found["spend_elicitation"],
         "adds": found["elicitation"]},
        {"use": "red-team attempts", "count": found["attempts"], "spend": found["spend_red_team"],
         "adds": found["unseen"]},
    ]  # fmt: skip
    head = (
        f"a budget of {found['budget']:g}: the split that adds least to the bound (logit); "
        f"elicitation gap {found['gap_source']}\n"
    )
    return [head, table(rows, ["use", "count", "spend", "adds"], markdown=markdown)]
