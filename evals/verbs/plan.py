"""`dangercurve plan`: before a run, what it takes and what it can show; or a sample size without a study."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from dangercurve._errors import ConfigError
from dangercurve._json import jsonable
from dangercurve.evals.verbs._common import emit, output_options, table

if TYPE_CHECKING:
    from dangercurve.evals.planning.plan import StudyPlan

PATH = click.Path(path_type=Path)


@click.command()
@click.argument("study_file", metavar="[STUDY]", type=PATH, required=False)
@click.option("--prices", type=PATH, help="Your price table; its entries go before the shipped ones.")
@click.option("--from", "earlier", type=PATH, help="Run folder whose tokens and seconds a sample are taken.")
@click.option("--policy", type=PATH, help="Policy to plan for [default: the study's].")
@click.option("--difference", type=float, help="Without a study: pairs that show this difference of rates.")
@click.option("--discordance", type=float, default=0.2, show_default=True, help="Share of discordant pairs.")
@click.option("--zero-events", type=float, help="Without a study: instances that bound a rate below this.")
@click.option("--n", type=int, help="Without a study: what this many instances can show.")
@click.option(
    "--alpha", type=float, default=0.05, show_default=True, help="Level (two-sided for differences)."
)
@click.option("--power", type=float, default=0.8, show_default=True, help="Probability of showing it.")
@click.option("--budget", type=float, help="Split this between n, elicitation and red-teaming.")
@click.option("--instance-cost", type=float, help="Cost of an instance [default: the study's mean, in USD].")
@click.option("--trial-cost", type=float, help="Cost of an elicitation trial [default: 20 instances].")
@click.option("--attempt-cost", type=float, help="Cost of a red-team attempt [default: one instance].")
@click.option("--rate", type=float, default=0.1, show_default=True, help="Rate that is expected.")
@click.option("--gap", type=float, help="Logits elicitation may add [default: prior of success_rate].")
@output_options
def command(
    study_file: Path | None, prices: Path | None, earlier: Path | None, policy: Path | None, difference: float | None,
    discordance: float, zero_events: float | None, n: int | None, alpha: float, power: float, budget: float | None,
    instance_cost: float | None, trial_cost: float | None, attempt_cost: float | None, rate: float, gap: float | None,
    fmt: str, output: Path | None,
) -> None:  # fmt: skip
    """What STUDY will take (samples, tokens, money, time) and what its instances can show.

    Without STUDY: sample sizes (--difference, --zero-events), or what --n instances can show. --budget says how much of
    it to spend on instances, elicitation and red-teaming. A price that is not known is said, never counted as 0.

    Example: dangercurve plan --difference 0.1 --discordance 0.2
    """
    from dangercurve.evals.planning import words as plan_words

    if not 0 < alpha < 1 or not 0 < power < 1:
        raise ConfigError(f"--alpha {alpha:g}, --power {power:g}: give numbers between 0 and 1")
    data: dict[str, object] = {"schema": 1}
    plan = None
    if study_file is not None:
        plan, data["study"] = _study(study_file, prices, earlier, policy, discordance, alpha, power)
    sizes = plan_words.sizes(difference, discordance, zero_events, n, alpha, power)
    if sizes:
        data["sizes"] = sizes
    if budget is not None:
        each = instance_cost if instance_cost is not None else _mean_cost(plan)
        data["split"] = plan_words.split(budget, each, trial_cost, attempt_cost, rate, gap, alpha)
    if len(data) == 1:
        raise ConfigError("nothing to plan: give a STUDY, --difference, --zero-events, --n or --budget")
    if fmt == "json":
        emit(jsonable(data), fmt, output)
        return
    text = plan_words.text(data, markdown=fmt == "md", table=table)
    if output is None:
        click.echo(text, nl=False)
    else:
        from dangercurve._files import write_atomic

        write_atomic(output, text)
        click.echo(f"wrote {output}", err=True)


def _study(
    path: Path, prices: Path | None, earlier: Path | None, policy: Path | None, discordance: float, alpha: float,
    power: float,
) -> tuple[StudyPlan, dict[str, object]]:  # fmt: skip
    from dangercurve.evals.planning import words as plan_words
    from dangercurve.evals.planning.measured import measured_in
    from dangercurve.evals.planning.plan import plan_study
    from dangercurve.evals.planning.power import cell_powers, claim_powers
    from dangercurve.evals.planning.prices import load_prices
    from dangercurve.evals.policy import load_policy
    from dangercurve.evals.study import load_study
    from dangercurve.evals.verbs.run import policy_path

    study, digest = load_study(path)
    named = policy or (policy_path(path, study.policy) if study.policy else None)
    loaded = load_policy(named) if named is not None else None
    table = load_prices(prices, study.prices)
    plan = plan_study(study, table, measured_in(earlier) if earlier else None)
    powers = cell_powers(plan, discordance=discordance, alpha=alpha, power=power)
    claims = claim_powers(plan, loaded, study.subject, power) if loaded else []
    return plan, plan_words.study_data(plan, digest, powers, claims, loaded)


def _mean_cost(plan: StudyPlan | None) -> float:
    """US dollars an instance of the priced cells that send a bill. Raises ConfigError where there are none."""
    paid = [c for c in plan.cells if c.usd] if plan else []
    if not paid:
        raise ConfigError("--budget needs --instance-cost where no model of a study has a price")
    return sum(c.usd or 0.0 for c in paid) / sum(c.instances for c in paid)
