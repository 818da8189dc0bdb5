"""The lines of a forecast ledger and the margin that past errors earn; light, since a gate reads it at start-up.

The writing and scoring half is `analysis.ledger`.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path

from dangercurve._errors import ConfigError, EvidenceError
from dangercurve._text import printable
from dangercurve.analysis.registry import Metric, Scale, to_scale

SCHEMA = 1
GENESIS = "0" * 64
QUANTILE = 0.9
Line = dict[str, object]


def read_lines(path: Path | str) -> list[Line]:
    """Every line of a ledger, its hash chain checked; a missing file is an empty ledger.

    Raises EvidenceError naming file and line for what is no line of a ledger, was changed, or follows a gap.
    """
    source = Path(path)
    if not source.exists():
        return []
    try:
        texts = source.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as exc:
        raise EvidenceError(f"{source.name}: cannot be read: {printable(exc, 80)}") from exc
    lines: list[Line] = []
    previous = GENESIS
    for number, text in enumerate(texts, 1):
        line = _parse(source, number, text)
        if line.get("prev") != previous or line.get("hash") != digest(line):
            raise EvidenceError(f"{source.name}:{number}: the chain is broken here; restore the file")
        previous = str(line["hash"])
        lines.append(line)
    return lines


def past_errors(lines: Iterable[Line], metric: Metric, *, family: str | None = None,
                simulated: bool | None = None) -> list[float]:  # fmt: skip
    """How far each scored prediction of `metric` fell short of the truth toward danger, on the metric's scale.

    A prediction that was too dangerous counts as 0: a gate asks how far beyond the prediction the truth may lie.
    `family` and `simulated` keep only lines that say so. Raises EvidenceError for a score that is no number.
    """
    errors = []
    for line in lines:
        if line.get("kind") != "score" or line.get("metric") != metric.name:
            continue
        if family not in (None, line.get("family")) or simulated not in (None, line.get("simulated")):
            continue
        predicted, actual = line.get("predicted"), line.get("actual")
        try:
            error = error_on_scale(_number(predicted), _number(actual), metric.scale)
        except ConfigError as exc:
            raise EvidenceError(f"a score of {printable(line.get('model'), 60)}: {exc}") from exc
        if not math.isfinite(error):
            raise EvidenceError(
                f"a score of {printable(line.get('model'), 60)}: predicted {printable(predicted, 20)} and actual "
                f"{printable(actual, 20)} must be finite on the {metric.scale} scale"
            )
        errors.append(max(error if metric.direction == "up" else -error, 0.0))
    return errors


def margin_of(errors: Iterable[float], q: float = QUANTILE) -> float:
    """M: the order statistic ceil(q (n + 1)) of `errors`, which a new error exceeds with probability at most 1 - q
    where errors are exchangeable; NaN where there are too few (fewer than nine at q = 0.9)."""
    ranked = sorted(errors)
    rank = math.ceil(q * (len(ranked) + 1))
    return ranked[rank - 1] if 0 < rank <= len(ranked) else math.nan


def error_on_scale(predicted: float, actual: float, scale: Scale) -> float:
    """actual - predicted on the scale (logit, log2, linear); rates are kept 1/1000 away from 0 and 1."""
    if scale == "logit":
        predicted, actual = (min(max(v, 1e-3), 1 - 1e-3) for v in (predicted, actual))
    return to_scale(actual, scale) - to_scale(predicted, scale)


def finite(body: Mapping[str, object]) -> Line:
    """`body` with NaN and infinities as null."""

    def clean(value: object) -> object:
        if isinstance(value, float) and not math.isfinite(value):
            return None
        if isinstance(value, Mapping):
            return {str(k): clean(v) for k, v in value.items()}
        if isinstance(value, (list, tuple)):
            return [clean(v) for v in value]
        return value

    return {str(k): clean(v) for k, v in body.items()}


def canonical(value: object) -> str:
    """JSON text of one form: sorted keys, no spaces, ASCII."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def digest(line: Mapping[str, object]) -> str:
    """SHA-256 of a line's canonical form without its own `hash`."""
    return hashlib.sha256(canonical({k: v for k, v in line.items() if k != "hash"}).encode()).hexdigest()


def _number(value: object) -> float:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else math.nan


def _parse(source: Path, number: int, text: str) -> Line:
    try:
        line = json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise EvidenceError(f"{source.name}:{number}: no JSON ({printable(exc, 80)})") from exc
    if not isinstance(line, dict) or line.get("schema") != SCHEMA or "kind" not in line:
        raise EvidenceError(f"{source.name}:{number}: not a line of a forecast ledger of schema {SCHEMA}")
    return line
