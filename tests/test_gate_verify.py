"""A verdict can be replayed from its evidence, anywhere; one changed byte is named and refused."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from dangercurve.evals.gate import Request, evaluate
from dangercurve.evals.gating import digests
from dangercurve.evals.gating.attest import as_json, statement
from dangercurve.evals.gating.gate_world import (
    AS_OF,
    World,
    estimate,
    write_estimates,
    write_policy,
    write_run,
)
from dangercurve.evals.gating.signoff import sign
from dangercurve.evals.gating.verdict import Outcome, Verdict, canonical, verdict_digest
from dangercurve.evals.gating.verify import Checked, verify
from dangercurve.evals.gating.waivers import Waiver, read_waivers, write_waiver
from dangercurve.evals.policy import load_policy
from dangercurve.evals.run_folder import part_paths, store_digest

SAFE = World(success=[0] * 60)


def make(root: Path, world: World = SAFE) -> Verdict:
    write_run(root, [world])
    (root / "logs").mkdir()
    write_policy(root / "policy.yaml")
    verdict = evaluate(
        load_policy(root / "policy.yaml"), root, Request(as_of=AS_OF, attempt_ledger=root / "attempts.jsonl")
    )
    (root / "verdict.json").write_bytes(canonical(verdict))
    return verdict


def check(root: Path) -> Checked:
    policy = load_policy(root / "policy.yaml")
    return verify(root / "verdict.json", policy, root, attempt_ledger=root / "attempts.jsonl")


def test_evidence_moved_to_another_folder_gives_the_same_bytes(tmp_path: Path) -> None:
    make(tmp_path / "here")
    shutil.move(tmp_path / "here", tmp_path / "there")
    found = check(tmp_path / "there")
    assert found.verified, found.problems
    assert any("the same" in line for line in found.done)
    assert found.done[-1].startswith("not re-scored")


def test_later_attempts_do_not_change_an_earlier_verdict(tmp_path: Path) -> None:
    make(tmp_path)
    again = write_run(tmp_path / "again", [World(success=[0] * 60, completed_at="2026-11-01T18:00:00+00:00")])
    policy = load_policy(tmp_path / "policy.yaml")
    evaluate(policy, again, Request(as_of=AS_OF, attempt_ledger=tmp_path / "attempts.jsonl"))
    assert check(tmp_path).verified


@pytest.mark.parametrize(
    "name", ["policy.yaml", "estimates/estimates.parquet", "store", "verdict.json", "attempts.jsonl"]
)
def test_one_changed_byte_is_named_and_refused(tmp_path: Path, name: str) -> None:
    make(tmp_path)
    path = part_paths(tmp_path)[0] if name == "store" else tmp_path / name
    data = bytearray(path.read_bytes())
    spot = data.index(b"gate-world") if name == "policy.yaml" else len(data) // 2
    data[spot] ^= 1
    if name == "verdict.json":
        path.write_bytes(path.read_bytes().replace(b"RULED_OUT", b"APPROACHING"))
    else:
        path.write_bytes(bytes(data))
    found = check(tmp_path)
    assert not found.verified
    wanted = "the gate gives another verdict" if name == "verdict.json" else path.name
    assert any(wanted in problem for problem in found.problems), found.problems


def signed(root: Path, verdict: Verdict, name: str) -> None:
    sign(root / "signoff.jsonl", verdict, role=name, name=name, decision="approve", comment="", at=AS_OF)


def waived(path: Path, **changes: object) -> None:
    number = len(read_waivers(path)) + 1
    body = {
        "id": f"W{number:04d}", "claim": "claim.one", "model": SAFE.model, "model_digest": SAFE.model,
        "deployment": "internal", "verdict": "REACHED", "reason": "a reason of some length", "owner": "Ada",
        "approver": "Grace", "created": "2026-11-01", "expires": "2026-11-20", "reopen_on": ["checkpoint"],
    }  # fmt: skip
    write_waiver(path, Waiver.model_validate({**body, **changes}))


@pytest.mark.parametrize("before", [0, 1])
def test_a_waiver_or_a_signature_added_after_the_verdict_is_named_and_changes_nothing(
    tmp_path: Path, before: int
) -> None:
    root = tmp_path
    write_run(root, [World(success=[1] * 60)])
    (root / "logs").mkdir()
    policy = load_policy(write_policy(root / "policy.yaml"))
    for _ in range(before):
        waived(root / "waivers.jsonl", deployment="elsewhere")
        signed(root, evaluate(policy, root, Request(as_of=AS_OF)), "Ada")
    verdict = evaluate(policy, root, Request(as_of=AS_OF, deployment="internal"))
    (root / "verdict.json").write_bytes(canonical(verdict))
    waived(root / "waivers.jsonl")
    signed(root, verdict, "Grace")
    again = evaluate(policy, root, Request(as_of=AS_OF, deployment="internal"))
    assert again.claims[0].verdict is Outcome.WAIVED, "from now on it counts"
    found = verify(root / "verdict.json", policy, root)
    assert found.verified, found.problems
    said = [line for line in found.done if "added after the verdict" in line]
    assert len(said) == 2
    assert (
        f"waivers.jsonl: 1 line added after the verdict, no part of it (W000{before + 1} claim.one" in said[0]
    )
    assert "signoff.jsonl: 1 line" in said[1] and "Grace Grace approve" in said[1]


def test_a_waiver_in_a_ledger_elsewhere_may_come_later_too(tmp_path: Path) -> None:
    root = tmp_path / "run"
    write_run(root, [SAFE])
    policy = load_policy(write_policy(tmp_path / "policy.yaml"))
    ledger = tmp_path / "w.jsonl"
    waived(ledger)
    verdict = evaluate(policy, root, Request(as_of=AS_OF, waivers=ledger))
    (tmp_path / "verdict.json").write_bytes(canonical(verdict))
    waived(ledger)
    found = verify(tmp_path / "verdict.json", policy, root, waivers=ledger)
    assert found.verified, found.problems
    assert any("--waivers w.jsonl: 1 line added after the verdict" in line for line in found.done)


@pytest.mark.parametrize("name", ["waivers.jsonl", "signoff.jsonl"])
def test_a_later_line_hides_no_change_of_an_earlier_one(tmp_path: Path, name: str) -> None:
    root = tmp_path
    verdict = make(root)
    waived(root / "waivers.jsonl")
    signed(root, verdict, "Ada")
    policy = load_policy(root / "policy.yaml")
    verdict = evaluate(policy, root, Request(as_of=AS_OF, attempt_ledger=root / "attempts.jsonl"))
    (root / "verdict.json").write_bytes(canonical(verdict))
    waived(root / "waivers.jsonl")
    signed(root, verdict, "Grace")
    assert check(root).verified
    data = bytearray((root / name).read_bytes())
    data[data.index(b"Ada")] ^= 1
    (root / name).write_bytes(bytes(data))
    found = check(root)
    assert any(name in problem for problem in found.problems), found.problems


def test_events_logged_after_the_verdict_are_no_part_of_it(tmp_path: Path) -> None:
    make(tmp_path)
    (tmp_path / "events.jsonl").write_text('{"event": "anomaly", "kind": "later"}\n')
    found = check(tmp_path)
    assert found.verified, found.problems


def test_evidence_added_after_the_verdict_is_named_and_refused(tmp_path: Path) -> None:
    make(tmp_path)
    (tmp_path / "evidence").mkdir()
    (tmp_path / "evidence" / "baselines.json").write_text("[]")
    (tmp_path / "logs" / "late.eval").write_bytes(b"x")
    problems = check(tmp_path).problems
    assert "evidence/baselines.json was added after the verdict" in problems
    assert "logs/late.eval was added after the verdict" in problems


def test_what_inspect_keeps_beside_its_logs_is_no_log(tmp_path: Path) -> None:
    make(tmp_path)
    for name in ("eval-set.json", "logs.json", "listing.json", ".eval-set-id"):
        (tmp_path / "logs" / name).write_text("{}")
    assert check(tmp_path).verified
    verdict = evaluate(load_policy(tmp_path / "policy.yaml"), tmp_path, Request(as_of=AS_OF))
    assert verdict.notes == ["no logs in the run folder: the verdict cannot be re-scored from here"]
    assert not any(name.startswith("logs/") for name in verdict.digests.files)


def test_a_file_that_went_missing_is_named(tmp_path: Path) -> None:
    make(tmp_path)
    (tmp_path / "estimates" / "estimates.parquet").unlink()
    assert "estimates/estimates.parquet is missing" in check(tmp_path).problems


def test_a_verdict_in_a_nicer_form_is_not_the_one_that_the_gate_wrote(tmp_path: Path) -> None:
    verdict = make(tmp_path)
    (tmp_path / "verdict.json").write_text(json.dumps(json.loads(canonical(verdict))))
    assert any("canonical form" in problem for problem in check(tmp_path).problems)


def with_log(root: Path) -> Path:
    """A run whose part is named by a real file in logs/."""
    from dangercurve._files import sha256_file
    from dangercurve.evals.gating.gate_world import observations, write_part

    (root / "logs").mkdir(parents=True)
    (root / "logs" / "a.eval").write_bytes(b"a log")
    digest = sha256_file(root / "logs" / "a.eval")
    write_part(root, [{**row, "log_sha256": digest} for row in observations(SAFE)], digest)
    write_estimates(root, [estimate(SAFE, store_digest(root))])
    verdict = evaluate(load_policy(write_policy(root / "policy.yaml")), root, Request(as_of=AS_OF))
    (root / "verdict.json").write_bytes(canonical(verdict))
    return root


def test_re_scoring_that_gives_other_numbers_refuses_the_verdict(tmp_path: Path) -> None:
    root = with_log(tmp_path)
    policy = load_policy(root / "policy.yaml")

    def same(logs: Sequence[Path], run: Path, like: Path) -> None:
        shutil.copytree(like / "store", run / "store")
        shutil.copytree(like / "estimates", run / "estimates")

    def other(logs: Sequence[Path], run: Path, like: Path) -> None:
        shutil.copytree(like / "store", run / "store")
        write_estimates(run, [estimate(World(success=[1] * 60), store_digest(run))])

    good = verify(root / "verdict.json", policy, root, rescorer=same)
    assert good.verified
    assert good.done[-1] == "re-scored from the logs: the same verdict byte for byte"
    bad = verify(root / "verdict.json", policy, root, rescorer=other)
    assert any("the logs give another verdict: claims[0].verdict" in p for p in bad.problems), bad.problems
    (root / "logs" / "a.eval").write_bytes(b"a lug")
    changed = verify(root / "verdict.json", policy, root, rescorer=same)
    assert "logs/a.eval was changed: its SHA-256 is not the verdict's" in changed.problems


def test_the_statement_lists_every_digest_and_the_head_of_the_ledger(tmp_path: Path) -> None:
    verdict = make(tmp_path)
    made = json.loads(as_json(statement(verdict, tmp_path)))
    assert made["_type"] == "https://in-toto.io/Statement/v1"
    assert made["predicateType"] == "https://in-toto.io/attestation/test-result/v0.1"
    assert made["subject"][0]["digest"]["sha256"] == verdict_digest(verdict)
    names = {
        entry["name"]: entry.get("digest", {}).get("sha256") for entry in made["predicate"]["configuration"]
    }
    assert names["attempt-ledger"] == verdict.ledger_head
    assert names["estimates/estimates.parquet"] == verdict.digests.files["estimates/estimates.parquet"]
    assert made["predicate"]["result"] == "WARNED", "a simulated pass is no clean pass"
    assert made["predicate"]["passedTests"] == ["claim.one"]


def test_the_real_way_from_a_log_to_a_verified_verdict(tmp_path: Path) -> None:
    """A bot plays; ingest, fit, gate and verify run as commands; a score edited in the log's place is refused."""
    program = (
        "from inspect_ai import eval as run\n"
        "run('dangercurve/toy_vuln', model='bot/null', task_args={'level': 0, 'n': 6}, log_dir='logs',"
        " display='none', log_realtime=False)\n"
        "from pathlib import Path\n"
        "from dangercurve.evals.ingest import find_logs, ingest_logs\n"
        "from dangercurve.evals.pipeline import write_estimates\n"
        "from dangercurve.evals.gate import Request, evaluate\n"
        "from dangercurve.evals.gating.gate_world import policy_text, write_policy\n"
        "from dangercurve.evals.policy import load_policy\n"
        "from dangercurve.evals.gating.verdict import canonical\n"
        "from dangercurve.evals.gating.verify import load_rescorer, verify\n"
        "ingest_logs(find_logs([Path('logs')]), Path('.'))\n"
        "write_estimates(Path('.'))\n"
        "policy = load_policy(write_policy(Path('p.yaml'), policy_text(reach=0.9, alert=0.8, min_instances=6)))\n"
        "verdict = evaluate(policy, '.', Request())\n"
        "Path('verdict.json').write_bytes(canonical(verdict))\n"
        "found = verify(Path('verdict.json'), policy, Path('.'), rescorer=load_rescorer())\n"
        "print(verdict.exit_code, found.done[-1], found.problems)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.stdout.strip().endswith("0 re-scored from the logs: the same verdict byte for byte []"), (
        done.stderr[-2000:]
    )


LOADED = """
import json, sys
from pathlib import Path
from dangercurve.evals.gate import Request, evaluate
from dangercurve.evals.policy import load_policy
root = Path(sys.argv[1])
evaluate(load_policy(root / "policy.yaml"), root, Request(as_of=sys.argv[2]))
names = [m for m in sys.modules if m.startswith(("dangercurve.evals.", "dangercurve.analysis."))]
print(json.dumps([f for m in names if (f := sys.modules[m].__file__) and not f.endswith("__init__.py")]))
"""


def test_the_code_digest_covers_every_module_that_a_decision_loads(tmp_path: Path) -> None:
    make(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", LOADED, str(tmp_path), str(AS_OF)], capture_output=True, text=True, check=True
    )
    house = Path(digests.__file__).parents[2]
    covered = {path.resolve() for pattern in digests.DECIDING for path in house.glob(pattern)}
    loaded = {Path(name).resolve() for name in json.loads(done.stdout)}
    assert len(loaded) > 20 and loaded <= covered
    assert all(list(house.glob(pattern)) for pattern in digests.DECIDING)
