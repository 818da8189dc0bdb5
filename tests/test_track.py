"""A lineage of assessments: margins, what changed, what is due, what came true; as text, data and page."""

from __future__ import annotations

import datetime as dt
import json
import math
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from dangercurve._errors import ConfigError, DangercurveError, DataError, EvidenceError
from dangercurve.analysis.ledger import Ledger
from dangercurve.analysis.unpaired import difference_of_bounds
from dangercurve.evals.gate import Request, evaluate
from dangercurve.evals.gating.gate_world import KEY, World, policy_text, rate_bounds, write_policy, write_run
from dangercurve.evals.gating.verdict import Margin, canonical, read_verdict
from dangercurve.evals.policy import load_policy
from dangercurve.evals.run_folder import store_digest
from dangercurve.evals.track import Track, find_runs, track
from dangercurve.evals.tracking.forecasts import calibration
from dangercurve.evals.tracking.page import POLICY, render
from dangercurve.evals.tracking.words import data, text
from dangercurve.evals.verbs._common import table
from dangercurve.evals.verbs.track import command

NOW = dt.datetime(2027, 6, 1, tzinfo=dt.UTC)
EVIL = "acme/<script>alert(1)</script>\u202e\x00</style><img src=x onerror=alert(1)>"


def outcomes(wins: int, n: int) -> list[int | None]:
    return [1] * wins + [0] * (n - wins)


def assess(
    folder: Path,
    policy: Path,
    as_of: str,
    success: Sequence[int | None],
    *,
    model: str = "sim/smooth@22",
    simulated: bool = True,
    version: str = "1-A",
    key: str = KEY,
) -> Path:
    """A run folder with its verdict, made by the gate."""
    done = f"{as_of}T00:00:00+00:00"
    world = World(
        model=model, success=success, completed_at=done, simulated=simulated, task_version=version, key=key
    )
    write_run(folder, [world])
    verdict = evaluate(load_policy(policy), folder, Request(model=model, as_of=done))
    (folder / "verdict.json").write_bytes(canonical(verdict))
    return folder


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tail = "triggers: {months: 3, checkpoint: post_training, compute_multiple: 4}\n"
    return write_policy(tmp_path_factory.mktemp("policy") / "policy.yaml", policy_text(tail=tail))


@pytest.fixture(scope="module")
def lineage(tmp_path_factory: pytest.TempPathFactory, policy: Path) -> list[Path]:
    """Ruled out, then reached on the same instances, then another task version."""
    base = tmp_path_factory.mktemp("lineage")
    return [
        assess(base / "a", policy, "2026-11-02", outcomes(0, 100)),
        assess(base / "b", policy, "2026-12-12", outcomes(40, 100), model="sim/smooth@23"),
        assess(
            base / "c",
            policy,
            "2027-03-12",
            outcomes(10, 400),
            model="sim/smooth@24",
            version="2-A",
            key=KEY[::-1],
        ),
    ]


@pytest.fixture(scope="module")
def found(lineage: list[Path]) -> Track:
    return track(lineage[::-1], as_of=NOW)


def changes(found: Track, i: int) -> dict[str, str]:
    return {f"{c.kind}:{c.claim}": c.text for c in found.changes[i]}


# ---- the lineage


def test_assessments_stand_in_time_order_whatever_order_they_are_given_in(found: Track) -> None:
    assert [a.label for a in found.assessments] == ["a", "b", "c"]
    assert [a.verdict.overall.value for a in found.assessments] == ["RULED_OUT", "REACHED", "RULED_OUT"]


def test_margins_are_those_of_the_verdicts(found: Track, lineage: list[Path]) -> None:
    rows = data(found)["assessments"]
    assert isinstance(rows, list)
    for row, folder in zip(rows, lineage, strict=True):
        held = read_verdict(folder / "verdict.json").claims[0]
        claim = row["claims"][0]
        assert claim["margin"] == held.margin.model_dump()
        assert claim["B"] == held.B and claim["T"] == held.T
    assert [row["log10_flop"] for row in rows] == [22, 23, 24]


