"""Values as strict JSON."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping


def jsonable(value: object) -> object:
    """`value` as strict JSON: NaN and infinities become null, NumPy scalars become numbers."""
    if isinstance(value, Mapping):
        return {str(k): jsonable(v) for k, v in value.items()}
    if isinstance(value, str):
        return value
    if isinstance(value, Iterable):
        return [jsonable(v) for v in value]
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or isinstance(value, (bool, int, float)):
        return value
    return str(value)
