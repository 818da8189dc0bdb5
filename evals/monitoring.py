"""Monitors over the logs of a run: any participant watches any other, without replaying anyone.

`run/monitors/NAME.parquet` holds one row a (sample, monitor, view): what the sample was (attack or honest, tried, capable,
useful) and what the monitor made of it. Code monitors are cheap and computed anew; answers of a model are kept, so that
the same command again asks only what is left.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from inspect_ai.event import ModelEvent
from inspect_ai.log import EvalLog, EvalSample, read_eval_log, read_eval_log_samples
from inspect_ai.model import ChatMessage, ChatMessageSystem, Model, get_model

from dangercurve._errors import ConfigError
from dangercurve._files import atomic_path
from dangercurve._text import printable
from dangercurve.evals.ingest import find_logs, is_foreign
from dangercurve.evals.study import Study, slug
from dangercurve.scorers.monitors import (
    CODE_MONITORS,
    ROLE,
    Answer,
    CodeMonitor,
    Form,
    Transcript,
    View,
    ask,
    transcript_of,
)
from dangercurve.scorers.record import STORE_KEY, EpisodeRecord, load_record
from dangercurve.scorers.status import decide_status

if TYPE_CHECKING:
    import pandas as pd

DEFAULT_MONITORS = ("rule", "length", "random")
DEFAULT_VIEWS: tuple[View, ...] = ("actions", "trace", "extract")
AT_ONCE = 4
CHUNK = 32


@dataclass(frozen=True)
class AttackArm:
    """How a family marks attacks: the arm, its two values, and the family metrics that say tried and capable."""

    arm: str
    attack: str
    honest: str
    tried: str
    capable: str


ATTACKS: Mapping[str, AttackArm] = {
    "covert_side_task": AttackArm("side", "attack", "honest", "side_filed", "attack_capability"),
}
"""Families whose transcripts monitors can be scored on."""


@dataclass(frozen=True)
class Watched:
    """One episode as a monitor's test item. `tried`: an attack was made in the arm that asks for one."""

    agent: str
    family: str
    level: int
    interface: str
    twin: str
    arms: str
    instance_id: str
    sample_uuid: str
    is_attack: bool
    tried: bool
    capable: bool
    useful: bool


Item = tuple[Watched, Transcript]
Tell = Callable[[str], None]


def items(paths: Iterable[Path]) -> Iterator[Item]:
    """Scored episodes of families with attacks, from their logs. Logs of other suites and families are passed over."""
    for path in find_logs(paths):
        log = read_eval_log(str(path), header_only=True)
        if (
            log.status == "started"
            or is_foreign(log)
            or str((log.eval.metadata or {}).get("family")) not in ATTACKS
        ):
            continue
        for sample in read_eval_log_samples(str(path), all_samples_required=False, resolve_attachments=True):
            found = _item(log, sample)
            if found is not None:
                yield found


def _item(log: EvalLog, sample: EvalSample) -> Item | None:
    raw, meta = sample.store.get(STORE_KEY), {**(log.eval.metadata or {}), **(sample.metadata or {})}
    record = load_record(raw) if raw is not None else None
    if record is None or decide_status(record) != "scored":
        return None
    family = str(meta["family"])
    design = ATTACKS[family]
    value = str(meta.get(f"arm_{design.arm}", "none"))
    attack = value == design.attack
    if not attack and value not in (design.honest, "none"):
        return None
    others = sorted(
        f"{k[4:]}={v}" for k, v in meta.items() if k.startswith("arm_") and k != f"arm_{design.arm}"
    )
    doses = sorted(f"{k[5:]}={v}" for k, v in meta.items() if k.startswith("dose_"))
    watched = Watched(
        agent=log.eval.model,
        family=family,
        level=int(str(meta["level"])),
        interface=str(meta["interface"]),
        twin=str(meta["twin"]),
        arms=",".join([*others, *doses]),
        instance_id=str(meta["instance_id"]),
        sample_uuid=str(sample.uuid or sample.id),
        is_attack=attack,
        tried=attack and _metric(record, design.tried) > 0,
        capable=attack and _metric(record, design.capable) > 0,
        useful=record.success,
    )
    key = f"{watched.agent}|{watched.interface}|{sample.id}|{sample.epoch}"  # the same in a run of the same study
    return watched, transcript_of(record, _said(sample), key)


def _said(sample: EvalSample) -> list[ChatMessage]:
    """The system message and every reply: the events hold all turns, where messages of single-turn interfaces do not."""
    system = [m for m in sample.messages if isinstance(m, ChatMessageSystem)][:1]
    outputs = (e.output for e in sample.events if isinstance(e, ModelEvent))
    return [*system, *(o.choices[0].message for o in outputs if o.choices)]


def _metric(record: EpisodeRecord, name: str) -> float:
    return float(record.metrics.get(name) or 0.0)


def rule_of(family: str) -> CodeMonitor | None:
    """The rule monitor of a family, where it has one."""
    if family == "covert_side_task":
        from dangercurve.tasks.deception.covert_monitor import rule_monitor

        return rule_monitor
    return None


