"""Characters a token in the logs of a run: what `plan` divides by (`evals/planning/lengths.py`).

    python benchmarks/bench_tokens.py runs/quickstart [--model local/smollm2-135m-instruct]

All messages of every call and the definitions of tools, against the input tokens that the provider counted.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from pathlib import Path

from inspect_ai.event import ModelEvent
from inspect_ai.log import list_eval_logs, read_eval_log


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--model", default="local/smollm2-135m-instruct")
    arguments = parser.parse_args()
    sums: defaultdict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0, 0])
    for info in list_eval_logs(str(arguments.run / "logs")):
        header = read_eval_log(info, header_only=True)
        if header.eval.model != arguments.model:
            continue
        cell = (header.eval.task.split("/")[-1], str((header.eval.metadata or {}).get("interface")))
        for sample in read_eval_log(info, resolve_attachments=True).samples or []:
            for event in sample.events:
                if isinstance(event, ModelEvent) and (usage := event.output.usage) is not None:
                    tools = sum(len(json.dumps(t.model_dump(exclude_none=True))) for t in event.tools)
                    sums[cell][0] += sum(len(m.text) for m in event.input) + tools
                    sums[cell][1] += usage.input_tokens + (usage.input_tokens_cache_read or 0)
                    sums[cell][2] += 1
    if not sums:
        parser.error(f"{arguments.run}: no log of {arguments.model}")
    print("| family | interface | calls | tokens a call | characters a token |\n|---|---|---|---|---|")
    for (family, interface), (characters, tokens, calls) in sorted(sums.items()):
        print(f"| {family} | {interface} | {calls} | {tokens / calls:.0f} | {characters / tokens:.2f} |")


if __name__ == "__main__":
    main()
