"""Errors that are for the reader: what was wrong, where, and what to do. The class decides the exit code."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class DangercurveError(Exception):
    """Base of every error that the user can mend. `str(error)` is one clear line."""

    exit_code = 2


class ConfigError(DangercurveError):
    """A study, policy, record or command line says something that cannot be meant."""


class DataError(DangercurveError, ValueError):
    """A table or a number that an estimator cannot honestly use."""


class EvidenceError(DangercurveError):
    """Evidence that is missing, damaged, stale or not comparable: a gate answers INVALID."""

    exit_code = 4


def did_you_mean(word: str, options: Iterable[str]) -> str:
    """A suggestion to append to an error, or the options where nothing is near: ` (did you mean 'x'?)`."""
    known = sorted(set(options))
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    if near:
        return f" (did you mean '{near[0]}'?)"
    shown = ", ".join(known[:20]) + (", ..." if len(known) > 20 else "")
    return f" (known: {shown})" if known else ""
