"""ModelRecords and their registry: what is publicly known of a model's size, data, compute and dates.

A registry file holds one model family: keys shared by the family at the top, one entry a model under `models:`.
An entry overrides the family. Every record is checked against `6 * N_active * D` (`audit`).
"""

from __future__ import annotations

import datetime as dt
import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from dangercurve._errors import ConfigError, did_you_mean
from dangercurve._text import printable
from dangercurve.evals.strict_yaml import load_strict

REGISTRY = Path(__file__).parent / "registry"
REGISTRY_VARIABLE = "DANGERCURVE_REGISTRY"
"""Environment variable that names a file or folder of the user's own records."""
UNIT_FACTOR = 10.0
"""How far tokens or FLOP may lie from `6 * N_active * D` before a unit error is assumed."""

Modality = Literal["text", "code", "text+image", "multimodal", "episodes"]
FlopMethod = Literal["published", "counted", "6ND", "estimate"]
Access = Literal["open", "api", "internal"]


def _number(value: object) -> object:
    """YAML 1.1 reads `2e12` as text and `2.0e+12` as a float; both mean the same count."""
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return value
    if isinstance(value, float) and math.isfinite(value) and value == round(value):
        return round(value)
    return value


def _float(value: object) -> object:
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


Count = Annotated[int, BeforeValidator(_number), Field(gt=0)]
Flop = Annotated[float, BeforeValidator(_number), BeforeValidator(_float), Field(gt=0, allow_inf_nan=False)]
Multiplier = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Name = Annotated[str, Field(min_length=1, max_length=300, pattern=r"^[^\x00-\x1f\x7f]+$")]


