"""The forecast ledger: append-only JSON Lines, each line chained to the one before, scored when the model arrives.

Three kinds of line. `forecast`: a forecast object with the hash of its inputs. `prediction`: what a named model of
known compute will measure, quantiles first, `actual` null. `score`: that prediction again with `predicted`, `actual`
and the error on the metric's scale, from which a gate takes its forecast-error margin M.
"""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dangercurve._errors import DataError
from dangercurve._text import printable
from dangercurve.analysis import latent
from dangercurve.analysis.crossing import Fitted, fit_shapes, shifts
from dangercurve.analysis.forecast import Forecast
from dangercurve.analysis.ledger_lines import (
    GENESIS,
    QUANTILE,
    SCHEMA,
    canonical,
    digest,
    error_on_scale,
    finite,
    margin_of,
    past_errors,
    read_lines,
)
from dangercurve.analysis.points import Points, curve_data
from dangercurve.analysis.registry import Scale, metric

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Prediction:
    """What `model` (at `flops`) will measure on `metric`: quantiles in the metric's unit, for a new model."""

    model: str
    family: str
    metric: str
    scale: Scale
    flops: float
    predicted: float
    q05: float
    q25: float
    q75: float
    q95: float
    as_of: str
    input_sha256: str
    simulated: bool
    seed: int


def predictive_draws(
    fitted: Fitted, log10_flop: float, *, model_family: str | None = None, seed: int = 0
) -> Floats:
    """Draws (S,) of a new model's value at `log10_flop`, shapes pooled by weight, on the data's scale."""
    x = np.array([log10_flop - fitted.data.centre])
    rng = np.random.default_rng(np.random.SeedSequence(seed))
    parts = []
    for shape, fit, weight in zip(fitted.shapes, fitted.posteriors, fitted.weight, strict=True):
        size = round(float(weight) * fitted.n_draws)
        if size == 0:
            continue
        shift = shifts(fit.z, shape, fitted.data, model_family, "new_model", rng)
        parts.append(latent.curve(fit.z, shape, fitted.data, x, shift)[:size, 0])
    return np.concatenate(parts)


def predict_model(
    points: Points,
    model: str,
    flops: float,
    *,
    as_of: str,
    model_family: str | None = None,
    shapes: tuple[str, ...] | None = None,
    n_draws: int = 2000,
    seed: int = 0,
) -> Prediction:
    """Predict a model that has not been measured. Raises DataError where it is among the points already."""
    if model in set(points.frame["model"]):
        raise DataError(f"{printable(model)} is measured already: a prediction made now would not be one")
    if not (flops > 0 and math.isfinite(flops)):
        raise DataError(f"training FLOP of {printable(model)} must be positive and finite")
    fitted = fit_shapes(curve_data(points), shapes=shapes, n_draws=n_draws, seed=seed)
    draws = predictive_draws(fitted, math.log10(flops), model_family=model_family, seed=seed)
    draws = -draws if points.falls else draws
    q05, q25, q50, q75, q95 = (float(q) for q in np.quantile(draws, [0.05, 0.25, 0.5, 0.75, 0.95]))
    if points.scale == "log2":
        q05, q25, q50, q75, q95 = (2.0**q for q in (q05, q25, q50, q75, q95))
    return Prediction(
        model,
        points.family,
        points.metric,
        points.scale,
        flops,
        q50,
        q05,
        q25,
        q75,
        q95,
        as_of,
        points.sha256,
        points.simulated,
        seed,
    )


@dataclass
class Ledger:
    """An open ledger. `lines` are what the file held and what this process appended; nothing is ever rewritten."""

    path: Path
    lines: list[dict[str, object]]

    @classmethod
    def open(cls, path: Path | str) -> Ledger:
        """Read and verify a ledger; a missing file is an empty one. Raises EvidenceError naming the broken line."""
        return cls(Path(path), read_lines(path))

    @property
    def head(self) -> str:
        """Hash of the last line; 64 zeros for an empty ledger."""
        return str(self.lines[-1]["hash"]) if self.lines else GENESIS

    def add_forecast(self, forecast: Forecast) -> None:
        """Append a forecast with its inputs' hash and its own."""
        body = finite(forecast.as_dict())
        whole = hashlib.sha256(canonical(body).encode()).hexdigest()
        keep = ("subject", "family", "metric", "event", "threshold", "status", "log10_c", "date", "as_of")
        brief = {k: body[k] for k in (*keep, "input_sha256", "simulated", "seed")}
        self._append({"kind": "forecast", **brief, "forecast_sha256": whole})

    def add_prediction(self, prediction: Prediction, points: Points) -> None:
        """Append a prediction that is still to be scored. Raises DataError where its inputs are others."""
        if prediction.input_sha256 != points.sha256:
            raise DataError("the prediction was made from other points than these")
        self._append({"kind": "prediction", **asdict(prediction), "actual": None})

    def score(self, points: Points, *, as_of: str) -> int:
        """Score every open prediction whose model is now among `points`; returns how many were scored."""
        values = dict(zip(points.frame["model"], points.frame["value"].astype(float), strict=True))
        count = 0
        for line in self.open_predictions():
            same = (line["metric"], line["family"], line["simulated"]) == (
                points.metric,
                points.family,
                points.simulated,
            )
            if not same or line["model"] not in values:
                continue
            actual = values[str(line["model"])]
            predicted, low, high = (float(str(line[k])) for k in ("predicted", "q05", "q95"))
            self._append(
                {
                    "kind": "score",
                    "prediction": line["hash"],
                    **{k: line[k] for k in ("model", "family", "metric", "scale", "flops", "simulated")},
                    "predicted": predicted,
                    "actual": actual,
                    "error": error_on_scale(predicted, actual, points.scale),
                    "covered90": bool(low <= actual <= high),
                    "as_of": as_of,
                    "input_sha256": points.sha256,
                }
            )
            count += 1
        return count

    def open_predictions(self) -> list[dict[str, object]]:
        """Predictions without a score, oldest first."""
        done = {line["prediction"] for line in self.lines if line["kind"] == "score"}
        return [line for line in self.lines if line["kind"] == "prediction" and line["hash"] not in done]

    def margin(self, name: str, *, family: str | None = None, q: float = QUANTILE) -> tuple[float, int]:
        """(M, n) of the metric `name`: `margin_of` its past errors toward danger; NaN where n is too small for it."""
        errors = past_errors(self.lines, metric(name), family=family)
        return margin_of(errors, q), len(errors)

    def _append(self, body: Mapping[str, object]) -> None:
        line: dict[str, object] = {"schema": SCHEMA, **finite(body), "prev": self.head}
        line["hash"] = digest(line)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as stream:
            stream.write(canonical(line) + "\n")
            stream.flush()
            os.fsync(stream.fileno())
        self.lines.append(line)