def test_a_margin_in_compute_counts_from_the_subject_and_not_from_the_largest_model(
    tmp_path: Path, policy: Path
) -> None:
    world = World(success=outcomes(0, 100))
    run = write_run(tmp_path / "r", [world])
    forecast = {
        "family": "toy_vuln", "metric": "success_rate", "threshold": 0.2, "model_scope": "frontier", "status": "identified",
        "log10_c": {"q05": 23.5}, "log10_c_subject": 25.0, "date": {"q05": "2027-11-02"}, "simulated": True,
        "store_digest": store_digest(run),
        "points": [{"model": world.model, "flops": 1e22}, {"model": "sim/smooth@25", "flops": 1e25}],
    }  # fmt: skip
    (run / "forecasts").mkdir()

    def margin(**changes: object) -> Margin:
        (run / "forecasts" / "forecasts.json").write_text(json.dumps([forecast | changes]))
        request = Request(model=world.model, as_of="2026-11-02T00:00:00+00:00")
        return evaluate(load_policy(policy), run, request).claims[0].margin

    assert margin().log10_flop == pytest.approx(1.5) and margin().days == 365
    assert margin(points=[{"model": "sim/smooth@25", "flops": 1e25}]).log10_flop is None, (
        "not known, never another's"
    )


def test_a_flip_is_a_change_with_its_way(found: Track) -> None:
    assert changes(found, 0) == {"first:None": "first assessment under gate-world"}
    assert changes(found, 1)["verdict:claim.one"] == "RULED_OUT → REACHED"
    ways = {c.kind: c.way for c in found.changes[1] if c.claim}
    assert ways == {"verdict": "worse", "bound": "worse", "estimate": "worse"}
    assert {c.way for c in found.changes[2] if c.kind == "verdict"} == {"better"}


def test_subject_and_compute_that_changed_are_named(found: Track) -> None:
    said = changes(found, 1)
    assert said["subject:None"] == "sim/smooth@22 → sim/smooth@23"
    assert said["compute:None"].startswith("training compute times 10 ")


def test_the_same_instances_are_compared_in_pairs(found: Track) -> None:
    step = next(c.moved for c in found.changes[1] if c.moved)
    assert step is not None and (step.how, step.pairs, step.difference) == ("paired", 100, 0.4)
    assert step.lcb is not None and step.ucb is not None and 0.3 < step.lcb < 0.4 < step.ucb < 0.5


def test_another_comparability_key_is_named_and_nothing_is_compared(found: Track) -> None:
    said = [c.text for c in found.changes[2] if c.claim]
    assert "task version: 1-A → 2-A" in said
    assert any(line.startswith("comparability key: ") for line in said)
    assert "estimates not compared: the comparability keys differ" in said


def test_without_a_shared_instance_the_bounds_are_compared(tmp_path: Path, policy: Path) -> None:
    first = assess(tmp_path / "a", policy, "2026-11-02", outcomes(5, 60))
    second = assess(tmp_path / "b", policy, "2026-12-02", outcomes(30, 60))
    (tmp_path / "verdicts").mkdir()
    for name, folder in (("1.json", first), ("2.json", second)):
        (tmp_path / "verdicts" / name).write_bytes((folder / "verdict.json").read_bytes())
    found = track([tmp_path / "verdicts" / "1.json", tmp_path / "verdicts" / "2.json"], as_of=NOW)
    step = next(c.moved for c in found.changes[1] if c.moved)
    assert step is not None and step.how == "unpaired" and step.pairs is None
    a, b = (x / 60 for x in (30, 5))
    expected = difference_of_bounds((a, *rate_bounds(30, 60, 0.05)), (b, *rate_bounds(5, 60, 0.05)))
    assert (step.difference, step.lcb, step.ucb) == pytest.approx(expected, rel=1e-4)


