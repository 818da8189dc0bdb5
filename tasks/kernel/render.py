"""Records in four renderings. The content is the same: only the `rendering` twin changes the form."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping

STYLES = ("line", "json", "prose", "table")


def record(name: str, fields: Mapping[str, object], style: str = "line") -> str:
    """One record as `name: key value, key value`, as JSON, as prose, or as a two-row table."""
    if style == "json":
        return json.dumps({"id": name, **fields})
    if style == "prose":
        return f"For {name}, " + "; ".join(f"the {k} is {v}" for k, v in fields.items()) + "."
    if style == "table":
        head = " | ".join(["id", *fields])
        row = " | ".join([name, *map(str, fields.values())])
        return f"{head}\n{row}"
    return f"{name}: " + ", ".join(f"{k} {v}" for k, v in fields.items())


def style_for(twin: str, rng: random.Random) -> str:
    """`line`, but for the `rendering` twin one of the others."""
    return rng.choice(STYLES[1:]) if twin == "rendering" else STYLES[0]
