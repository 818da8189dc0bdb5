"""A hostile model against the whole pipeline, at length: every attack in every interface and several families, resource
bombs with their time and memory, expressions against text made for them, flags of undisturbed runs.

    python benchmarks/drill_hostile.py            # writes docs/hostile-outputs.md
    python benchmarks/drill_hostile.py --part bombs

Each part exits with an error where a stated bound or an equality does not hold.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))
PAGE = ROOT / "docs" / "hostile-outputs.md"
FAMILIES = ("ops_horizon", "toy_vuln")
MAX_SECONDS, MAX_MIB, MAX_EXPRESSION = 20.0, 1500, 0.5
MIB = 2**20
QUIET_RUNS = 2000


class Failure(SystemExit):
    """A bound or an equality that does not hold."""


# --- part 1: every attack, every interface, several families ------------------------------------------------------------


def child(folder: Path, mode: str, family: str) -> dict[str, Any]:
    out = folder / f"{family}-{mode}"
    if (out / "result.json").is_file():  # of a drill that was broken off
        kept: dict[str, Any] = json.loads((out / "result.json").read_text())
        return kept
    for part in ("home", "tmp"):
        (out / part).mkdir(parents=True)
    environment = {**os.environ, "HOME": str(out / "home"), "TMPDIR": str(out / "tmp"),
                   "PYTHONPATH": str(ROOT / "tests"), "PYTHONDONTWRITEBYTECODE": "1"}  # fmt: skip
    environment |= {
        n: str(out / "home") for n in ("XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME")
    }
    done = subprocess.run(
        [*network_away(), sys.executable, str(ROOT / "tests" / "hostile_child.py"), str(out), mode, "full",
         f"family={family}"],
        capture_output=True, text=True, env=environment, cwd=folder, check=False,
    )  # fmt: skip
    if done.returncode:
        raise Failure(f"{family} {mode}: {done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads((out / "result.json").read_text())
    return found


def network_away() -> tuple[str, ...]:
    for command in (("unshare", "-n"), ("unshare", "-rn")):
        if (
            shutil.which("unshare")
            and not subprocess.run([*command, "true"], capture_output=True, check=False).returncode
        ):
            return command
    return ()


def attacks() -> list[str]:
    """The table of places, attacks and results, which lie in `DRILL_FOLDER` where it is set and are taken from there."""
    from support_hostile import INTERFACES, PLAYED, corpus, played

    places = {e.id: e.place for e in corpus()}
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    others: list[str] = []
    with tempfile.TemporaryDirectory(prefix="hostile-") as name:
        folder = Path(os.environ.get("DRILL_FOLDER", name))
        for family in FAMILIES:
            attack, harmless = child(folder, "attack", family), child(folder, "harmless", family)
            for key, row in attack["rows"].items():
                interface, sample, _, model = key.split(" ")
                entries = played(interface, model, full=True)
                entry = entries[int(sample.split("-")[2]) % len(entries)]
                count = counts[places[entry.id]]
                count["episodes"] += 1
                count[interface] += 1
                if row != harmless["rows"][key]:
                    count["different"] += 1
                    others.append(f"{family} {interface} {entry.id}: {row} for {harmless['rows'][key]}")
            for part in ("verdicts", "estimates", "tree", "own"):
                if attack[part] != harmless[part]:
                    others.append(f"{family}: {part} differ")
            beyond = [e for e in attack["events"] if e not in harmless["events"]]
            beyond += [
                e for e in harmless["events"] if Path(e[1]).name != "git"
            ]  # Inspect asks for the revision
            others += [f"{family}: {x}" for x in (*attack["leaks"], *map(str, beyond), *attack["problems"])]
            if family == "ops_horizon":
                beside(attack, harmless, counts, others)
            print(f"{family}: {len(attack['rows'])} episodes twice, {len(others)} differences", flush=True)
    if others:
        raise Failure("\n".join(others[:40]))
    total = Counter(e.place for e in corpus())
    lines = ["| place | attacks | episodes or files | differ from the harmless text | written outside, started, called |",
             "|---|---|---|---|---|"]  # fmt: skip
    lines += [
        f"| {p} | {total[p]} | {counts[p]['episodes']} | {counts[p]['different']} | 0 |"
        for p in sorted(total)
    ]
    n = sum(total.values())
    lines.append(f"| all | {n} | {sum(c['episodes'] for c in counts.values())} | 0 | 0 |")
    cells = sum(len(played(i, m, full=True)) for i in INTERFACES for m in ("plain", "named"))
    lines += ["", f"{sum(e.via in PLAYED for e in corpus())} entries are replies; they make {cells} pairs of entry and "
              f"interface, each in {len(FAMILIES)} families ({', '.join(FAMILIES)}) and two epochs. "
              f"Network: {'taken away by a namespace' if network_away() else 'watched by the audit hook only'}."]  # fmt: skip
    return lines


def beside(
    attack: dict[str, Any], harmless: dict[str, Any], counts: dict[str, Counter[str]], others: list[str]
) -> None:
    """What is no reply: files beside a run, logs of other suites, readers."""
    from support_hostile import corpus

    for entry in corpus():
        if entry.via == "evidence":
            mine, its = attack["files"][entry.id], harmless["files"][entry.id]
            same = mine["leaks"] == [] and (mine.get("verdict") == its.get("verdict") or mine.get("refused"))
        elif entry.via == "reader":
            said = attack["readers"][entry.id]
            same = said != "read" and said.isprintable()
        elif entry.via != "foreign":
            continue
        else:
            same = attack["foreign"] == harmless["foreign"]
        counts[entry.place]["episodes"] += 1
        counts[entry.place]["different"] += not same
        if not same:
            others.append(f"{entry.via} {entry.id}")


# --- part 2: bombs -------------------------------------------------------------------------------------------------------


def big_bombs() -> dict[str, Callable[[], Any]]:
    from inspect_ai.model import ContentReasoning
    from inspect_ai.tool import ToolCall
    from support_hostile import BOMBS, call, nested, says, shared

    return {
        "256 MiB of text": lambda: says("x" * (256 * MIB)),
        "64 MiB of four-byte characters": lambda: says("\U0001f600" * (16 * MIB)),
        "64 MiB of lone surrogates": lambda: says("\ud800" * (64 * MIB)),
        "256 MiB in an argument": lambda: call({"ticket": "x" * (256 * MIB)}),
        "256 MiB of reasoning": lambda: says([ContentReasoning(reasoning="x" * (256 * MIB))]),
        "10^6 calls in one reply": lambda: says("", [_one(ToolCall)] * 1_000_000),
        "10^5 levels in an argument": lambda: call({"ticket": nested(100_000)}),
        "10^20 nodes by reference": lambda: call({"ticket": shared(19)}),
        "10^6 keys": lambda: call({f"k{i}": i for i in range(1_000_000)}),
        "an integer of 10^6 digits": lambda: call({"ticket": 1 << 3_321_928}),
        "10^5 parts of content": lambda: says([*BOMBS["a picture at an address"]().content] * 100_000),
    }


def _one(kind: Any) -> Any:
    return kind(id="c", function="read", arguments={})


def one_bomb(name: str) -> None:
    """In a child: play a bomb for two samples and print status, seconds and peak memory beyond what it takes to hold it."""
    from inspect_ai import eval as play
    from inspect_ai.log import read_eval_log_sample_summaries
    from inspect_ai.model import ChatCompletionChoice, ModelAPI, ModelOutput, ModelUsage, modelapi

    from dangercurve._registry import ops_horizon
    from dangercurve.evals.ingest import sample_status

    held = big_bombs()[name]()

    class Big(ModelAPI):
        async def count_text_tokens(self, text: str) -> int:
            return 1

        async def generate(self, input: Any, tools: Any, tool_choice: Any, config: Any) -> ModelOutput:
            usage = ModelUsage(input_tokens=1, output_tokens=1, total_tokens=2)
            message = held.model_construct(**dict(held))
            return ModelOutput.model_construct(
                model="big", choices=[ChatCompletionChoice.model_construct(message=message, stop_reason="stop")],
                usage=usage, completion="",
            )  # fmt: skip

    modelapi(name="big")(lambda: Big)
    with tempfile.TemporaryDirectory() as folder:
        task = ops_horizon(level=0, n=2, interface="tools")
        before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
        (log,) = play(
            task, model="big/big", display="none", log_dir=folder, log_realtime=False, fail_on_error=False,
            max_connections=1, max_samples=1, log_level="error",
        )  # fmt: skip
        seconds = time.perf_counter() - start
        peak = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024
        found = sorted({sample_status(s) for s in read_eval_log_sample_summaries(log.location)})
        size = Path(log.location).stat().st_size
    print(json.dumps([log.status, found, seconds, peak, size]))


def bombs() -> list[str]:
    lines = [
        "| one reply | ends as | s for two samples | MiB beyond the reply | log bytes |",
        "|---|---|---|---|---|",
    ]
    failed = []
    for name in big_bombs():
        done = subprocess.run(
            [sys.executable, __file__, "--bomb", name], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise Failure(f"{name}: {done.stderr[-1500:]}")
        status, found, seconds, peak, size = json.loads(done.stdout.strip().split("\n")[-1])
        lines.append(f"| {name} | {', '.join(found)} | {seconds:.1f} | {peak} | {size} |")
        print(lines[-1], flush=True)
        if status != "success" or found != ["format_failure"] or seconds > MAX_SECONDS or peak > MAX_MIB:
            failed.append(lines[-1])
    if failed:
        raise Failure("beyond the bounds:\n" + "\n".join(failed))
    lines += ["", f"Bounds asserted: every reply is a `format_failure`, the log stands, at most {MAX_SECONDS:g} s for two "
              f"samples and {MAX_MIB} MiB beyond the reply itself."]  # fmt: skip
    return lines


# --- part 3: expressions -------------------------------------------------------------------------------------------------

WORSE = (
    "I ", "I cannot ", "I will ", "I going to ", "not ", "a ", "I\n", " ", "\t", "!", "answer ", "answer --", "option is (",
    "ACT ", "ACT a a=b ", "ACT a a = ", "a=", "=", "`", "(A) ", "A", "aA1_", "'", "I can't really ", "my guidelines ",
    "9", "9.", "-", ":59", "\u0301", "\u212a", "\u017f", "declined", "rather not ",
)  # fmt: skip
HEADS = ("", "I ", "I cannot", "ACT ", "ACT aaaa", "answer", "The answer is ", "(", "against ")
ENDS = ("", "!", "\x00", " A", "=", "help", "x")


def expressions() -> list[str]:
    from inspect_ai.model import ModelOutput

    from dangercurve.scorers.monitors import read_answer
    from dangercurve.scorers.refusal import is_refusal
    from dangercurve.tasks.kernel.actions import DECLINE, InvalidAction, Param
    from dangercurve.tasks.kernel.family import family_names, get_family
    from dangercurve.tasks.kernel.interfaces import ChoiceInterface, TextInterface, Turn
    from dangercurve.tasks.kernel.reply import MAX_REPLY_CHARS

    def output(text: str) -> ModelOutput:
        return ModelOutput.from_content("m", text[:MAX_REPLY_CHARS])

    patterns = {
        p.pattern: p for f in map(get_family, family_names()) for s in f.world.all_actions() for p in s.params
    }
    patterns |= {p.pattern: p for p in DECLINE.params}

    def parameters(text: str) -> None:
        for param in (*patterns.values(), Param("n", "int")):
            try:
                param.read(text)
            except InvalidAction:
                continue

    option = Turn("", options=())
    readers: dict[str, Callable[[str], object]] = {
        "text protocol": lambda t: TextInterface().read(output(t), option),
        "choice parser": lambda t: ChoiceInterface()._by_letter(t[:MAX_REPLY_CHARS].strip(), option),
        "refusal classifier": is_refusal,
        f"{len(patterns)} patterns of parameters": parameters,
        "answer of a monitor": lambda t: (read_answer(output(t), "number"), read_answer(output(t), "letter")),
    }
    texts = [h + w * (MAX_REPLY_CHARS // len(w)) + e for h in HEADS for w in WORSE for e in ENDS]
    texts += [h + w * (1900 // len(w)) + e for h in HEADS for w in WORSE for e in ENDS]
    lines = ["| reader | texts | slowest, ms |", "|---|---|---|"]
    for name, read in readers.items():
        worst = 0.0
        for text in texts:
            start = time.perf_counter()
            read(text)
            worst = max(worst, time.perf_counter() - start)
        lines.append(f"| {name} | {len(texts)} | {1000 * worst:.1f} |")
        print(lines[-1], flush=True)
        if worst > MAX_EXPRESSION:
            raise Failure(f"{name}: {worst:.2f} s for one text")
    lines += ["", f"Bound asserted: {1000 * MAX_EXPRESSION:g} ms for one text."]
    return lines


# --- part 4: flags --------------------------------------------------------------------------------------------------------


def flags() -> list[str]:
    from test_anomalies import flags as flagged
    from test_anomalies import seen, undisturbed

    from dangercurve.evals.progress.anomalies import ALPHA

    false: Counter[str] = Counter()
    start, episodes = time.perf_counter(), 0
    for i in range(QUIET_RUNS):
        run = undisturbed(random.Random(f"quiet {i}"))
        episodes += len(run)
        false.update(flagged(run).keys())
    micros = 1e6 * (time.perf_counter() - start) / episodes
    lines = ["| rule | stated, at most | false alarms of 2,000 undisturbed runs | median delay after a change, episodes |",
             "|---|---|---|---|"]  # fmt: skip
    changed: dict[str, Callable[[Any], Any]] = {
        "status_rate": lambda s: seen("infra_error", s.output_tokens, s.seconds, s.stratum),
        "tokens": lambda s: seen(s.status, 3 * s.output_tokens, s.seconds, s.stratum),
        "latency": lambda s: seen(s.status, s.output_tokens, 6 * s.seconds, s.stratum),
    }
    for kind, change in changed.items():
        delays = []
        for i in range(200):
            calm = [s for s in undisturbed(random.Random(f"{kind} {i}"), 600) if s.stratum == "0"]
            found = flagged([*calm[:60], *map(change, calm[60:])])
            delays.append(found.get(kind, 10**6) - 60)
        lines.append(f"| {kind} | {ALPHA:g} | {false[kind]} | {sorted(delays)[100]} |")
        print(lines[-1], flush=True)
        if false[kind] > 3 * ALPHA * QUIET_RUNS + 3:
            raise Failure(f"{kind}: {false[kind]} false alarms")
    lines += ["", "An undisturbed run has 300 episodes on five levels, harder ones longer, refused more often (SIMULATED). "
              "Changes, after 60 episodes of one level: every sample lost, three times the tokens, six times the latency. "
              f"Cost: {micros:.0f} microseconds an episode."]  # fmt: skip
    return lines


PARTS: dict[str, tuple[str, Callable[[], list[str]]]] = {
    "attacks": ("Attacks", attacks),
    "bombs": ("Resource bombs", bombs),
    "expressions": ("Expressions", expressions),
    "flags": ("Live flags", flags),
}
HEAD = """# What a hostile model can write, and what comes of it

