"""The forecast ledger: append-only, chained, scored when the model arrives."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from dangercurve._errors import DataError, EvidenceError
from dangercurve.analysis.ledger import GENESIS, Ledger, error_on_scale, predict_model
from dangercurve.analysis.points import Points

ONE: dict[str, Any] = {"shapes": ("logistic",)}


def points(n: int = 8) -> Points:
    x = np.linspace(20.5, 23.5, n)
    frame = pd.DataFrame(
        {
            "model": [f"m{i}" for i in range(n)],
            "model_family": "f",
            "flops": 10**x,
            "flop_log10_sd": 0.0,
            "value": 1 / (1 + np.exp(-(x - 23))),
            "se": np.nan,
            "n": 200.0,
            "missing": 0.0,
            "release_date": pd.NaT,
        }
    )
    return Points(frame, "success_rate", "logit", 0.0, family="ops_horizon")


def arrived(base: Points, value: float) -> Points:
    new = base.frame.iloc[[-1]].assign(model="next", flops=1e24, value=value)
    return replace(base, frame=pd.concat([base.frame, new], ignore_index=True))


def test_a_prediction_is_scored_once_when_its_model_arrives(tmp_path: Path) -> None:
    book = Ledger.open(tmp_path / "forecast_ledger.jsonl")
    now = points()
    prediction = predict_model(now, "next", 1e24, as_of="2026-01-01", n_draws=300, **ONE)
    assert prediction.q05 < prediction.predicted < prediction.q95
    book.add_prediction(prediction, now)
    assert book.score(now, as_of="2026-02-01") == 0 and len(book.open_predictions()) == 1
    later = arrived(now, 0.9)
    assert book.score(later, as_of="2026-03-01") == 1
    assert book.score(later, as_of="2026-04-01") == 0 and book.open_predictions() == []
    line = book.lines[-1]
    assert line["actual"] == 0.9 and line["error"] == pytest.approx(
        error_on_scale(prediction.predicted, 0.9, "logit")
    )
    assert Ledger.open(book.path).lines == book.lines


def test_a_changed_or_cut_line_breaks_the_chain_and_names_itself(tmp_path: Path) -> None:
    book = Ledger.open(tmp_path / "l.jsonl")
    now = points()
    for name in ("a", "b"):
        book.add_prediction(predict_model(now, name, 1e24, as_of="2026-01-01", n_draws=200, **ONE), now)
    text = book.path.read_text()
    book.path.write_text(text.replace('"model":"a"', '"model":"c"'))
    with pytest.raises(EvidenceError, match=r"l\.jsonl:1"):
        Ledger.open(book.path)
    book.path.write_text(text.splitlines()[1] + "\n")
    with pytest.raises(EvidenceError, match="chain"):
        Ledger.open(book.path)
    book.path.write_text("not json\n")
    with pytest.raises(EvidenceError, match="no JSON"):
        Ledger.open(book.path)


def test_the_margin_is_an_order_statistic_of_errors_and_unknown_while_few(tmp_path: Path) -> None:
    book = Ledger.open(tmp_path / "l.jsonl")
    now = points()
    base = predict_model(now, "next", 1e24, as_of="2026-01-01", n_draws=200, **ONE)
    assert book.head == GENESIS and book.margin("success_rate")[1] == 0
    for i in range(9):
        book.add_prediction(replace(base, model=f"n{i}", predicted=0.5), now)
    frame = pd.concat(
        [now.frame]
        + [now.frame.iloc[[-1]].assign(model=f"n{i}", value=1 / (1 + np.exp(-0.1 * i))) for i in range(9)],
        ignore_index=True,
    )
    assert book.score(replace(now, frame=frame), as_of="2026-02-01") == 9
    margin, n = book.margin("success_rate")
    assert n == 9 and margin == pytest.approx(0.8)
    assert np.isnan(book.margin("success_rate", q=0.99)[0])


def test_a_model_already_measured_cannot_be_predicted() -> None:
    with pytest.raises(DataError, match="measured already"):
        predict_model(points(), "m0", 1e24, as_of="2026-01-01")


def test_lines_are_one_json_object_each(tmp_path: Path) -> None:
    book = Ledger.open(tmp_path / "l.jsonl")
    now = points()
    book.add_prediction(predict_model(now, "x\ny", 1e24, as_of="2026-01-01", n_draws=200, **ONE), now)
    lines = book.path.read_text().splitlines()
    assert len(lines) == 1 and json.loads(lines[0])["actual"] is None