def test_a_claim_that_is_asked_no_longer_is_worse(tmp_path: Path, policy: Path, lineage: list[Path]) -> None:
    other = write_policy(tmp_path / "p.yaml", policy_text().replace("claim.one", "claim.two"))
    last = assess(tmp_path / "d", other, "2027-05-01", outcomes(0, 100))
    found = track([lineage[0], last], as_of=NOW)
    said = {c.claim: (c.way, c.text) for c in found.changes[1] if c.kind == "claim"}
    assert said["claim.one"] == ("worse", "claim is no longer asked")
    assert "new claim" in said["claim.two"][1]
    assert any(c.kind == "policy" for c in found.changes[1])


@given(
    st.tuples(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1)).map(sorted),
    st.tuples(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1)).map(sorted),
)
def test_a_difference_holds_its_estimate_and_is_antisymmetric(x: list[float], y: list[float]) -> None:
    one = difference_of_bounds((x[1], x[0], x[2]), (y[1], y[0], y[2]))
    other = difference_of_bounds((y[1], y[0], y[2]), (x[1], x[0], x[2]))
    assert one[1] <= one[0] <= one[2]
    assert one[0] == pytest.approx(-other[0]) and one[1] == pytest.approx(-other[2])


def test_unpaired_bounds_cover_a_known_difference() -> None:
    import numpy as np

    rng, inside = np.random.default_rng(5), 0
    a, b = rng.binomial(80, 0.3, 400), rng.binomial(60, 0.1, 400)
    for k, m in zip(a, b, strict=True):
        _, low, high = difference_of_bounds(
            (k / 80, *rate_bounds(k, 80, 0.05)), (m / 60, *rate_bounds(m, 60, 0.05))
        )
        inside += low <= 0.2 <= high
    assert inside / 400 >= 0.88, "two ends of 95 % each"


def test_an_estimate_outside_its_bounds_is_refused() -> None:
    with pytest.raises(DataError):
        difference_of_bounds((0.5, 0.6, 0.7), (0.1, 0.0, 0.2))
    with pytest.raises(DataError):
        difference_of_bounds((math.nan, 0, 1), (0.1, 0.0, 0.2))


# ---- what is due


def test_triggers_stand_as_the_verdict_saw_them_or_are_asked_again(lineage: list[Path], policy: Path) -> None:
    then = track(lineage, as_of=NOW)
    assert {(d.subject, d.kind): d.state for d in then.due}["sim/smooth@24", "months"] == "ok"
    now = track(lineage, policy=load_policy(policy), as_of=dt.datetime(2027, 6, 20, tzinfo=dt.UTC))
    months = {d.subject: d.state for d in now.due if d.kind == "months"}
    assert months == {"sim/smooth@22": "overdue", "sim/smooth@23": "overdue", "sim/smooth@24": "overdue"}
    assert now.due[0].state == "overdue"


def test_a_waiver_that_ends_is_due(tmp_path: Path, policy: Path) -> None:
    folder = assess(tmp_path / "a", policy, "2026-11-02", outcomes(20, 100))
    raw = json.loads((folder / "verdict.json").read_text())
    raw["claims"][0]["waiver"] = {
        "id": "W0001", "applied": True, "why": "x", "owner": "a", "approver": "b", "expires": "2027-01-01T00:00:00+00:00",
        "exit_code": 0,
    }  # fmt: skip
    (folder / "verdict.json").write_text(json.dumps(raw))

    def state(day: dt.datetime) -> str:
        return next(d.state for d in track([folder], as_of=day).due if d.kind == "waiver")

    assert state(dt.datetime(2026, 11, 10, tzinfo=dt.UTC)) == "ok"
    assert state(dt.datetime(2026, 12, 20, tzinfo=dt.UTC)) == "due"
    assert state(NOW) == "overdue"


# ---- forecasts that came true or not


