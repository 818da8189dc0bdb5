"""Claims about model records: facts that cannot be meant are refused, unknown compute is never a number."""

from __future__ import annotations

import json
import textwrap
from collections import defaultdict
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from dangercurve._errors import ConfigError
from dangercurve.evals.models import (
    REGISTRY,
    ModelRecord,
    audit,
    find,
    load_registry,
    lookup,
    read_records,
)

GOOD = {
    "model": "hf/org/name",
    "model_family": "Family",
    "developer": "Org",
    "params_total": 7_000_000_000,
    "training_tokens": 2_000_000_000_000,
    "flop_method": "6ND",
    "access": "open",
    "sources": ["a published table"],
    "verified": True,
    "release_date": "2024-01-01",
}


def record(**changes: object) -> ModelRecord:
    return ModelRecord.model_validate({**GOOD, **changes})


def errors(item: ModelRecord) -> list[str]:
    return [finding.check for finding in audit(item) if finding.severity == "error"]


def write(folder: Path, text: str, name: str = "extra.yaml") -> Path:
    path = folder / name
    path.write_text(textwrap.dedent(text), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def registry() -> dict[str, ModelRecord]:
    return load_registry()


def test_the_registry_holds_sixty_open_models_of_ten_families(registry: dict[str, ModelRecord]) -> None:
    complete = [
        item
        for item in registry.values()
        if item.access == "open" and item.verified and item.training_flop and item.sources
    ]
    assert len(complete) >= 60
    assert len({item.model_family for item in complete}) >= 10
    sizes = defaultdict(set)
    for item in complete:
        sizes[item.model_family].add(item.params_active)
    assert sum(len(values) >= 4 for values in sizes.values()) >= 8, "too few families with four or more sizes"


def test_no_packaged_record_has_an_audit_error() -> None:
    found = [
        finding
        for path in sorted(REGISTRY.glob("*.yaml"))
        for item in read_records(path)
        for finding in audit(item)
        if finding.severity == "error"
    ]
    assert found == []


def test_the_real_local_model_is_known_to_the_parameter(registry: dict[str, ModelRecord]) -> None:
    item = lookup(registry, "local/smollm2-135m-instruct")
    assert (item.params_total, item.training_tokens) == (134_515_008, 2_000_000_000_000)
    assert item.training_flop == pytest.approx(6 * 134_515_008 * 2e12)
    assert item.weights_sha256 is not None
    assert lookup(registry, "hf/HuggingFaceTB/SmolLM2-135M-Instruct") is item


def test_every_parent_and_base_is_a_record(registry: dict[str, ModelRecord]) -> None:
    named = {name for item in registry.values() for name in (*item.parents, item.variant_of) if name}
    assert named and all(find(registry, name) for name in named)


def test_a_record_with_6nd_gets_its_compute() -> None:
    assert record().training_flop == 6.0 * 7e9 * 2e12


def test_only_active_parameters_count_for_compute() -> None:
    sparse = record(params_total="236e9", params_active="21e9", training_tokens="8.1e12")
    assert sparse.training_flop == pytest.approx(6 * 21e9 * 8.1e12)


def test_unknown_compute_stays_unknown() -> None:
    item = record(flop_method=None, training_tokens=None)
    assert item.training_flop is None and item.log10_flop is None and item.log10_effective_flop is None
    assert "no-compute" in [finding.check for finding in audit(item)]


@pytest.mark.parametrize("factor", [1000.0, 11.0, 0.09, 0.001])
def test_compute_off_by_more_than_ten_is_an_error_unless_explained(factor: float) -> None:
    flop = 6 * 7e9 * 2e12 * factor
    off = {"flop_method": "published", "training_flop": flop}
    assert errors(record(**off)) == ["6ND"]
    assert errors(record(**off, flop_note="counts the teacher's tokens")) == []


@pytest.mark.parametrize("factor", [9.9, 1.0, 0.11])
def test_compute_within_ten_passes(factor: float) -> None:
    assert errors(record(flop_method="published", training_flop=6 * 7e9 * 2e12 * factor)) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"params_total": 7, "training_tokens": 2},
        {"training_tokens": 2000},
        {"flop_method": "published", "training_tokens": None, "training_flop": 8.4},
    ],
)
def test_counts_written_in_billions_are_an_error_even_where_they_agree(changes: dict[str, object]) -> None:
    assert "units" in errors(record(**changes))


def test_a_figure_that_is_not_6nd_may_not_call_itself_6nd() -> None:
    assert errors(record(training_flop=1.5 * 6 * 7e9 * 2e12)) == ["method"]


@given(
    n=st.floats(1e6, 1e12),
    d=st.floats(1e8, 1e14),
    shift=st.floats(-4, 4).filter(lambda s: abs(abs(s) - 1) > 0.01),
)
@settings(max_examples=60, deadline=None)
def test_the_audit_is_exactly_a_factor_of_ten(n: float, d: float, shift: float) -> None:
    item = record(
        params_total=round(n),
        training_tokens=round(d),
        flop_method="estimate",
        training_flop=6.0 * round(n) * round(d) * 10**shift,
    )
    assert ("6ND" in errors(item)) == (abs(shift) > 1)


