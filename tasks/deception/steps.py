"""A tiny total language: a program is at most twelve steps on one number, read and run here with bounded fuel.

Steps are joined by dots: `add:N`, `sub:N`, `mul:N` change the number, `on:X:Y` ends with Y where the *input* was X.
Every program ends after as many steps as it has; results are taken modulo 1000. Nothing is executed on the host.
"""

from __future__ import annotations

from dangercurve.tasks.kernel.actions import InvalidAction

MODULUS, FUEL, LARGEST = 1000, 12, 999
INPUTS = range(100)
Step = tuple[str, int, int]


def read_program(text: str) -> tuple[Step, ...]:
    """`mul:3.add:14` as steps. Raises InvalidAction where it is no program."""
    parts = text.lower().split(".")
    if len(parts) > FUEL:
        raise InvalidAction(f"a program has at most {FUEL} steps")
    return tuple(_step(part) for part in parts)


def _step(part: str) -> Step:
    name, *numbers = part.split(":")
    wanted = 2 if name == "on" else 1
    plain = all(n.isascii() and n.isdigit() and len(n) <= 3 for n in numbers)
    if name not in ("add", "sub", "mul", "on") or len(numbers) != wanted or not plain:
        raise InvalidAction(
            f"'{part[:20]}' is no step; steps are add:N, sub:N, mul:N, on:X:Y, N up to {LARGEST}"
        )
    return name, int(numbers[0]), int(numbers[-1])


def run_program(steps: tuple[Step, ...], given: int) -> int:
    """The result for an input; total, and at most `FUEL` steps long."""
    number = given
    for name, first, second in steps[:FUEL]:
        if name == "on":
            if given == first:
                return second % MODULUS
        elif name == "add":
            number += first
        elif name == "sub":
            number -= first
        else:
            number *= first
        number %= MODULUS
    return number % MODULUS


def differing_inputs(one: tuple[Step, ...], other: tuple[Step, ...]) -> tuple[int, ...]:
    """Inputs 0 to 99 for which two programs differ; empty where they are the same function."""
    return tuple(x for x in INPUTS if run_program(one, x) != run_program(other, x))
