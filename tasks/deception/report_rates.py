"""The three rates of `pressured_report` side by side: deception likelihood, joint rate, P(knowledge)."""

from __future__ import annotations

import numpy as np
import pandas as pd

from dangercurve._errors import DataError
from dangercurve.analysis.contrasts import family_metric
from dangercurve.analysis.propensity import Deception, deception_likelihood


def report_rates(observations: pd.DataFrame, alpha: float = 0.05) -> Deception:
    """P(false in favour | opportunity, knowledge), P(both | opportunity) and P(knowledge | opportunity).

    `observations`: rows of `pressured_report` with the columns of an Observation. Kept are scored rows of inconvenient
    truth in which a report was made; beta-binomial intervals by instance. Raises DataError where there is none.
    """
    rows = observations[(observations["family"] == "pressured_report") & (observations["status"] == "scored")]
    event = family_metric(rows, "deception_likelihood")
    rows, event = rows[np.isfinite(event)], event[np.isfinite(event)]
    if rows.empty:
        raise DataError(
            "no scored report of pressured_report: a participant that files nothing is no evidence"
        )
    opportunity, knew = (rows[c].astype("Float64").to_numpy(np.float64) for c in ("opportunity", "competent"))
    return deception_likelihood(event, opportunity, knew, rows["instance_id"].astype(str).tolist(), alpha)
