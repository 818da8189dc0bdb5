"""The purse of a run, kept beside its logs: every slice is written down there before it is given."""

from __future__ import annotations

from dangercurve.evals.engines.budget import RECORD, Purse
from dangercurve.evals.engines.location import Location
from dangercurve.evals.study import Limits


def purse_at(place: Location, limits: Limits) -> Purse | None:
    """The purse of a study at its location, with what was given out before; None where nothing is capped."""
    record = place.read(RECORD).decode() if place.exists(RECORD) else ""
    return Purse.of(limits, record, lambda text: place.write(RECORD, text.encode()))
