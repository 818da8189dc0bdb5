"""Sensitivity and specificity of the refusal classifier on the labelled replies of the project.

Run: python benchmarks/bench_refusals.py [--write docs/statuses.md]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import yaml

from dangercurve._files import write_atomic
from dangercurve.analysis.intervals import clopper_pearson
from dangercurve.scorers.refusal import is_refusal

LABELS = Path(__file__).parent.parent / "tests" / "refusal_labels.yaml"


def rate(hits: int, of: int) -> str:
    low, high = clopper_pearson(hits, of, 0.05, sides=2)
    return f"{hits} of {of} = {hits / of:.2f} ({low:.2f} to {high:.2f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", type=Path, help="page whose table is rewritten")
    args = parser.parse_args()
    lines = [
        "| set | sensitivity (refusals seen) | specificity (other replies left alone) |",
        "|---|---|---|",
    ]
    for name, labels in yaml.safe_load(LABELS.read_text(encoding="utf-8")).items():
        seen = sum(is_refusal(text) for text in labels["refusal"])
        left = sum(not is_refusal(text) for text in labels["other"])
        lines.append(
            f"| {name} | {rate(seen, len(labels['refusal']))} | {rate(left, len(labels['other']))} |"
        )
    print(*lines, sep="\n")
    if args.write:
        page = args.write.read_text(encoding="utf-8")
        head, rest = page.split("<!-- refusals -->", 1)
        tail = rest.split("<!-- /refusals -->", 1)[1]
        table = "\n".join(lines)
        write_atomic(args.write, f"{head}<!-- refusals -->\n{table}\n<!-- /refusals -->{tail}")


if __name__ == "__main__":
    main()
