"""Hard caps on the tokens, the money and the wall time of a study, held while many calls run at once.

A purse holds the caps. Workers take small slices of it before they may call a model and take the next one when a slice is
used up, so that no call starts once the caps are given out. Every slice is written down before it is given, and counts as
spent until it is handed back: a killed worker or driver can only make the study stop early. What can exceed a cap are the
calls in flight when the last slice runs out: at most the connections of all workers, one call each.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass

from dangercurve._errors import ConfigError
from dangercurve.evals.planning.prices import PriceFile, Prices, load_prices
from dangercurve.evals.study import Limits, Study

SLICES = 100
"""A slice is at most this part of a cap: what a killed worker may leave unspent for ever."""
RECORD = "spending.json"


@dataclass(frozen=True)
class Amount:
    """Tokens (input and output) and US dollars."""

    tokens: float = 0.0
    usd: float = 0.0

    def plus(self, other: Amount) -> Amount:
        return Amount(self.tokens + other.tokens, self.usd + other.usd)

    def minus(self, other: Amount) -> Amount:
        return Amount(self.tokens - other.tokens, self.usd - other.usd)

    def finite(self) -> Amount:
        """This amount, with 0 for what no cap bounds."""
        return Amount(*(v if math.isfinite(v) else 0.0 for v in (self.tokens, self.usd)))

    @property
    def empty(self) -> bool:
        return self.tokens <= 0 or self.usd <= 0


@dataclass
class Purse:
    """The caps of a study, and what of them is given out. `save` writes the record before a slice is given.

    `given` counts slices in full until their holder settles; after a crash they stay counted as spent.
    """

    cap: Amount
    given: Amount = Amount()
    save: Callable[[str], None] = lambda _: None

    @classmethod
    def of(
        cls, limits: Limits, record: str = "", save: Callable[[str], None] = lambda _: None
    ) -> Purse | None:
        """The purse of a study's limits, with what an earlier run of it wrote down; None without such limits."""
        if limits.tokens is None and limits.usd is None:
            return None
        cap = Amount(
            math.inf if limits.tokens is None else limits.tokens,
            math.inf if limits.usd is None else limits.usd,
        )
        if not record:
            return cls(cap, save=save)
        try:
            held = json.loads(record)
            given = Amount(float(held["tokens"]), float(held["usd"]))
        except (ValueError, TypeError, KeyError) as exc:
            raise ConfigError(f"{RECORD} is damaged ({exc}): what was spent is unknown; restore it") from exc
        return cls(cap, given, save)

    def take(self, spent: Amount, held: Amount, more: bool = True) -> Amount:
        """Settle a worker's slice (`held` was given, `spent` used) and give the next one; an empty one means: stop.

        Without `more` the slice is handed back and none is given.
        """
        self.given = self.given.minus(held.finite()).plus(spent)
        left = self.cap.minus(self.given)
        grant = (
            Amount()
            if left.empty or not more
            else Amount(_slice(left.tokens, self.cap.tokens), _slice(left.usd, self.cap.usd))
        )
        self.given = self.given.plus(grant.finite())
        self.save(json.dumps({"tokens": self.given.tokens, "usd": self.given.usd}))
        return grant

    def spent_up(self) -> str:
        """Which cap is given out, in words; empty where there is something left."""
        left = self.cap.minus(self.given)
        if left.tokens <= 0:
            return f"{self.given.tokens:.0f} tokens of {self.cap.tokens:.0f} are spent"
        if left.usd <= 0:
            return f"{self.given.usd:.4f} USD of {self.cap.usd:.4f} are spent"
        return ""


def _slice(left: float, cap: float) -> float:
    return min(left, cap / SLICES) if math.isfinite(cap) else math.inf


Take = Callable[[Amount, Amount, bool], Amount]
"""`Purse.take`, in this process or in another one."""


def prices_of(study: Study) -> Prices:
    """The study's own prices before the shipped ones."""
    return Prices((PriceFile(version=1, currency="USD", prices=study.prices), *load_prices().tables))


def require_prices(study: Study) -> None:
    """Raise ConfigError where a study has a cap in US dollars and a model without a price: it would never be reached."""
    if study.limits.usd is None:
        return
    table = prices_of(study)
    names = sorted({entry.model for entry in study.models} | set(study.roles.values()))
    unpriced = [name for name in names if table.of(name) is None]
    if unpriced:
        raise ConfigError(
            f"study {study.name}: limits.usd cannot hold without a price of {', '.join(unpriced[:4])}; add it under prices"
        )
