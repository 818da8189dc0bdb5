"""The published JSON Schemas of policies and verdicts: `python -m dangercurve.evals.gating.schemas docs/schemas`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from dangercurve._files import write_atomic
from dangercurve.evals.gating.verdict import SCHEMA, Verdict
from dangercurve.evals.policy import Policy

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schemas() -> dict[str, str]:
    """File name to JSON text, as the models say it now."""
    policy = {
        "$schema": DIALECT,
        "title": "dangercurve policy, version 1",
        **_body(Policy.model_json_schema()),
    }
    verdict = {
        "$schema": DIALECT,
        "title": f"dangercurve verdict, schema {SCHEMA}",
        **_body(Verdict.model_json_schema(by_alias=True, mode="serialization")),
    }
    return {
        name: json.dumps(data, indent=2, sort_keys=True) + "\n"
        for name, data in (("policy.schema.json", policy), ("verdict.schema.json", verdict))
    }


def _body(schema: dict[str, object]) -> dict[str, object]:
    return {key: value for key, value in schema.items() if key != "title"}


def main(folder: Path) -> None:
    """Write the schemas into `folder`."""
    for name, text in schemas().items():
        print(f"wrote {write_atomic(folder / name, text)}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "docs/schemas"))