Written by `python benchmarks/drill_hostile.py` (`make drills`); the numbers are those of its last run. The corpus is
`tests/hostile/*.yaml`: each entry holds a text, the place that it aims at, and a harmless text of the same meaning. A
participant plays both through the whole pipeline (run, log, ingest, estimates, gate, report and every export) in a child
process without a network and under an audit hook. Rows, estimates, verdicts and the list of files must be equal; no
control character and no markup may reach a reader; nothing outside the run folder may be written, started or called.
The short form of this drill is `tests/test_hostile_model.py`.

Not covered: a provider's own client reads the whole HTTP body before anything of ours sees it, so the size of one reply in
memory is bounded by the provider and by `max_tokens`, not by us; an integer of more than 4,300 digits in the arguments of
a native call is refused by the parser of Inspect's provider and ends as `infra_error`.
"""


def write(part: str, lines: list[str]) -> None:
    """Replace one part of the page; the others stay."""
    old = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""
    sections: dict[str, str] = {}
    for title, _ in PARTS.values():
        body = old.split(f"\n## {title}\n", 1)
        sections[title] = body[1].split("\n## ", 1)[0].strip() if len(body) == 2 else "Not run yet."
    sections[PARTS[part][0]] = "\n".join(lines)
    PAGE.write_text(HEAD + "".join(f"\n## {t}\n\n{b}\n" for t, b in sections.items()), encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--part", choices=list(PARTS), help="one part only")
    parser.add_argument("--bomb", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.bomb:
        one_bomb(options.bomb)
        return
    for part in [options.part] if options.part else list(PARTS):
        write(part, PARTS[part][1]())
    print(f"wrote {PAGE.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