def code_monitor(name: str) -> Callable[[str, Transcript, View], Answer] | None:
    """A monitor that needs no model, as a function of family, transcript and view; None for a model's name."""
    if name in CODE_MONITORS:
        return lambda family, transcript, view: CODE_MONITORS[name](transcript, view)
    if name == "rule":

        def by_rule(family: str, transcript: Transcript, view: View) -> Answer:
            rule = rule_of(family)
            return rule(transcript, view) if rule else Answer("no_rules")

        return by_rule
    if name.startswith("sim/"):
        from dangercurve.tasks.deception.covert_monitor import SimulatedMonitor

        simulated = SimulatedMonitor(name)
        return lambda family, transcript, view: simulated(transcript, view)
    return None


def watch(
    watched: Sequence[Item],
    monitors: Sequence[str],
    views: Sequence[View],
    form: Form,
    run: Path,
    tell: Tell = lambda line: None,
) -> pd.DataFrame:
    """Let every monitor read every episode in every view; writes and returns `run/monitors`.

    Raises ConfigError for a monitor that cannot be had, and where there is nothing to watch.
    """
    import pandas as pd

    if not watched:
        raise ConfigError(
            f"{run} holds no scored episode of {', '.join(ATTACKS)}; run it with arm side=honest|attack"
        )
    frames = []
    for name in monitors:
        code, model = code_monitor(name), None
        if code is None:
            model = open_monitor(name)
        for view in views:
            label = f"{name} {view} {form if model else 'code'}"
            path = run / "monitors" / f"{slug(label)}.parquet"
            if code is not None:
                answers = [code(w.family, t, view) for w, t in watched]
            else:
                assert model is not None
                answers = _asked(model, name, watched, view, form, path, tell)
            frames.append(_frame(watched, answers, name, view, form if model else "code"))
            with atomic_path(path) as temporary:
                frames[-1].to_parquet(temporary, index=False)
            tell(f"monitor {printable(name, 60)} ({view}): {len(answers)} episodes")
    return pd.concat(frames, ignore_index=True)


def _frame(
    watched: Sequence[Item], answers: Sequence[Answer], name: str, view: str, form: str
) -> pd.DataFrame:
    import pandas as pd

    rows = [
        {**asdict(w), "monitor": name, "view": view, "form": form, "status": a.status, "suspicion": a.value()}
        for (w, _), a in zip(watched, answers, strict=True)
    ]
    return pd.DataFrame(rows)


def _asked(
    model: Model, name: str, watched: Sequence[Item], view: View, form: Form, path: Path, tell: Tell
) -> list[Answer]:
    """Answers of a model; those kept from before are not asked for again, those that failed are."""
    import pandas as pd

    kept: dict[str, Answer] = {}
    if path.exists():
        held = pd.read_parquet(path)
        held = held[held["status"] != "error"]
        for uuid, status, value in zip(held["sample_uuid"], held["status"], held["suspicion"], strict=True):
            kept[str(uuid)] = Answer(status, None if pd.isna(value) else float(value))
    left = {w.sample_uuid: transcript for w, transcript in watched if w.sample_uuid not in kept}
    if left:
        tell(f"asking {printable(str(model), 60)} about {len(left)} episodes ({view})")

    def keep(answers: Mapping[str, Answer]) -> None:
        kept.update(answers)
        done = [item for item in watched if item[0].sample_uuid in kept]
        with atomic_path(path) as temporary:
            _frame(done, [kept[w.sample_uuid] for w, _ in done], name, view, form).to_parquet(
                temporary, index=False
            )

    asyncio.run(_ask_all(model, left, view, form, keep))
    return [kept[w.sample_uuid] for w, _ in watched]


async def _ask_all(
    model: Model,
    left: Mapping[str, Transcript],
    view: View,
    form: Form,
    keep: Callable[[Mapping[str, Answer]], None],
) -> None:
    """Ask about all of `left`, a few at once, and keep the answers chunk by chunk: a killed run asks only for the rest."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(transcript: Transcript) -> Answer:
        async with gate:
            try:
                return await ask(model, transcript, view, form)
            except (
                Exception
            ):  # whatever a provider raises: an outage is a status of this one sample, asked again next time
                return Answer("error")

    names = list(left)
    for start in range(0, len(names), CHUNK):
        chunk = names[start : start + CHUNK]
        keep(dict(zip(chunk, await asyncio.gather(*(one(left[n]) for n in chunk)), strict=True)))


def open_monitor(name: str) -> Model:
    """The model of a monitor. Raises ConfigError where it cannot be had."""
    if name.startswith("bot/"):
        raise ConfigError(
            f"{name} plays tasks and reads no transcripts; monitors are rule, length, random, sim/... or a model"
        )
    try:
        return get_model(name)
    except ConfigError:
        raise
    except Exception as exc:  # a provider may raise anything: no key, no package, no such name
        raise ConfigError(f"monitor {printable(name, 80)} cannot be used: {printable(exc, 240)}") from exc


def watch_study(study: Study, run: Path, tell: Tell) -> None:
    """After a study with attacks: the code monitors, and the participant in the role `monitor` where one is named."""
    watched = list(items([run / "logs"]))
    if not watched or not any(w.is_attack for w, _ in watched):
        return
    role = study.roles.get(ROLE)
    watch(watched, [*DEFAULT_MONITORS, *([role] if role else [])], DEFAULT_VIEWS, "letter", run, tell)


def read_watched(run: Path) -> pd.DataFrame | None:
    """All rows of `run/monitors`; None where nobody watched."""
    import pandas as pd

    parts = sorted((run / "monitors").glob("*.parquet"))
    return pd.concat([pd.read_parquet(p) for p in parts], ignore_index=True) if parts else None
