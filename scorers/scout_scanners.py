"""The three scans as inspect-scout scanners (extra `scan`), for `dangercurve scan --engine scout`."""

from __future__ import annotations

from inspect_ai.event import ModelEvent
from inspect_scout import Result, Scanner, Transcript, scanner

from dangercurve.scorers.scanning import said, scan_text


def _scanner(name: str) -> Scanner[Transcript]:
    """Counts in all replies, from the model events: messages alone do not hold every turn of a single-turn interface."""

    async def scan(transcript: Transcript) -> Result:
        outputs = [e.output for e in transcript.events if isinstance(e, ModelEvent)]
        return Result(value=scan_text(said([o.choices[0].message for o in outputs if o.choices]))[name])

    return scan


def _eval_awareness() -> Scanner[Transcript]:
    """How often the participant said that it is being tested."""
    return _scanner("eval_awareness")


def _refusal() -> Scanner[Transcript]:
    """How often the participant refused."""
    return _scanner("refusal")


def _reward_hacking() -> Scanner[Transcript]:
    """How often the participant spoke of, or called for, a score that it did not earn."""
    return _scanner("reward_hacking")


eval_awareness = scanner(events=["model"], name="eval_awareness")(_eval_awareness)
refusal = scanner(events=["model"], name="refusal")(_refusal)
reward_hacking = scanner(events=["model"], name="reward_hacking")(_reward_hacking)
