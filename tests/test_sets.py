"""Frozen sets and golden digests: the same comes back, and whatever does not match is refused and says why."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner
from inspect_ai import eval as inspect_eval

from dangercurve._errors import ConfigError, EvidenceError
from dangercurve.evals.cli import cli
from dangercurve.tasks.kernel import family as registry
from dangercurve.tasks.kernel import golden
from dangercurve.tasks.kernel.family import Family, get_family
from dangercurve.tasks.kernel.interfaces import CANARY
from dangercurve.tasks.kernel.seeds import Instance, new_salt
from dangercurve.tasks.kernel.task import build_task, make_cell
from dangercurve.tasks.kernel.world import Setting
from dangercurve.tasks.sets import MANIFEST, ROWS, SetArguments, freeze, frozen_set, load

datasets = pytest.importorskip("datasets", reason="the extra dangercurve[datasets] is not installed")
ARGUMENTS = SetArguments(level="0-1", n=2, twin="base,rule_flip")


@pytest.fixture(scope="module")
def frozen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sets") / "ops"
    freeze("ops_horizon", folder, ARGUMENTS)
    return folder


def copy(source: Path, target: Path) -> Path:
    for name in (MANIFEST, ROWS, "README.md"):
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        (target / name).write_bytes((source / name).read_bytes())
    return target


def edit(folder: Path, **changes: object) -> Path:
    path = folder / MANIFEST
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    return folder


@pytest.fixture
def changed_generator(monkeypatch: pytest.MonkeyPatch) -> Iterator[Family]:
    """ops_horizon under the same version, with a generator that draws from other instances."""
    design = get_family("ops_horizon")

    def other(instance: Instance, setting: Setting) -> object:
        return design.generate(dataclasses.replace(instance, index=instance.index + 1), setting)

    changed = dataclasses.replace(design, generate=other)
    monkeypatch.setitem(registry._FAMILIES, "ops_horizon", changed)
    golden.golden_fault.cache_clear()
    yield changed
    golden.golden_fault.cache_clear()


# --- frozen sets ---------------------------------------------------------------------------------------------


def test_a_frozen_set_loads_to_the_same_samples(frozen: Path) -> None:
    manifest, cell = load(str(frozen))
    again = build_task(cell)
    wanted = build_task(make_cell(get_family("ops_horizon"), "0-1", "base,rule_flip", n=2))
    assert [(s.id, s.input, s.metadata) for s in again.dataset] == [
        (s.id, s.input, s.metadata) for s in wanted.dataset
    ]
    assert manifest.n_samples == len(again.dataset) == 8


def test_the_same_arguments_give_the_same_bytes(frozen: Path, tmp_path: Path) -> None:
    freeze("ops_horizon", tmp_path / "b", ARGUMENTS)
    for name in (MANIFEST, ROWS, "README.md"):
        assert (tmp_path / "b" / name).read_bytes() == (frozen / name).read_bytes()


def test_the_folder_is_a_dataset_of_the_hub_layout_with_card_and_canary(frozen: Path, tmp_path: Path) -> None:
    loaded = datasets.load_dataset(str(frozen), split="test", cache_dir=str(tmp_path))
    assert len(loaded) == 8
    card = (frozen / "README.md").read_text()
    front = yaml.safe_load(card.split("---")[1])
    assert front["configs"][0]["data_files"][0]["path"] == ROWS
    assert CANARY in card
    assert all(CANARY in row["system"] for row in loaded)


def test_a_frozen_set_runs_through_inspect(frozen: Path, tmp_path: Path) -> None:
    (log,) = inspect_eval(
        frozen_set(str(frozen)), model="bot/oracle", display="none", log_dir=str(tmp_path), log_realtime=False,
        score_display=False,
    )  # fmt: skip
    assert log.results is not None
    assert log.results.scores[0].metrics["success"].value == 1.0


def test_a_hub_id_is_fetched_and_checked_like_a_folder(frozen: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def fetch(repo: str, repo_type: str, allow_patterns: list[str]) -> str:
        asked.append((repo, repo_type, allow_patterns))
        return str(frozen)

    monkeypatch.setattr("huggingface_hub.snapshot_download", fetch)
    manifest, _ = load("owner/ops-l0")
    assert manifest.family == "ops_horizon"
    assert asked == [("owner/ops-l0", "dataset", [MANIFEST, ROWS, "README.md"])]


def test_a_hub_that_cannot_be_reached_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*args: object, **kwargs: object) -> str:
        raise OSError("no network")

    monkeypatch.setattr("huggingface_hub.snapshot_download", offline)
    with pytest.raises(ConfigError, match="owner/none"):
        load("owner/none")


def test_a_changed_row_is_refused(frozen: Path, tmp_path: Path) -> None:
    folder = copy(frozen, tmp_path / "s")
    rows = [dict(r) for r in datasets.Dataset.from_parquet(str(folder / ROWS), cache_dir=str(tmp_path / "c"))]
    rows[0]["input"] = rows[0]["input"].replace("bay", "day")
    datasets.Dataset.from_list(rows).to_parquet(str(folder / ROWS))
    with pytest.raises(EvidenceError, match="rows are not those"):
        load(str(folder))


def test_a_dropped_row_is_refused(frozen: Path, tmp_path: Path) -> None:
    folder = copy(frozen, tmp_path / "s")
    rows = [dict(r) for r in datasets.Dataset.from_parquet(str(folder / ROWS), cache_dir=str(tmp_path / "c"))]
    datasets.Dataset.from_list(rows[1:]).to_parquet(str(folder / ROWS))
    with pytest.raises(EvidenceError, match="rows are not those"):
        load(str(folder))


@pytest.mark.parametrize(
    ("changes", "error", "says"),
    [
        ({"fingerprint": "0" * 64}, EvidenceError, "does not bind"),
        ({"seed_commitment": "0" * 64}, EvidenceError, "does not bind"),
        ({"content_sha256": "0" * 64}, EvidenceError, "rows are not those"),
        ({"n_samples": 7}, EvidenceError, "rows are not those"),
        ({"version": "2-A"}, ConfigError, "not comparable"),
        ({"schema": 2}, ConfigError, "schema 2"),
        ({"family": "ops_horizn"}, ConfigError, "ops_horizon"),
        ({"arguments": {"levell": "0"}}, ConfigError, "levell"),
        ({"arguments": {"level": "0-1", "n": 2}}, EvidenceError, "other samples"),
        ({"surprise": 1}, ConfigError, "surprise"),
        ({"n_samples": "many"}, ConfigError, "n_samples"),
    ],
)
def test_a_manifest_that_does_not_match_is_refused_with_the_reason(
    frozen: Path, tmp_path: Path, changes: dict[str, object], error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        load(str(edit(copy(frozen, tmp_path / "s"), **changes)))


def test_a_broken_parquet_file_and_a_missing_one_are_refused(frozen: Path, tmp_path: Path) -> None:
    folder = copy(frozen, tmp_path / "s")
    (folder / ROWS).write_bytes(b"PAR1 not a table")
    with pytest.raises(EvidenceError, match="cannot be read"):
        load(str(folder))
    (folder / ROWS).unlink()
    with pytest.raises(EvidenceError, match="holds no"):
        load(str(folder))


def test_no_set_at_the_source_and_an_existing_target_are_refused(frozen: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"holds no dangercurve\.json"):
        load(str(tmp_path))
    with pytest.raises(ConfigError, match="no folder"):
        load("./nowhere")
    with pytest.raises(ConfigError, match="never overwritten"):
        freeze("ops_horizon", frozen, ARGUMENTS)


def test_a_private_set_needs_its_salt_and_never_holds_it(tmp_path: Path, frozen: Path) -> None:
    salt, other = tmp_path / "salt", tmp_path / "other"
    made = new_salt(salt)
    new_salt(other)
    manifest = freeze("ops_horizon", tmp_path / "p", SetArguments(n=1), str(salt))
    assert manifest.seed_commitment == made.commitment
    assert load(str(tmp_path / "p"), str(salt))[0] == manifest
    for wrong in ("dev", str(other)):
        with pytest.raises(ConfigError, match="another salt"):
            load(str(tmp_path / "p"), wrong)
    for path in (tmp_path / "p").rglob("*.*"):
        content = path.read_bytes()
        assert made.value not in content
        assert made.value.hex().encode() not in content
    assert "do not publish" in (tmp_path / "p" / "README.md").read_text()
    salt.with_name("salt.commitment").unlink()
    with pytest.raises(ConfigError, match="no commitment"):
        freeze("ops_horizon", tmp_path / "q", SetArguments(n=1), str(salt))


def test_a_set_whose_generator_changed_is_refused(
    frozen: Path, changed_generator: Family, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dangercurve.tasks.kernel.task.require_golden", lambda family: None)
    with pytest.raises(EvidenceError, match="were changed since"):
        load(str(frozen))


def test_the_verbs_freeze_and_load(tmp_path: Path) -> None:
    runner = CliRunner()
    folder = str(tmp_path / "s")
    made = runner.invoke(cli, ["tasks", "freeze", "ops_horizon", folder, "-n", "1", "--format", "json"])
    assert made.exit_code == 0, made.output
    read = runner.invoke(cli, ["tasks", "load", folder, "--format", "json"])
    assert json.loads(read.output) == json.loads(made.output)
