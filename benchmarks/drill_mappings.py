"""Logs made by the real tasks and scorers of inspect_evals, read through the worked mappings of examples/mappings/.

    pip install inspect-evals==0.26.0 && pip install -e . && python benchmarks/drill_mappings.py

Needs an environment with inspect_evals, and no network: the data set of each task is replaced by a few samples written
here, the sandbox left out, the model and the judge scripted. What is real is the task's name and version, its scorer,
and the shape of the log. Writes the scores that came out to tests/mapping_shapes.yaml, against which the mappings are
tested without inspect_evals, and prints how each sample was read.
"""

from __future__ import annotations

import argparse
import importlib
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest.mock import patch

import yaml
from inspect_ai import Task
from inspect_ai import eval as play
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.log import EvalLog, read_eval_log_sample_summaries
from inspect_ai.model import ChatMessage, Model, ModelOutput, ModelUsage, get_model
from inspect_ai.solver import generate

from dangercurve._files import write_atomic
from dangercurve.evals.ingest import ingest_logs
from dangercurve.evals.mapping import load_mapping, read_scores, task_name

ROOT = Path(__file__).resolve().parents[1]
MAPPINGS = ROOT / "examples" / "mappings"
SUITE = "inspect_evals"
YES, NO, OTHER = "solve", "fail", "other"
Reply = Callable[[str], str]


def model(name: str, reply: Reply) -> Model:
    """A scripted model that answers by what the last message holds."""

    def answer(messages: list[ChatMessage], *_: object) -> ModelOutput:
        text = "\n".join(message.text for message in messages)
        output = ModelOutput.from_content(f"mockllm/{name}", reply(text))
        output.usage = ModelUsage(input_tokens=9, output_tokens=3, total_tokens=12)
        return output

    return get_model(f"mockllm/{name}", custom_outputs=answer)


def wanted(text: str) -> str:
    """Which of the scripted ends a prompt asks for, by the marker that its sample holds."""
    return next((end for end in (YES, NO, OTHER) if f"[{end}]" in text), NO)


def samples(**fields: object) -> MemoryDataset:
    """Three samples, each marked with the end that the scripted model shall come to."""
    made = [
        Sample(id=f"drill-{end}", input=f"A question of the drill [{end}]", **fields)  # type: ignore[arg-type]
        for end in (YES, NO, OTHER)
    ]
    return MemoryDataset(made)


def subject(yes: str, no: str, other: str) -> Model:
    """The model under test."""
    said = {YES: yes, NO: no, OTHER: other}
    return model("subject", lambda text: said[wanted(text)])


def module(path: str) -> object:
    """A module of inspect_evals."""
    return importlib.import_module(f"{SUITE}.{path}")


Case = tuple[str, Callable[[], Task], Model, str]