def test_effective_compute_stands_beside_the_physical_figure() -> None:
    item = record(algorithmic_efficiency=10.0, data_quality=0.1)
    physical = item.log10_flop
    assert physical is not None and item.log10_effective_flop == pytest.approx(physical)
    better = record(algorithmic_efficiency=10.0)
    assert better.log10_effective_flop == pytest.approx(physical + 1) and better.log10_flop == physical


def test_the_same_weights_are_found_under_another_provider(registry: dict[str, ModelRecord]) -> None:
    for name in ("vllm/meta-llama/Llama-2-7b-hf", "meta-llama/llama-2-7b-hf"):
        assert lookup(registry, name).model == "hf/meta-llama/Llama-2-7b-hf"


def test_an_unknown_model_is_one_line_with_a_suggestion(registry: dict[str, ModelRecord]) -> None:
    with pytest.raises(ConfigError, match=r"did you mean 'hf/EleutherAI/pythia-70m-deduped'"):
        lookup(registry, "hf/EleutherAI/pythia-70m-dedupped")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("model: a\nparms_total: 3\n", r"unknown key 'parms_total' \(did you mean 'params_total'\?\)"),
        ("model: a\nmodel_family: b\n", "developer: Field required"),
        ("model_family: b\nmodels: []\n", "at least one record"),
        ("model: [a\n", "not YAML"),
        ("model: a\nmodel: b\n", "twice"),
        ("- 1\n", "expected keys"),
    ],
)
def test_a_bad_file_is_one_clear_line(tmp_path: Path, text: str, message: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(ConfigError, match=message) as caught:
        read_records(path)
    assert "\n" not in str(caught.value) and path.name in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"params_active": 8e9}, "exceeds params_total"),
        ({"training_flop": 1e23, "flop_method": None}, "without flop_method"),
        ({"training_tokens": None}, "without training_flop"),
        ({"sources": []}, "verified without sources"),
        ({"params_total": -1}, "greater than 0"),
        ({"params_total": float("inf")}, "finite"),
        ({"release_date": "soon"}, "date"),
        ({"access": "secret"}, "open"),
    ],
)
def test_a_record_that_cannot_be_meant_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        record(**changes)


EXTRA = """
    model_family: Mine
    developer: Me
    access: internal
    flop_method: 6ND
    models:
      - {model: api/mine-1, params_total: 1e9, training_tokens: 2e10}
      - {model: api/mine-2, params_total: 2e9, training_tokens: 4e10}
"""


def test_own_records_are_read_after_those_of_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path, EXTRA)
    assert load_registry(path)["api/mine-2"].training_flop == 6.0 * 2e9 * 4e10
    monkeypatch.setenv("DANGERCURVE_REGISTRY", str(tmp_path))
    assert "api/mine-1" in load_registry()


def test_loading_a_thousandfold_error_is_refused_with_the_file_and_the_model(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        """
        {model: api/off, model_family: F, developer: D, access: api, params_total: 7e9, training_tokens: 2e12,
         training_flop: 8.4e25, flop_method: published}
        """,
    )
    with pytest.raises(ConfigError, match=r"extra\.yaml: api/off: .* is 1e\+03 times 6 x") as caught:
        load_registry(path)
    assert caught.value.exit_code == 2


def test_the_verb_lists_every_field_of_every_record(registry: dict[str, ModelRecord]) -> None:
    from dangercurve.evals.verbs.models import command

    result = CliRunner().invoke(command, ["--format", "json"], catch_exceptions=False)
    rows = json.loads(result.stdout)
    assert len(rows) == len(registry)
    assert all(set(row) == set(ModelRecord.model_fields) for row in rows)
    assert ModelRecord.model_validate(rows[0]) == registry[rows[0]["model"]]


def test_the_audit_verb_fails_with_two_and_names_the_check(tmp_path: Path) -> None:
    from dangercurve.evals.verbs.models import command

    path = write(tmp_path, EXTRA.replace("2e10", "2e3"))
    result = CliRunner().invoke(command, ["audit", str(path)])
    assert result.exit_code == 2 and "units" in result.stdout
    assert CliRunner().invoke(command, ["audit"]).exit_code == 0


def test_adding_a_file_with_one_error_writes_nothing(tmp_path: Path) -> None:
    from dangercurve.evals.verbs.models import command

    own = tmp_path / "own"
    bad = write(tmp_path, EXTRA.replace("4e10", "4e2"), "mine.yaml")
    failed = CliRunner().invoke(command, ["add", str(bad), "--to", str(own)])
    assert isinstance(failed.exception, ConfigError) and not own.exists()
    good = write(tmp_path, EXTRA, "mine.yaml")
    assert CliRunner().invoke(command, ["add", str(good), "--to", str(own)]).exit_code == 0
    assert "api/mine-1" in load_registry(own)
    again = CliRunner().invoke(command, ["add", str(good), "--to", str(own)])
    assert isinstance(again.exception, ConfigError) and "--replace" in str(again.exception)
