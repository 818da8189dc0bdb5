"""A verdict can be replayed from its evidence, anywhere; one changed byte is named and refused."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from dangercurve.evals.attest import as_json, statement
from dangercurve.evals.gate import Request, evaluate
from dangercurve.evals.gate_world import AS_OF, World, estimate, write_estimates, write_policy, write_run
from dangercurve.evals.policy import load_policy
from dangercurve.evals.run_folder import part_paths, store_digest
from dangercurve.evals.verdict import Verdict, canonical, verdict_digest
from dangercurve.evals.verify import Checked, verify

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
    from dangercurve.evals.gate_world import observations, write_part

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
        "from dangercurve.evals.gate_world import policy_text, write_policy\n"
        "from dangercurve.evals.policy import load_policy\n"
        "from dangercurve.evals.verdict import canonical\n"
        "from dangercurve.evals.verify import load_rescorer, verify\n"
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