def cases() -> Iterator[Case]:
    """(mapping file, the task, the model under test, what was replaced)."""
    mcq = subject("ANSWER: A", "ANSWER: B", "I will not say.")
    four = samples(choices=["one", "two", "three", "four"], target="A")
    wmdp = module("wmdp.wmdp")

    def cyber() -> Task:
        with patch.object(wmdp, "hf_dataset", lambda **_: four):
            return wmdp.wmdp_cyber()  # type: ignore[attr-defined,no-any-return]

    yield "misuse-proxy", cyber, mcq, "data set"

    reject = module("strong_reject.strong_reject")
    rubric = {YES: "1.b 0\n2.b 5\n3.b 5", NO: "1.b 1\n2.b 1\n3.b 1", OTHER: "no scores"}
    judge = model("judge", lambda text: f"#scores\n{rubric[wanted(text)]}")

    def strong_reject() -> Task:
        with patch.object(reject, "load_csv_dataset", lambda **_: samples(target="N/A")):
            return reject.strong_reject(judge_llm=judge)  # type: ignore[attr-defined,no-any-return]

    yield (
        "misuse-proxy",
        strong_reject,
        subject("Sure. [solve]", "No. [fail]", "Hm. [other]"),
        "data set, judge",
    )

    harm = module("agentharm.agentharm")
    refuses = model("judge", lambda text: f"Answer: {'Yes' if 'I refuse' in text else 'No'}")
    facts = {"grading_function": "drill", "target_functions": [], "category": "drill", "name": "drill"}

    async def drill(meta: dict[str, object], messages: list[ChatMessage]) -> dict[str, float]:
        return {"done": float("it is done" in messages[-1].text)}

    def agent(name: str, functions: str) -> Callable[[], Task]:
        def build() -> Task:
            getattr(harm, functions).drill = drill
            with patch.object(harm, "load_dataset", lambda *_: samples(metadata=dict(facts))):
                task: Task = getattr(harm, name)(refusal_judge=refuses, semantic_judge=refuses)
            return task

        return build

    agents = subject("it is done", "I could not do it", "I refuse")
    yield "misuse-proxy", agent("agentharm", "harmful_grading_functions"), agents, "data set, rubric, judge"
    yield (
        "misuse-proxy",
        agent("agentharm_benign", "benign_grading_functions"),
        agents,
        "data set, rubric, judge",
    )

    misaligned = module("agentic_misalignment.agentic_misalignment")
    for scenario, said in (("murder", YES), ("murder", NO)):
        verdict = model("judge", lambda _, said=said: f"<answer>{'yes' if said == YES else 'no'}</answer>")
        command = "<tool_use:email>4429</tool_use:email>" if said == YES else "I send nothing."
        yield (
            "deception",
            lambda scenario=scenario, verdict=verdict: misaligned.agentic_misalignment(  # type: ignore[attr-defined]
                scenario=scenario, grader_model=verdict
            ),
            model("subject", lambda _, command=command: command),
            "judge",
        )

    stages = module("sad.stages")
    oversight = module("sad.sad")

    def sad() -> Task:
        two = samples(choices=["Yes", "No"], target="A")
        with patch.object(stages, "get_SAD_dataset", lambda *_, **__: two):
            return oversight.sad_stages_oversight()  # type: ignore[attr-defined,no-any-return]

    yield "deception", sad, subject("(A)", "(B)", "Neither."), "data set"

    gaia = module("gaia.gaia")

    def level1() -> Task:
        one = samples(target="seven", metadata={"level": "1"})
        with patch.object(gaia, "gaia_dataset", lambda **_: one):
            return gaia.gaia_level1(sandbox=None, solver=generate())  # type: ignore[attr-defined,no-any-return]

    threat = module("agent_threat_bench.agent_threat_bench")
    idle = model("subject", lambda _: "I have nothing to say.")
    for name in ("memory_poison", "autonomy_hijack", "data_exfil"):
        yield "agent-threat-bench", getattr(threat, f"agent_threat_bench_{name}"), idle, "nothing"

    yield "agentic", level1, subject("seven", "eight", ""), "data set, solver, no sandbox"


def shapes(log: EvalLog, replaced: str, mapping: str) -> dict[str, object]:
    """What a mapping reads of a log, as plain data."""
    rows = [
        {
            "sample": str(summary.id),
            "limit": summary.limit,
            "error": summary.error is not None,
            "scores": {
                name: {"value": score.value, "answer": score.answer, "reason": score.reason}
                for name, score in (summary.scores or {}).items()
            },
        }
        for summary in read_eval_log_sample_summaries(log.location)
    ]
    return {
        "task": task_name(log),
        "version": str(log.eval.task_version),
        "mapping": mapping,
        "replaced": replaced,
        "suite": log.eval.packages.get(SUITE, ""),
        "samples": rows,
    }


def main() -> None:
    """Make the logs, read them, and write their shapes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--out", type=Path, default=ROOT / "tests" / "mapping_shapes.yaml")
    options = parser.parse_args()
    found: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory() as name:
        for number, (mapping, build, under_test, replaced) in enumerate(cases()):
            folder = Path(name) / str(number)
            (log,) = play(
                build(),
                model=under_test,
                log_dir=str(folder),
                display="none",
                log_realtime=False,
                max_connections=1,
            )
            if log.status != "success":
                raise SystemExit(f"{log.eval.task}: {log.status}: {log.error.message if log.error else ''}")
            read = load_mapping(MAPPINGS / f"{mapping}.yaml")
            entry = read.entry_for(log)
            done = ingest_logs([Path(log.location)], folder / "run", mapping=read)
            if entry is None or done.refused:
                raise SystemExit(f"{log.eval.task} {log.eval.task_version}: {done.refused or 'no entry'}")
            shape = shapes(log, replaced, mapping)
            for row, summary in zip(
                shape["samples"],
                read_eval_log_sample_summaries(log.location),
                strict=True,  # type: ignore[call-overload]
            ):
                reading = read_scores(summary, entry)
                row["read"] = {
                    "status": reading.status,
                    "success": reading.success,
                    "competent": reading.competent,
                }
                print(f"{shape['task']} {shape['version']} {row['sample']}: {row['scores']} -> {row['read']}")
            found.append(shape)
    head = "# Written by benchmarks/drill_mappings.py: scores in logs that the real tasks of inspect_evals made.\n"
    write_atomic(options.out, head + yaml.safe_dump(found, sort_keys=False, allow_unicode=True))
    print(f"{options.out.name}: {len(found)} logs, {len({s['task'] for s in found})} tasks")


if __name__ == "__main__":
    main()
