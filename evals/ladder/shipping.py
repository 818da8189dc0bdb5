"""What a training leaves in the package: the file for llama.cpp, what was measured, and the ModelRecords of the ladder."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import yaml

from dangercurve._errors import DataError
from dangercurve._files import write_atomic

FOLDER = Path(__file__).parent
WEIGHTS, MEMBERS = FOLDER / "weights", FOLDER / "members"
REGISTRY = FOLDER.parent / "registry" / "ladder.yaml"


@dataclass(frozen=True)
class Trained:
    """One training. Losses are nats a token on held-out instances of the member's course, unweighted.

    `flop_counted` is what torch counted for the matrix products of the first step, a token, times the tokens; `flop_6nd` is
    6 x parameters x tokens. A planted member's figures are those of its own fine-tuning. `curve`: (tokens seen, training
    loss of answers, of what is shown), about a hundred points.
    """

    name: str
    role: str
    start: str | None
    params: int
    context: int
    tokens: int
    flop_counted: float
    flop_6nd: float
    data_sha256: str
    loss_answer: float
    loss_shown: float
    by_lesson: dict[str, float]
    seconds: float
    trained_on: str
    """Date of the training."""
    weights_sha256: str
    curve: list[list[float]]


def record(trained: Trained) -> None:
    """Keep what was measured, and write the records of all members anew."""
    MEMBERS.mkdir(exist_ok=True)
    write_atomic(MEMBERS / f"{trained.name}.json", json.dumps(asdict(trained), indent=1) + "\n")
    write_records(read_all())


def read_all() -> list[Trained]:
    """All trained members, by compute. Raises DataError for a file that is none of ours."""
    found = []
    for path in sorted(MEMBERS.glob("*.json")):
        data = json.loads(path.read_text("utf-8"))
        if set(data) != {f.name for f in fields(Trained)}:
            raise DataError(f"{path} is not the record of a training: train the member again")
        found.append(Trained(**data))
    return sorted(found, key=lambda t: (t.flop_counted, t.name))


def write_records(trained: list[Trained]) -> None:
    """`registry/ladder.yaml`: one ModelRecord a member whose file is there."""
    by_name = {t.name: t for t in trained}
    models = []
    for one in trained:
        chain = [one]
        while chain[-1].start is not None:
            chain.append(by_name[chain[-1].start])
        entry: dict[str, object] = {
            "model": f"ladder/{one.name}",
            "params_total": one.params,
            "context_length": one.context,
            "training_tokens": sum(t.tokens for t in chain),
            "training_flop": float(f"{sum(t.flop_counted for t in chain):.4e}"),
            "release_date": one.trained_on,
            "weights_sha256": one.weights_sha256,
        }
        if one.start is not None:
            entry |= {"variant_of": f"ladder/{one.start}", "parents": [f"ladder/{one.start}"]}
        models.append(entry)
    shared = {
        "model_family": "dangercurve ladder",
        "developer": "dangercurve",
        "modality": "episodes",
        "access": "open",
        "flop_method": "counted",
        "flop_log10_sd": 0.0,
        "flop_note": "matrix products of forward and backward pass as torch counts them, attention in full",
        "verified": True,
        "sources": ["dangercurve, evals/ladder/members: counted from the training itself"],
        "models": models,
    }
    head = "# Written by the ladder's training: the project's own small transformers, with exactly known compute.\n"
    write_atomic(REGISTRY, head + yaml.safe_dump(shared, sort_keys=False, allow_unicode=True, width=120))
