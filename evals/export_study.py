"""A study in the words of other runners, so that a team on Kubernetes runs the same cells: `inspect-flow` and `hawk`.

Tasks go by registry name with the arguments that `run` gives them, so that `dangercurve ingest` reads the logs into cells
of the same comparability. What the other runner cannot hold (caps of the whole study, a private salt's file) is named in
`notes` and at the head of the file, never dropped silently.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import yaml

from dangercurve._errors import ConfigError
from dangercurve._version import __version__
from dangercurve.evals.engines.scheduler import OWN_PROVIDERS
from dangercurve.evals.study import Batch, Cell, Study, cells_of

Runner = Literal["flow", "hawk"]
RUNNERS: tuple[Runner, ...] = ("flow", "hawk")


@dataclass(frozen=True)
class Exported:
    """Files of another runner, in order: one for flow; for hawk, which crosses all its tasks with all its models, one a set
    of models that play the same cells under the same epochs."""

    texts: tuple[str, ...]
    notes: tuple[str, ...]


def export_study(study: Study, to: Runner, package: str = "") -> Exported:
    """The study for `to`. `package`: what is installed there, by default this version of dangercurve.

    Raises ConfigError for what the other runner has no words for and that would change what is measured.
    """
    spec = package or f"dangercurve=={__version__}"
    notes = _notes(study)
    cells = cells_of(study)
    configs = [_flow(study, cells, spec)] if to == "flow" else _hawk(study, cells, spec)
    head = f"# Study {study.name} for {'inspect-flow' if to == 'flow' else 'hawk'}, written by dangercurve {__version__}.\n"
    head += "".join(f"# {note}\n" for note in notes)
    return Exported(
        tuple(head + yaml.safe_dump(config, sort_keys=False, width=110) for config in configs), tuple(notes)
    )


def _notes(study: Study) -> list[str]:
    limits, notes = study.limits, []
    caps = [name for name in ("tokens", "usd", "wall_s") if getattr(limits, name) is not None]
    if caps:
        notes.append(
            f"limits.{', limits.'.join(caps)}: caps of the whole study are held by `dangercurve run` alone"
        )
    if study.salt != "dev":
        notes.append(f"salt {study.salt}: that file must lie at the same path on every worker")
    if study.shard:
        notes.append("shard: each shard is a task of its own")
    return notes


def generation(study: Study, cell: Cell) -> dict[str, object]:
    """Inspect's generation settings of a cell that are part of what is measured, and its share of connections."""
    config: dict[str, object] = cell.sampling.model_dump(exclude_none=True)
    if cell.effort is not None:
        config["reasoning_effort"] = cell.effort
    if study.batch:
        config["batch"] = study.batch.config() if isinstance(study.batch, Batch) else True
    elif not cell.model.startswith(OWN_PROVIDERS):
        config["attempt_timeout"] = study.limits.call_s
    if cell.max_connections is not None:
        config["max_connections"] = cell.max_connections
    return config


def _flow(study: Study, cells: list[Cell], package: str) -> dict[str, object]:
    tasks = []
    for cell in cells:
        model: dict[str, object] = {"name": cell.model}
        if config := generation(study, cell):
            model["config"] = config
        if cell.model_args:
            model["model_args"] = dict(cell.model_args)
        task: dict[str, object] = {
            "name": f"dangercurve/{cell.task}",
            "args": cell.task_args(study.salt),
            "model": model,
            "epochs": cell.epochs,
        }
        if study.roles:
            task["model_roles"] = dict(study.roles)
        if study.limits.output_tokens:
            task["token_limit"] = f"output:{study.limits.output_tokens}"
        tasks.append(task)
    return {
        "log_dir": f"logs/{study.name}",
        "dependencies": {"additional_dependencies": [package]},
        "options": {
            "fail_on_error": False,
            "continue_on_fail": True,
            "retry_on_error": 2,
            "log_format": "eval",
        },
        "tasks": tasks,
    }


def _hawk(study: Study, cells: list[Cell], package: str) -> list[dict[str, object]]:
    if study.limits.output_tokens:
        raise ConfigError(
            "hawk's token_limit counts what is read too: limits.output_tokens has no counterpart there; export to flow"
        )
    groups: dict[object, tuple[list[dict[str, object]], dict[str, dict[str, object]], int]] = {}
    by_model: dict[object, list[Cell]] = {}
    for cell in cells:
        by_model.setdefault(cell.group(), []).append(cell)
    for own in by_model.values():
        first = own[0]
        if first.model_args:
            raise ConfigError(f"{first.model}: hawk has no model arguments; export to flow")
        items: list[dict[str, object]] = [{"name": c.task, "args": c.task_args(study.salt)} for c in own]
        model: dict[str, object] = {"name": first.model}
        if config := generation(study, first):
            model["args"] = {"config": config}
        key = repr((items, first.epochs))
        held = groups.get(key)
        # one model under two settings needs two files: hawk would give both logs the same name of the model
        while held is not None and first.model in held[1]:
            key += "+"
            held = groups.get(key)
        if held is None:
            held = groups[key] = (items, {}, first.epochs)
        held[1][first.model] = model
    return [
        {
            "name": study.name if len(groups) == 1 else f"{study.name}-{index}",
            "packages": [package],
            "tasks": [{"package": package, "name": "dangercurve", "items": items}],
            "models": [{"package": "inspect-ai", "items": list(models.values())}],
            **_roles(study),
            "epochs": epochs,
        }
        for index, (items, models, epochs) in enumerate(groups.values(), 1)
    ]


def _roles(study: Study) -> Mapping[str, object]:
    if not study.roles:
        return {}
    return {
        "model_roles": {
            role: {"package": "inspect-ai", "items": [{"name": model}]} for role, model in study.roles.items()
        }
    }