def ledger_line(kind: str, **values: object) -> dict[str, object]:
    return {"kind": kind, "family": "toy_vuln", "metric": "success_rate", "simulated": True, **values}


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    """Three predictions (right, wrong, open) and three events (came inside, came early, did not come)."""
    held = Ledger.open(tmp_path / "ledger.jsonl")
    quantiles = {
        "q05": 0.1,
        "q25": 0.2,
        "predicted": 0.3,
        "q75": 0.4,
        "q95": 0.5,
        "scale": "logit",
        "flops": 1e22,
    }
    for model, actual in (("sim/smooth@23", 0.4), ("sim/smooth@24", 0.9), ("sim/smooth@25", None)):
        held._append(ledger_line("prediction", model=model, as_of="2026-11-01", actual=None, **quantiles))
        if actual is not None:
            line = held.lines[-1]["hash"]
            held._append(
                ledger_line("score", prediction=line, model=model, predicted=0.3, actual=actual, error=actual - 0.3,
                            covered90=actual <= 0.5, as_of="2026-12-12")
            )  # fmt: skip
    for threshold, early, late in ((0.2, "2026-11-20", "2027-01-01"), (0.25, "2027-02-01", "2027-09-01"),
                                   (0.6, "2026-11-20", "2027-01-01")):  # fmt: skip
        held._append(
            ledger_line("forecast", subject="sim", event=f"success_rate >= {threshold}", threshold=threshold,
                        status="identified", date={"q05": early, "q50": None, "q95": late}, as_of="2026-11-01")
        )  # fmt: skip
    return held.path


def test_forecasts_are_scored_by_what_was_measured_since(lineage: list[Path], ledger: Path) -> None:
    found = track(lineage, ledgers=[ledger], as_of=NOW)
    predictions = {r.subject: r.state for r in found.forecasts if r.kind == "prediction"}
    assert predictions == {"sim/smooth@23": "true", "sim/smooth@24": "false", "sim/smooth@25": "open"}
    events = {r.said.split(":")[0]: r.state for r in found.forecasts if r.kind == "event"}
    assert events == {
        "success_rate >= 0.2": "true",
        "success_rate >= 0.25": "early",
        "success_rate >= 0.6": "false",
    }
    share = calibration(found.forecasts, simulated=True)
    assert (share.scored, share.covered, share.open) == (2, 1, 1) and share.lcb < 0.5 < share.ucb
    none = calibration(found.forecasts, simulated=False)
    assert none.share is None and (none.lcb, none.ucb) == (0, 1), "nothing scored is no calibration of 0"


def test_a_real_verdict_scores_no_simulated_forecast(tmp_path: Path, policy: Path, ledger: Path) -> None:
    real = assess(tmp_path / "r", policy, "2026-12-12", outcomes(40, 100), model="acme/m", simulated=False)
    found = track([real], ledgers=[ledger], as_of=NOW)
    assert {r.state for r in found.forecasts if r.kind == "event"} == {"open"}


def test_a_ledger_given_twice_counts_once(lineage: list[Path], ledger: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.jsonl"
    copy.write_bytes(ledger.read_bytes())
    assert len(track(lineage, ledgers=[ledger, copy], as_of=NOW).forecasts) == 6


# ---- bad input


def test_a_folder_of_runs_stands_for_its_runs(lineage: list[Path]) -> None:
    assert find_runs([lineage[0].parent]) == lineage


@pytest.mark.parametrize(
    ("spoil", "kind", "words"),
    [
        (lambda p: [p / "nowhere"], ConfigError, "no such run folder"),
        (lambda p: [p / "empty"], ConfigError, "holds none"),
        (lambda p: [p / "a", p / "a"], ConfigError, "given twice"),
        (lambda p: [p / "a", p / "copy"], ConfigError, "holds the same verdict as"),
        (lambda p: [p / "damaged"], EvidenceError, "no verdict can be read"),
        (lambda p: [p / "newer"], EvidenceError, "schema 99; this version reads 1"),
    ],
)
def test_bad_input_is_one_line_with_the_right_code(
    tmp_path: Path,
    policy: Path,
    spoil: Callable[[Path], list[Path]],
    kind: type[DangercurveError],
    words: str,
) -> None:
    assess(tmp_path / "a", policy, "2026-11-02", outcomes(0, 100))
    raw = (tmp_path / "a" / "verdict.json").read_bytes()
    spoiled = {"copy": raw, "damaged": raw[:100], "newer": raw.replace(b'"schema": 1', b'"schema": 99')}
    for name, content in spoiled.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "verdict.json").write_bytes(content)
    (tmp_path / "empty").mkdir()
    with pytest.raises(kind, match=re.escape(words)) as caught:
        track(spoil(tmp_path), as_of=NOW)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == (2 if kind is ConfigError else 4)


