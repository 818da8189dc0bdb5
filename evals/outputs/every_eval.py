"""A verdict's estimates in the shape of Every Eval Ever, the shared schema for evaluation results (version 0.2.1).

Field names were read from `eval.schema.json` of github.com/evaleval/every_eval_ever, version 0.2.1. What the schema
requires and a verdict does not know (who evaluated, for whom) is written as unknown, for its owner to fill in.
"""

from __future__ import annotations

import json
import math
import sys

from dangercurve._version import __version__
from dangercurve.analysis.registry import metric
from dangercurve.evals.gating.observed import parse_time
from dangercurve.evals.gating.verdict import ClaimResult, Verdict, rounded

SCHEMA_VERSION = "0.2.1"
UNBOUNDED = sys.float_info.max
"""The schema wants a largest score of every continuous metric; for one without, the largest number there is."""


def as_every_eval(verdict: Verdict) -> str:
    """One record of the verdict's model with a result for each measure or breach claim that has an estimate.

    `confidence_interval` is two-sided: both one-sided bounds of level 1 - alpha, so its level is 1 - 2 alpha.
    """
    seconds = f"{parse_time(verdict.as_of).timestamp():.0f}"
    subject = verdict.subject or "unknown"
    record: dict[str, object] = {
        "schema_version": SCHEMA_VERSION,
        "evaluation_id": f"dangercurve-{verdict.policy.id}/{subject}/{seconds}",
        "retrieved_timestamp": seconds,
        "source_metadata": {
            "source_name": "dangercurve gate",
            "source_type": "evaluation_run",
            "source_organization_name": "unknown",
            "evaluator_relationship": "other",
            "additional_details": {
                "headline": verdict.headline,
                "simulated": str(verdict.simulated).lower(),
                "policy_sha256": verdict.policy.sha256,
            },
        },
        "model_info": {"name": subject, "id": subject},
        "eval_library": {"name": "dangercurve", "version": __version__},
        "evaluation_results": [
            _result(claim)
            for claim in verdict.claims
            if claim.kind != "forecast" and claim.estimate is not None
        ],
    }
    if verdict.digests.store:
        record["dedupe_identity"] = {"content_hash": verdict.digests.store, "hash_algorithm": "sha256"}
    return json.dumps(rounded(record), indent=1, sort_keys=True) + "\n"


def _result(claim: ClaimResult) -> dict[str, object]:
    kind = metric(claim.metric)
    uncertainty: dict[str, object] = {}
    if claim.n_instances is not None:
        uncertainty["num_samples"] = claim.n_instances
    if claim.lcb is not None and claim.ucb is not None and math.isfinite(claim.ucb) and 0 < claim.alpha < 0.5:
        uncertainty["confidence_interval"] = {
            "lower": claim.lcb,
            "upper": claim.ucb,
            "confidence_level": 1 - 2 * claim.alpha,
            "method": kind.estimator,
        }
    return {
        "evaluation_name": f"{claim.family} {claim.metric}",
        "source_data": {"dataset_name": claim.family, "source_type": "other"},
        "metric_config": {
            "evaluation_description": f"{kind.label}: {kind.unit}",
            "lower_is_better": kind.direction == "up",
            "score_type": "continuous",
            "min_score": kind.lower,
            "max_score": kind.upper if math.isfinite(kind.upper) else UNBOUNDED,
            "additional_details": {name: str(value) for name, value in claim.cell.items()},
        },
        "score_details": {
            "score": claim.estimate,
            "uncertainty": uncertainty,
            "details": {
                "verdict": claim.verdict.value,
                **{name: f"{share:.6g}" for name, share in claim.status_shares.items()},
            },
        },
    }
