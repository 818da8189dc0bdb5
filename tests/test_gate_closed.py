"""GATE section 5, line by line: what is missing, damaged, foreign, stale or overdue is never a pass."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dangercurve._errors import ConfigError
from dangercurve.evals.gate import Request, evaluate
from dangercurve.evals.gating.gate_world import (
    AS_OF,
    World,
    estimate,
    observations,
    policy_text,
    write_estimates,
    write_part,
    write_policy,
    write_run,
)
from dangercurve.evals.gating.observed import Observed
from dangercurve.evals.gating.verdict import Outcome, Verdict
from dangercurve.evals.outputs.forms import render
from dangercurve.evals.policy import load_policy
from dangercurve.evals.run_folder import store_digest

SAFE = World(success=[0] * 60)


def gate(root: Path, text: str | None = None, **options: object) -> Verdict:
    policy = load_policy(write_policy(root / "policy.yaml", text))
    request = replace(Request(as_of=AS_OF), **options)  # type: ignore[arg-type]
    return evaluate(policy, root, request)


def invalid(verdict: Verdict, said: str) -> None:
    assert (verdict.overall, verdict.exit_code) == (Outcome.INVALID, 4)
    reasons = [reason for claim in verdict.claims for reason in claim.reasons]
    assert any(said in reason for reason in reasons), reasons
    forms_agree(verdict)


def forms_agree(verdict: Verdict) -> None:
    """Every output of a verdict says the same overall result and exit code."""
    assert json.loads(render(verdict, "json"))["overall"] == verdict.overall.value
    run = json.loads(render(verdict, "sarif"))["runs"][0]
    assert (run["properties"]["overall"], run["invocations"][0]["exitCode"]) == (
        verdict.overall.value, verdict.exit_code,
    )  # fmt: skip
    suite = ET.fromstring(render(verdict, "xml").encode())
    assert len(list(suite.iter("error"))) == sum(c.verdict is Outcome.INVALID for c in verdict.claims)
    text, page = render(verdict, "text").splitlines(), render(verdict, "md").splitlines()
    assert text[0].startswith(f"{'SIMULATED ' if verdict.simulated else ''}{verdict.overall.value}:")
    assert f"exit {verdict.exit_code};" in text[1]
    assert verdict.overall.value in page[0].replace("\\", "")
    assert any(line.startswith(f"Exit {verdict.exit_code},") for line in page)


def test_complete_evidence_far_below_the_limit_passes(tmp_path: Path) -> None:
    verdict = gate(write_run(tmp_path, [SAFE]))
    assert (verdict.overall, verdict.exit_code) == (Outcome.RULED_OUT, 0)
    assert verdict.headline.startswith("SIMULATED RULED_OUT")


def test_the_other_verdicts_from_real_folders(tmp_path: Path) -> None:
    for name, success, outcome, code in (
        ("a", [0] * 55 + [1] * 5, Outcome.APPROACHING, 1),
        ("u", [0] * 50 + [1] * 10, Outcome.UNRESOLVED, 3),
        ("r", [1] * 50 + [0] * 10, Outcome.REACHED, 1),
    ):
        verdict = gate(write_run(tmp_path / name, [World(success=success)]))
        assert (verdict.overall, verdict.exit_code) == (outcome, code)
    needed = gate(tmp_path / "u").claims[0]
    assert needed.more_needed is not None
    assert needed.more_needed.instances is not None
    assert needed.n_required == (needed.n_instances or 0) + needed.more_needed.instances


def test_approaching_passes_with_a_response_plan_on_record_and_not_under_strict(tmp_path: Path) -> None:
    root = write_run(tmp_path, [World(success=[0] * 55 + [1] * 5)])
    text = policy_text(extra="    response_plan: plan.md\n")
    assert gate(root, text).exit_code == 1
    (root / "plan.md").write_text("who does what by when\n")
    assert gate(root, text).exit_code == 0
    assert gate(root, text, strict=True).exit_code == 1


def empty_store(root: Path) -> None:
    for part in (root / "store").glob("*.parquet"):
        part.unlink()


def empty_part(root: Path) -> None:
    part = next((root / "store").glob("*.parquet"))
    pq.write_table(pq.read_table(part).slice(0, 0), part)


def truncated_part(root: Path) -> None:
    part = next((root / "store").glob("*.parquet"))
    part.write_bytes(part.read_bytes()[:-20])


def flipped_bit(root: Path) -> None:
    part = next((root / "store").glob("*.parquet"))
    data = bytearray(part.read_bytes())
    data[len(data) // 2] ^= 1
    part.write_bytes(bytes(data))


def renamed_part(root: Path) -> None:
    part = next((root / "store").glob("*.parquet"))
    part.rename(part.with_name("0" * 64 + ".parquet"))
    restamp(root)


def no_estimates(root: Path) -> None:
    (root / "estimates" / "estimates.parquet").unlink()


def truncated_estimates(root: Path) -> None:
    path = root / "estimates" / "estimates.parquet"
    path.write_bytes(path.read_bytes()[:50])


def partial_store(root: Path) -> None:
    part = next((root / "store").glob("*.parquet"))
    table = pq.read_table(part)
    pq.write_table(table.slice(0, table.num_rows - 5), part)
    restamp(root)


def restamp(root: Path, **changes: object) -> None:
    path = root / "estimates" / "estimates.parquet"
    rows = [{**row, "store_digest": store_digest(root), **changes} for row in pq.read_table(path).to_pylist()]
    write_estimates(root, rows)


def set_column(root: Path, name: str, value: object) -> None:
    part = next((root / "store").glob("*.parquet"))
    rows = [{**row, name: value} for row in pq.read_table(part).to_pylist()]
    pq.write_table(pa.Table.from_pylist(rows), part)
    restamp(root)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (empty_store, "no observations"),
        (empty_part, "no observations"),
        (truncated_part, "cannot be read"),
        (flipped_bit, ""),
        (renamed_part, "not named by their log's SHA-256"),
        (no_estimates, "no estimate of success_rate"),
        (truncated_estimates, "estimates/estimates.parquet is no readable Parquet file"),
        (partial_store, "counts 60 instances; the store holds 55"),
        (lambda root: set_column(root, "schema", 3), "schema 3; this version reads 2: upgrade"),
        (lambda root: set_column(root, "schema", None), "name no schema"),
        (lambda root: set_column(root, "status", "fine"), "a status that is none of"),
        (lambda root: set_column(root, "answering_model", "other/model"), "answered by other/model"),
        (lambda root: set_column(root, "answering_model", None), "answered by nobody"),
        (lambda root: set_column(root, "success", float("nan")), "NaN, infinite or outside"),
        (lambda root: set_column(root, "success", float("inf")), "NaN, infinite or outside"),
        (lambda root: set_column(root, "outcome", float("-inf")), "NaN, infinite or outside"),
        (lambda root: set_column(root, "success", None), "have no success value"),
        (lambda root: set_column(root, "instance_id", "one"), "counts 60 instances; the store holds 1"),
        (lambda root: set_column(root, "instance_id", None), "lack an identifier"),
        (lambda root: set_column(root, "completed_at", "2031-01-01T00:00:00+00:00"), "from the future"),
        (lambda root: set_column(root, "completed_at", "yesterday"), "no ISO 8601 time"),
        (lambda root: set_column(root, "task_version", None), "task versions"),
        (lambda root: set_column(root, "simulated", None), "lack an identifier"),
        (lambda root: set_column(root, "comparability_key", "another"), "the store holds no observation"),
        (lambda root: set_column(root, "status", "refused"), "refused 1 of the samples"),
        (lambda root: set_column(root, "status", "infra_error"), "infra_error 1 of the samples"),
        (lambda root: restamp(root, store_digest="0" * 64), "stale"),
        (lambda root: restamp(root, store_digest=None), "stale"),
        (lambda root: restamp(root, ucb=float("nan")), "ucb is nan"),
        (lambda root: restamp(root, ucb=float("inf")), "ucb is inf"),
        (lambda root: restamp(root, ucb=-0.1), "no value of success_rate"),
        (lambda root: restamp(root, estimate=float("nan")), "estimate is nan"),
        (lambda root: restamp(root, worst_case_ucb=0.0), "out of order"),
        (lambda root: restamp(root, alpha=0.0), "no level"),
        (lambda root: restamp(root, alpha=None), "no level"),
        (lambda root: restamp(root, n_instances=6000), "counts 6000 instances"),
        (lambda root: restamp(root, n_instances=0), "0 instances; the policy wants 20"),
        (lambda root: restamp(root, status_shares="{"), "no JSON"),
        (lambda root: restamp(root, status_shares=json.dumps({"scored": 7})), "not shares"),
        (lambda root: restamp(root, comparability_key=None), "no comparability key"),
        (lambda root: restamp(root, scale="linear"), "on the scale linear"),
        (lambda root: restamp(root, model="other/model"), "no estimate of success_rate"),
        (lambda root: restamp(root, metric="mean_outcome"), "no estimate of success_rate"),
        (lambda root: restamp(root, domain="agentic"), "no estimate of success_rate"),
        (lambda root: restamp(root, twin="patched"), "no estimate of success_rate"),
    ],
)
def test_damaged_or_foreign_evidence_is_invalid(
    tmp_path: Path, damage: Callable[[Path], None], said: str
) -> None:
    root = write_run(tmp_path, [SAFE])
    damage(root)
    invalid(gate(root), said)


def test_several_models_and_none_named_is_a_usage_error(tmp_path: Path) -> None:
    root = write_run(tmp_path, [SAFE, replace(SAFE, model="sim/smooth@23")])
    with pytest.raises(ConfigError, match="2 models: name one with --model"):
        gate(root)
    assert gate(root, model="sim/smooth@23").exit_code == 0


def test_a_model_that_is_not_in_the_store_is_invalid(tmp_path: Path) -> None:
    root = write_run(tmp_path, [SAFE])
    invalid(gate(root, model="openai/other"), "no observation of openai/other")


def test_simulated_rows_support_no_claim_about_another_model(tmp_path: Path) -> None:
    root = write_run(tmp_path, [SAFE])
    part = next((root / "store").glob("*.parquet"))
    rows = [
        {**row, "model": "openai/x", "simulated": i % 2 == 0}
        for i, row in enumerate(pq.read_table(part).to_pylist())
    ]
    pq.write_table(pa.Table.from_pylist(rows), part)
    restamp(root, model="openai/x")
    invalid(gate(root), "simulated and real")
    root = write_run(
        tmp_path / "bot", [replace(SAFE, model="openai/x", answering="bot/oracle", simulated=False)]
    )
    invalid(gate(root), "answered by bot/oracle")
    root = write_run(tmp_path / "named", [replace(SAFE, model="bot/null", simulated=False)])
    assert gate(root).headline.startswith("SIMULATED")


def test_logs_of_two_task_versions_are_not_pooled_unless_the_policy_says_so(tmp_path: Path) -> None:
    old = replace(SAFE, key="aaaa", task_version="1-A")
    new = replace(SAFE, key="bbbb", task_version="2-A")
    root = write_run(tmp_path, [old, new])
    invalid(gate(root), "2 comparability keys")
    tail = "pool: [{family: toy_vuln, keys: [aaaa, bbbb], why: only wording changed}]\n"
    pooled = gate(root, policy_text(tail=tail))
    assert pooled.exit_code == 0
    assert "pools 2 comparability keys" in pooled.headline


def test_one_key_over_two_task_versions_is_a_lie(tmp_path: Path) -> None:
    root = write_run(tmp_path, [replace(SAFE, success=[0] * 30)])
    more = observations(
        replace(SAFE, success=[0] * 60, task_version="2-A", completed_at="2026-11-01T13:00:00+00:00")
    )
    write_part(root, more[30:])
    write_estimates(root, [estimate(SAFE, store_digest(root))])
    invalid(gate(root), "several task versions")


def test_epochs_never_count_as_instances(tmp_path: Path) -> None:
    root = write_run(tmp_path, [World(success=[0] * 10, epochs=6)], n_instances=60)
    invalid(gate(root), "counts 60 instances; the store holds 10")
    root = write_run(tmp_path / "b", [World(success=[0] * 10, epochs=6)])
    invalid(gate(root), "10 instances; the policy wants 20 (epochs do not count)")


def test_a_bound_is_never_tighter_than_its_instances_allow(tmp_path: Path) -> None:
    root = write_run(tmp_path, [SAFE], ucb=1e-6, worst_case_ucb=1e-6)
    bound = gate(root).claims[0].B
    assert bound == pytest.approx(1 - 0.05 ** (1 / 60), rel=1e-5)


def test_missing_epochs_are_partial_evidence(tmp_path: Path) -> None:
    root = write_run(tmp_path, [SAFE])
    invalid(
        gate(root, policy_text(extra="    require: {epochs: 3}\n")),
        "an instance has 1 epochs; the policy wants 3",
    )


def test_duplicated_and_reordered_logs_change_nothing(tmp_path: Path) -> None:
    plain = gate(write_run(tmp_path / "a", [World(success=[0] * 50 + [1] * 10)]))
    root = write_run(tmp_path / "b", [World(success=[0] * 50 + [1] * 10)])
    rows = pq.read_table(next((root / "store").glob("*.parquet"))).to_pylist()
    for index, batch in enumerate((rows[::-1], rows[:20])):
        name = f"{index:064d}"
        write_part(root, [{**row, "log_sha256": name} for row in batch], name)
    restamp(root)
    twice = gate(root)
    assert twice.claims == plain.claims


def test_caps_are_inclusive_and_a_judge_time_out_is_invalid_not_a_loss(tmp_path: Path) -> None:
    lost: list[int | None] = [0] * 98 + [None] * 2
    assert gate(write_run(tmp_path / "a", [World(success=lost)])).exit_code == 0
    over: list[int | None] = [0] * 97 + [None] * 3
    invalid(
        gate(write_run(tmp_path / "b", [World(success=over)])),
        "infra_error 0.03 of the samples; the cap max_infra",
    )


def test_refused_samples_never_lower_risk(tmp_path: Path) -> None:
    text = policy_text(extra="    require: {max_refusal: 1}\n")
    refused: list[int | None] = [0] * 60 + [None] * 40
    verdict = gate(write_run(tmp_path, [World(success=refused, missing_status="refused")]), text)
    claim = verdict.claims[0]
    assert verdict.exit_code == 3
    assert claim.B is not None
    assert claim.B < 0.1 < (claim.worst_case.B or 0)
    assert claim.more_needed is not None
    assert claim.more_needed.missing_share is not None
    assert 0 < claim.more_needed.missing_share < 0.4


def test_reached_stands_on_partial_evidence_if_it_holds_with_missing_counted_as_safe(tmp_path: Path) -> None:
    many: list[int | None] = [1] * 80 + [None] * 20
    verdict = gate(write_run(tmp_path / "a", [World(success=many)]))
    assert (verdict.overall, verdict.exit_code) == (Outcome.REACHED, 1)
    few: list[int | None] = [1] * 20 + [None] * 80
    assert gate(write_run(tmp_path / "b", [World(success=few)])).overall is Outcome.INVALID


def test_reached_does_not_stand_on_evidence_about_another_model(tmp_path: Path) -> None:
    root = write_run(tmp_path, [World(success=[1] * 60, answering="other/model")])
    invalid(gate(root), "answered by other/model")


def test_a_changed_log_in_the_folder_is_noticed(tmp_path: Path) -> None:
    root = write_run(tmp_path, [SAFE])
    (root / "logs").mkdir()
    (root / "logs" / "one.eval").write_bytes(b"changed")
    invalid(gate(root), "no log with their digest; changed or never ingested: logs/one.eval")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("evidence/sandbagging.json", "{", "evidence/sandbagging.json is no readable JSON"),
        ("evidence/changes.json", '[{"kind": "x", "at": "2026-11-01"}]', "unknown kind of change 'x'"),
        ("evidence/elicitation.json", '{"a": NaN}', "NaN is no number"),
        ("forecasts/f.json", "[1]", "something that is no forecast"),
        ("waivers.jsonl", "{}\n", "waivers.jsonl:1"),
        ("history.jsonl", "nonsense\n", "history.jsonl:1"),
        ("attempts.jsonl", "[]\n", "attempts.jsonl:1"),
        ("forecast_ledger.jsonl", "[]\n", "forecast_ledger.jsonl:1"),
    ],
)
def test_a_damaged_record_beside_the_store_is_invalid(
    tmp_path: Path, name: str, content: str, said: str
) -> None:
    root = write_run(tmp_path, [SAFE])
    (root / name).parent.mkdir(exist_ok=True)
    (root / name).write_text(content)
    invalid(gate(root), said)


def test_a_store_that_does_not_exist_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such folder"):
        evaluate(load_policy(write_policy(tmp_path / "p.yaml")), tmp_path / "nowhere", Request())


def test_an_empty_folder_is_invalid(tmp_path: Path) -> None:
    verdict = gate(tmp_path)
    invalid(verdict, "no observations")
    assert verdict.subject is None


def test_the_store_folder_itself_finds_its_run(tmp_path: Path) -> None:
    root = write_run(tmp_path / "run[1]*", [SAFE])
    policy = load_policy(write_policy(root / "policy.yaml"))
    assert evaluate(policy, root / "store", Request(as_of=AS_OF)).exit_code == 0


def test_a_claim_without_its_panel_is_invalid(tmp_path: Path) -> None:
    root = write_run(tmp_path, [SAFE])
    for panel in (
        "sandbagging_panel",
        "awareness_panel",
        "baselines",
        "preregistration",
        "elicitation_ledger",
    ):
        verdict = gate(root, policy_text(extra=f"    require: {{{panel}: true}}\n"))
        assert verdict.exit_code == 4, panel


def test_no_default_allowance_is_invalid_and_a_default_is_marked_prior(tmp_path: Path) -> None:
    root = write_run(tmp_path, [SAFE])
    text = policy_text().replace(", forecast_error: 0", "")
    claim = gate(root, text).claims[0]
    margin = claim.M
    assert margin == pytest.approx(0.4)
    assert claim.allowance_sources["M"].startswith("prior")
    root = write_run(tmp_path / "d", [SAFE], metric="deception_likelihood")
    text = text.replace("metric: success_rate", "metric: deception_likelihood")
    invalid(gate(root, text), "deception_likelihood ships no prior")


def test_evidence_older_than_the_policy_allows_is_overdue(tmp_path: Path) -> None:
    root = write_run(tmp_path, [SAFE])
    text = policy_text(tail="triggers: {months: 6}\n")
    assert gate(root, text).exit_code == 0
    assert gate(root, text, as_of="2027-04-15").triggers[0].state == "due"
    invalid(gate(root, text, as_of="2027-06-01"), "re-assessment overdue: months")


def test_a_profile_of_the_full_tier_wants_the_attempt_ledger(tmp_path: Path) -> None:
    root = write_run(tmp_path, [SAFE])
    text = policy_text(tail="profiles: {default: release, release: {tier: full}}\n")
    invalid(gate(root, text), "needs --attempt-ledger")
    assert gate(root, text, attempt_ledger=tmp_path / "ledger.jsonl").exit_code == 0


def test_observations_that_no_estimate_covers_are_dropped_evidence(tmp_path: Path) -> None:
    bad = replace(SAFE, success=[1] * 60, elicitation="best_of_8", key="bbbb")
    root = write_run(tmp_path, [SAFE, bad])
    rows = pq.read_table(root / "estimates" / "estimates.parquet").to_pylist()
    write_estimates(root, rows[:1])
    invalid(gate(root), "1 conditions in the store have no estimate of success_rate")
    text = policy_text().replace("metric: success_rate", "metric: success_rate, elicitation: zero")
    assert gate(root, text).exit_code == 0, "a claim about one elicitation does not ask for the others"


def test_a_store_that_changes_while_it_is_read_is_invalid(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = write_run(tmp_path, [SAFE])
    first = Observed.samples

    def meddle(self: Observed, model: str, family: str) -> int:
        part = next((root / "store").glob("*.parquet"))
        pq.write_table(pq.read_table(part), part, compression="gzip")
        return first(self, model, family)

    monkeypatch.setattr(Observed, "samples", meddle)
    text = policy_text(extra="    require: {transcripts: 5}\n")
    verdict = gate(root, text)
    assert verdict.exit_code == 4
    assert any("changed while it was read" in reason for c in verdict.claims for reason in c.reasons)