def test_a_damaged_ledger_names_its_line(lineage: list[Path], ledger: Path) -> None:
    ledger.write_text(ledger.read_text().replace("0.3", "0.31", 1))
    with pytest.raises(EvidenceError, match=r"ledger\.jsonl:1"):
        track(lineage, ledgers=[ledger], as_of=NOW)


def test_two_runs_of_one_name_are_told_apart_and_said(tmp_path: Path, policy: Path) -> None:
    for month, day in (("may", "2026-05-02"), ("june", "2026-06-02")):
        assess(tmp_path / month / "gate", policy, day, outcomes(0, 100))
    found = track([tmp_path / "may" / "gate", tmp_path / "june" / "gate"], as_of=NOW)
    assert [a.label for a in found.assessments] == ["may/gate", "june/gate"]
    assert "2 runs are named 'gate'" in found.notes[0]


def test_a_run_without_a_verdict_is_named_and_rules_nothing_out(tmp_path: Path, lineage: list[Path]) -> None:
    (tmp_path / "going").mkdir()
    (tmp_path / "going" / "study.yaml").write_text("name: x\n")
    found = track([*lineage, tmp_path / "going"], as_of=NOW)
    assert found.pending == ("going",)
    assert "nothing is ruled out: going" in render(found)
    alone = track([tmp_path / "going"], as_of=NOW)
    assert alone.assessments == () and "nothing is ruled out" in render(alone)


# ---- what is shown


def run(*arguments: str) -> Result:
    return CliRunner().invoke(command, list(arguments))


def test_the_verb_writes_text_json_and_a_page(lineage: list[Path], tmp_path: Path, ledger: Path) -> None:
    given = [str(p) for p in lineage]
    done = run(*given)
    assert done.exit_code == 0 and "SIMULATED" in done.stdout and "does not establish" in done.stdout
    told = json.loads(run(*given, "--ledger", str(ledger), "--format", "json").stdout)
    assert (
        told["schema"] == 1
        and len(told["assessments"]) == 3
        and told["calibration"]["simulated"]["scored"] == 2
    )
    done = run(*given, "-o", str(tmp_path / "track.html"))
    assert done.exit_code == 0 and (tmp_path / "track.html").read_text().startswith("<!doctype html>")


def test_the_json_has_no_number_that_is_not_one(found: Track) -> None:
    json.dumps(data(found), allow_nan=False)


def test_the_page_is_offline_and_declares_it(found: Track) -> None:
    page = render(found)
    assert POLICY.replace("'", "&#39;") in page
    assert "<script" not in page and not re.search(r'(src|href)="(?!#|data:)', page)
    assert not re.search(r"url\(|@import|style=\"", page)
    assert page == render(found)


def test_what_a_model_wrote_is_harmless_everywhere(tmp_path: Path, policy: Path, lineage: list[Path]) -> None:
    last = assess(tmp_path / "evil", policy, "2027-05-01", outcomes(30, 100))
    raw = json.loads((last / "verdict.json").read_text())
    raw["subject"] = raw["claims"][0]["id"] = raw["policy"]["id"] = EVIL
    raw["triggers"] = [{"kind": EVIL, "state": "due", "why": EVIL}]
    (last / "verdict.json").write_text(json.dumps(raw))
    found = track([*lineage, last], as_of=NOW)
    page, plain = render(found), text(found, markdown=False, table=table)
    assert "<script" not in page and "<img" not in page and "&lt;script&gt;" in page
    for shown in (page, plain):
        assert "\u202e" not in shown and "\x00" not in shown
    assert "<script" not in text(found, markdown=True, table=table)


def test_a_bound_that_is_not_there_is_no_bar(tmp_path: Path, policy: Path) -> None:
    folder = assess(tmp_path / "a", policy, "2026-11-02", [None] * 30)
    page = render(track([folder], as_of=NOW))
    assert "INVALID" in page and "no finite bound" in page
