"""A verdict's estimates as records for a shared collection of evaluation results (every-eval-ever style JSON)."""

from __future__ import annotations

import json

from dangercurve._version import __version__
from dangercurve.evals.verdict import Verdict, rounded


def as_every_eval(verdict: Verdict) -> str:
    """One record a claim: who evaluated what with which settings, the score with its bounds, and its digest.

    The field names are ours; the shared schema was not read, so a consumer maps them.
    """
    records = [
        {
            "evaluation_id": f"dangercurve/{claim.family}/{claim.metric}/{verdict.digests.store or 'none'}",
            "model": verdict.subject,
            "simulated": verdict.simulated,
            "retrieved": verdict.as_of,
            "evaluation_library": {"name": "dangercurve", "version": __version__},
            "evaluation": {
                "family": claim.family,
                "metric": claim.metric,
                "unit": claim.unit,
                "settings": claim.cell,
            },
            "score": {
                "value": claim.estimate,
                "lower": claim.lcb,
                "upper": claim.ucb,
                "alpha": claim.alpha,
                "n_instances": claim.n_instances,
                "status_shares": claim.status_shares,
            },
        }
        for claim in verdict.claims
        if claim.kind != "forecast"
    ]
    return json.dumps(rounded(records), indent=1, sort_keys=True) + "\n"
