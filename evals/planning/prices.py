"""What tokens cost and how fast participants answer: data with a date, and "unknown" where there is none."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from dangercurve._errors import ConfigError
from dangercurve.evals.strict_yaml import load_strict

SHIPPED = Path(__file__).with_name("prices.yaml")
PER = 1_000_000
_DATED = re.compile(r"-\d{8}|-\d{4}-\d{2}-\d{2}")
Amount = Annotated[float, Field(ge=0, lt=1e6)]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Price(Strict):
    """US dollars a million tokens of one model, when that held, and who says so."""

    model: Annotated[str, Field(min_length=3, max_length=200)]
    input: Amount
    output: Amount
    as_of: dt.date
    source: Annotated[str, Field(min_length=1, max_length=300)]

    def covers(self, model: str) -> bool:
        """The id itself, the id with a date behind it, or, where the entry ends in `*`, anything that starts so."""
        if self.model.endswith("*"):
            return model.startswith(self.model[:-1])
        return model.startswith(self.model) and (
            model == self.model or _DATED.fullmatch(model[len(self.model) :]) is not None
        )

    def usd(self, input_tokens: float, output_tokens: float) -> float:
        """The price of that many tokens, without caching."""
        return (input_tokens * self.input + output_tokens * self.output) / PER


class Speed(Strict):
    """Seconds of one model call and how many run at once, for models whose id starts with `prefix`."""

    prefix: Annotated[str, Field(min_length=1, max_length=200)]
    seconds_per_call: Annotated[float, Field(gt=0, lt=1e5)]
    parallel: Annotated[int, Field(ge=1, le=100_000)]
    why: Annotated[str, Field(min_length=1, max_length=300)]


class PriceFile(Strict):
    """A price table as a file (`prices.yaml` is the shipped one)."""

    version: Literal[1]
    currency: Literal["USD"]
    prices: list[Price] = []
    free: list[str] = []
    speeds: list[Speed] = []

    @model_validator(mode="after")
    def _once(self) -> PriceFile:
        names = [price.model for price in self.prices]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"{twice} stands twice: one price a model")
        return self


@dataclass(frozen=True)
class Prices:
    """Price tables in order of precedence."""

    tables: tuple[PriceFile, ...]

    def of(self, model: str) -> Price | None:
        """The price of `model`: of the first table that has one its most exact entry; a free one costs 0; else None."""
        for table in self.tables:
            found = [price for price in table.prices if price.covers(model)]
            if found:
                return max(found, key=lambda p: (not p.model.endswith("*"), len(p.model)))
            free = next((start for start in table.free if start and model.startswith(start)), None)
            if free is not None:
                return Price(
                    model=model, input=0, output=0, as_of=dt.date(1970, 1, 1), source="no bill is sent"
                )
        return None

    def speed(self, model: str) -> Speed | None:
        """How fast `model` answers, by the longest prefix of the first table that has one."""
        for table in self.tables:
            found = [speed for speed in table.speeds if model.startswith(speed.prefix)]
            if found:
                return max(found, key=lambda s: len(s.prefix))
        return None

    def oldest(self, models: Iterable[str]) -> dt.date | None:
        """The oldest date among the prices of `models` that send a bill."""
        dates = [p.as_of for p in map(self.of, models) if p is not None and (p.input or p.output)]
        return min(dates, default=None)


def load_prices(path: Path | None = None, study: Sequence[Price] = ()) -> Prices:
    """The user's table, then the prices that a study states, then the shipped table.

    Raises ConfigError naming file, line and key.
    """
    own = (load_strict(path, PriceFile)[0],) if path is not None else ()
    stated = (PriceFile(version=1, currency="USD", prices=list(study)),) if study else ()
    return Prices((*own, *stated, _shipped()))


@cache
def _shipped() -> PriceFile:
    return load_strict(SHIPPED, PriceFile)[0]


def usd_text(usd: float | None, unknown: Iterable[str] = ()) -> str:
    """Money in words. What is unknown is named and never shown as 0: `$1.20 and an unknown price of a/b`."""
    names = sorted(set(unknown))
    listed = ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
    if usd is None:
        return f"unknown (no price of {listed})" if names else "unknown"
    if usd < 0:
        raise ConfigError(f"{usd} is no amount of money")
    known = f"${usd:,.2f}" if usd >= 0.01 or usd == 0 else f"${usd:.2g}"
    return f"{known} and an unknown amount (no price of {listed})" if names else known
