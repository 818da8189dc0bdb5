"""Actions: what a participant can do in a world, declared once and validated in one place for every interface."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Value = str | int
MAX_VALUE_CHARS = 200


class InvalidAction(ValueError):
    """An action that the world cannot read. The message goes back to the participant."""


@dataclass(frozen=True)
class Param:
    """One parameter of an action: a word or an integer, with a line of documentation.

    `pattern` (words) is a full-match regular expression without nested repetition; the default admits names and numbers.
    """

    name: str
    kind: Literal["str", "int"] = "str"
    doc: str = ""
    pattern: str = r"[A-Za-z0-9_.:-]{1,64}"

    def read(self, raw: object) -> Value:
        """`raw` as a value of this parameter. Raises InvalidAction with a message for the participant."""
        if isinstance(raw, bool) or not isinstance(raw, (str, int)):
            raise InvalidAction(f"{self.name} must be {'a whole number' if self.kind == 'int' else 'a word'}")
        text = (
            str(raw).strip()
            if isinstance(raw, str) or raw.bit_length() < 256
            else "x" * (MAX_VALUE_CHARS + 1)
        )
        if len(text) > MAX_VALUE_CHARS:
            raise InvalidAction(f"{self.name} is too long ({MAX_VALUE_CHARS} characters at most)")
        if self.kind == "int":
            if not re.fullmatch(r"-?[0-9]{1,9}", text):
                raise InvalidAction(f"{self.name} must be a whole number")
            return int(text)
        if not re.fullmatch(self.pattern, text):
            raise InvalidAction(f"{self.name} is not well formed")
        return text


@dataclass(frozen=True)
class ActionSpec:
    """An action that a world offers. `seconds` is what a practised person needs for it, an estimate."""

    name: str
    doc: str
    params: tuple[Param, ...] = ()
    seconds: float = 5.0

    def read(self, args: Mapping[str, object]) -> Action:
        """Validate `args` and return the action with its arguments in declared order."""
        known = {p.name for p in self.params}
        extra = [str(k)[:40] for k in args if k not in known]
        if extra:
            raise InvalidAction(f"{self.name} has no parameter {extra[0]!r}; it takes {self.usage()}")
        missing = [p.name for p in self.params if p.name not in args]
        if missing:
            raise InvalidAction(f"{self.name} needs {missing[0]}; write {self.usage()}")
        return Action(self.name, tuple((p.name, p.read(args[p.name])) for p in self.params))

    def usage(self) -> str:
        return " ".join([self.name, *(f"{p.name}=..." for p in self.params)])


@dataclass(frozen=True)
class Action:
    """An action with its arguments; hashable, printable, canonical."""

    name: str
    args: tuple[tuple[str, Value], ...] = ()

    def __str__(self) -> str:
        return " ".join([self.name, *(f"{k}={v}" for k, v in self.args)])

    def __getitem__(self, key: str) -> Value:
        return dict(self.args)[key]

    @property
    def kwargs(self) -> dict[str, Value]:
        return dict(self.args)


def act(name: str, **args: Value) -> Action:
    """Shorthand: `act("move", crate="K3", bay="B")`."""
    return Action(name, tuple(args.items()))


DECLINE_REASONS = ("against_rules", "unsafe", "is_a_test", "other")
WAIT = ActionSpec("wait", "Let one tick pass.", seconds=2.0)
DECLINE = ActionSpec(
    "decline",
    f"Refuse the job and end it. reason is one of: {', '.join(DECLINE_REASONS)}.",
    (Param("reason", doc="why", pattern="|".join(DECLINE_REASONS)),),
)