class ModelRecord(BaseModel):
    """Published facts of one model. `training_flop` is filled in as `6 * params_active * training_tokens`
    where `flop_method` is `6ND`; unknown compute stays None and is never a number.

    `model` is the Inspect id; `aliases` are further ids under which the same weights are served.
    Unverified records stay out of default fits.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: Name
    model_family: Name
    modality: Modality = "text"
    developer: Name
    params_total: Count
    params_active: Count
    training_tokens: Count | None = None
    training_flop: Flop | None = None
    flop_method: FlopMethod | None = None
    flop_log10_sd: Annotated[float, Field(ge=0, le=3)] | None = None
    flop_note: str | None = None
    data_quality: Multiplier = 1.0
    algorithmic_efficiency: Multiplier = 1.0
    release_date: dt.date | None = None
    weights_sha256: Sha256 | None = None
    variant_of: Name | None = None
    context_length: Count | None = None
    access: Access
    parents: tuple[Name, ...] = ()
    sources: tuple[Name, ...] = ()
    verified: bool = False
    aliases: tuple[Name, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _fill(cls, data: object) -> object:
        if not isinstance(data, Mapping):
            return data
        filled = dict(data)
        if "params_total" in filled:
            filled.setdefault("params_active", filled["params_total"])
        tokens, active = _number(filled.get("training_tokens")), _number(filled.get("params_active"))
        wanted = filled.get("flop_method") == "6ND" and filled.get("training_flop") is None
        if wanted and isinstance(tokens, int) and isinstance(active, int):
            filled["training_flop"] = 6.0 * active * tokens
        return filled

    @model_validator(mode="after")
    def _consistent(self) -> ModelRecord:
        if self.params_active > self.params_total:
            raise ValueError(
                f"params_active {self.params_active:,} exceeds params_total {self.params_total:,}"
            )
        if self.training_flop is not None and self.flop_method is None:
            raise ValueError("training_flop without flop_method: say published, counted, 6ND or estimate")
        if self.training_flop is None and self.flop_method is not None:
            raise ValueError(
                f"flop_method {self.flop_method} without training_flop (6ND needs training_tokens)"
            )
        if self.verified and not self.sources:
            raise ValueError("verified without sources: name the source that was read")
        return self

    @property
    def log10_flop(self) -> float | None:
        """log10 of the physical training compute, or None where it is unknown."""
        return None if self.training_flop is None else math.log10(self.training_flop)

    @property
    def log10_effective_flop(self) -> float | None:
        """log10 of compute x algorithmic efficiency x data quality; beside the physical figure, never for it."""
        physical = self.log10_flop
        if physical is None:
            return None
        return physical + math.log10(self.algorithmic_efficiency * self.data_quality)


@dataclass(frozen=True)
class Finding:
    """One thing that an audit says of a record. An `error` keeps the record out; a `warning` does not."""

    model: str
    severity: Literal["error", "warning"]
    check: str
    message: str


def audit(record: ModelRecord) -> list[Finding]:
    """The 6ND unit audit and the unit plausibility of one record.

    error `6ND`: tokens or FLOP off by more than 10x from `6 * N_active * D` without a `flop_note`.
    error `method`: `flop_method: 6ND` with a figure that is not 6ND (1 %).
    error `units`: counts outside anything that was ever trained, as when billions were written as 7.
    warning `implied-tokens`: compute without tokens implies an odd number of tokens a parameter.
    warning `no-compute`, `no-date`, `unverified`: the record cannot enter some default fits.
    """
    found: list[Finding] = []

    def add(severity: Literal["error", "warning"], check: str, message: str) -> None:
        found.append(Finding(record.model, severity, check, message))

    n, d, c = record.params_active, record.training_tokens, record.training_flop
    for name, value, low, high, unit in (
        ("params_total", record.params_total, 1e3, 1e14, "parameters"),
        ("params_active", n, 1e3, 1e14, "parameters"),
        ("training_tokens", d, 1e4, 1e16, "tokens"),
        ("training_flop", c, 1e7, 1e29, "FLOP"),
    ):
        if value is not None and not low <= value <= high:
            add(
                "error", "units", f"{name} is {value:.3g}: count {unit}, not thousands, billions or trillions"
            )
    if c is not None and d is not None:
        expected = 6.0 * n * d
        ratio = c / expected
        if record.flop_method == "6ND" and abs(ratio - 1) > 0.01:
            add(
                "error",
                "method",
                f"flop_method is 6ND but {c:.3g} FLOP is not 6 x {n:.3g} x {d:.3g} = {expected:.3g}",
            )
        elif not 1 / UNIT_FACTOR <= ratio <= UNIT_FACTOR and not record.flop_note:
            add(
                "error",
                "6ND",
                f"{c:.3g} FLOP is {ratio:.3g} times 6 x {n:.3g} x {d:.3g} = {expected:.3g}: "
                "mend the unit or explain it in flop_note",
            )
    elif c is not None and not 0.1 <= c / (6.0 * n * n) <= 1e5 and not record.flop_note:
        add(
            "warning",
            "implied-tokens",
            f"{c:.3g} FLOP implies {c / (6.0 * n):.3g} tokens for {n:.3g} parameters",
        )
    if c is None:
        add("warning", "no-compute", "no training compute: stays out of fits against compute")
    if record.release_date is None:
        add("warning", "no-date", "no release date: stays out of fits against time")
    if not record.verified:
        add("warning", "unverified", "not verified against a source: stays out of default fits")
    return found


def read_records(path: Path) -> list[ModelRecord]:
    """The records of one registry file (a family with `models:`, or one record); no audit.

    Raises ConfigError naming the file, the model and the key.
    """
    loaded, _ = load_strict(path, _AnyKeys)
    return [_parse(entry, path) for entry in _entries(dict(loaded.model_extra or {}), path)]


def load_registry(extra: Path | None = None) -> dict[str, ModelRecord]:
    """All records by Inspect id: those that come with the package, then those of `extra` (a file or a folder of YAML).

    `extra` defaults to the path in the environment variable DANGERCURVE_REGISTRY, where that is set. A record of
    `extra` replaces the packaged one of the same id. Raises ConfigError for an unreadable file, an
    unknown key, an id given twice in one place, and the first audit error.
    """
    records = _load_all(registry_files(REGISTRY))
    named = os.environ.get(REGISTRY_VARIABLE)
    if extra is None and named:
        extra = Path(named)
    if extra is not None:
        records |= _load_all(registry_files(extra))
    return records


def registry_files(path: Path) -> list[Path]:
    """`path` itself, or the YAML files of the folder `path` by name."""
    if not path.is_dir():
        return [path]
    files = sorted([*path.glob("*.yaml"), *path.glob("*.yml")])
    if not files:
        raise ConfigError(f"{path} holds no .yaml file of model records")
    return files


def lookup(registry: Mapping[str, ModelRecord], model: str) -> ModelRecord:
    """The record for an Inspect id, an alias, or the same weights under another provider (`vllm/ORG/NAME`).

    Raises ConfigError with the nearest known id.
    """
    found = find(registry, model)
    if found is None:
        raise ConfigError(f"no record of model '{printable(model, 120)}'{did_you_mean(model, registry)}")
    return found


def find(registry: Mapping[str, ModelRecord], model: str) -> ModelRecord | None:
    """As `lookup`, but None for an unknown model. An ambiguous bare name is unknown."""
    if model in registry:
        return registry[model]
    exact = [record for record in registry.values() if model in record.aliases]
    if len(exact) == 1:
        return exact[0]
    wanted = {name for name in (model.casefold(), _bare(model)) if "/" in name}
    near = [
        record
        for record in registry.values()
        if wanted & {_bare(name) for name in (record.model, *record.aliases)}
    ]
    return near[0] if len(near) == 1 else None


def _bare(model: str) -> str:
    """An id without its provider: `hf/ORG/NAME` is `org/name`, also behind a service or a hosted prefix."""
    parts = model.casefold().split("/")
    return "/".join(parts[-2:]) if len(parts) > 2 else "/".join(parts)


def _load_all(files: Iterable[Path]) -> dict[str, ModelRecord]:
    records: dict[str, ModelRecord] = {}
    for path in files:
        for record in read_records(path):
            if record.model in records:
                raise ConfigError(f"{path}: model '{printable(record.model, 120)}' is given twice")
            errors = [finding for finding in audit(record) if finding.severity == "error"]
            if errors:
                raise ConfigError(f"{path}: {printable(record.model, 120)}: {printable(errors[0].message)}")
            records[record.model] = record
    return records


class _AnyKeys(BaseModel):
    """A mapping whose keys `_parse` checks one record at a time."""

    model_config = ConfigDict(extra="allow")


def _entries(loaded: dict[str, object], path: Path) -> list[dict[str, object]]:
    if "models" not in loaded:
        return [loaded]
    models = loaded.pop("models")
    if "model" in loaded:
        raise ConfigError(f"{path}: 'model' beside 'models': give one or the other")
    if not isinstance(models, list) or not models or not all(isinstance(entry, Mapping) for entry in models):
        raise ConfigError(f"{path}: `models` must be a list with at least one record")
    return [{str(key): value for key, value in {**loaded, **entry}.items()} for entry in models]


def _parse(entry: dict[str, object], path: Path) -> ModelRecord:
    name = printable(entry.get("model", "(no model)"), 120)
    for key in entry:
        if key not in ModelRecord.model_fields:
            known = did_you_mean(key, ModelRecord.model_fields)
            raise ConfigError(f"{path}: {name}: unknown key '{printable(key, 60)}'{known}")
    try:
        return ModelRecord.model_validate(entry)
    except ValidationError as exc:
        first = exc.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        message = first["msg"].removeprefix("Value error, ")
        raise ConfigError(f"{path}: {name}: {f'{where}: ' if where else ''}{printable(message)}") from exc
