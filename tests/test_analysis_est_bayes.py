"""The hierarchical posterior: gated by its diagnostics, absent with a clear message."""

from __future__ import annotations

import importlib
import importlib.util

import numpy as np
import pytest
from scipy import special

from dangercurve._errors import ConfigError, DataError
from dangercurve.analysis.bayes import Diagnostics, Hierarchical, fit_hierarchical

HAVE_NUMPYRO = importlib.util.find_spec("numpyro") is not None


def bad() -> Hierarchical:
    return Hierarchical(
        {}, 22.0, np.zeros(1), ("f",), Diagnostics(1.2, 30.0, 4, ("R-hat 1.200 is not below 1.01",))
    )


def test_nothing_is_read_off_bad_chains() -> None:
    with pytest.raises(DataError, match=r"not usable: R-hat 1\.200"):
        bad().crossing(0.5)
    with pytest.raises(DataError, match="not usable"):
        bad().curve([22.0])


def test_without_numpyro_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> object:
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(ConfigError, match=r"dangercurve\[bayes\]"):
        fit_hierarchical(np.ones((3, 2)), np.full((3, 2), 2), [20.0, 21.0, 22.0], ["a", "b", "c"])


def test_impossible_counts_are_refused_before_any_sampling() -> None:
    with pytest.raises(DataError, match="successes <= trials"):
        fit_hierarchical(np.full((3, 2), 5), np.full((3, 2), 2), [20.0, 21.0, 22.0], ["a", "b", "c"])


@pytest.mark.skipif(not HAVE_NUMPYRO, reason="the extra `bayes` (NumPyro) is not installed")
def test_short_chains_do_not_pass_the_gate() -> None:
    x = np.linspace(20.5, 24, 4)
    counts = np.round(60 * special.expit(1.5 * (x[:, None] - [[22.0, 23.0]])))
    fit = fit_hierarchical(
        counts, np.full((4, 2), 60), x, list("aabb"), n_warmup=20, n_samples=20, n_chains=1
    )
    assert fit.draws["theta"].shape == (20, 4) and fit.draws["b"].shape == (20, 2)
    assert not fit.diagnostics.ok and fit.diagnostics.ess < 400
