"""YAML files as validated models: unknown keys are refused with a suggestion, every error names file and line."""

from __future__ import annotations

import hashlib
import re
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from dangercurve._errors import ConfigError, did_you_mean
from dangercurve._text import printable

M = TypeVar("M", bound=BaseModel)
Loc = tuple[str | int, ...]
MAX_BYTES = 1_000_000
MAX_DEPTH = 64
_NUMBER = re.compile(r"[-+0-9_:.a-fA-FxXoO]+")
_LOADER: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def load_strict(path: Path | str, model: type[M]) -> tuple[M, str]:
    """The file as an instance of `model`, and the SHA-256 of its bytes.

    Raises ConfigError `FILE:LINE: key: what is wrong` for a file that cannot be read, is no UTF-8 or YAML, has a
    key twice, an alias, or does not validate.
    """
    target = Path(path)
    try:
        raw = target.read_bytes()
    except OSError as exc:
        raise ConfigError(f"cannot read {target}: {exc.strerror or exc}") from exc
    return parse_strict(raw, model, target.name), hashlib.sha256(raw).hexdigest()


def load_plain(path: Path) -> object:
    """The data in a YAML file that no model describes, under the same bounds. Raises ConfigError like `load_strict`."""
    try:
        raw = path.read_bytes()
    except OSError as exc:
        raise ConfigError(f"cannot read {path.name}: {exc.strerror or exc}") from exc
    return _parse(_decoded(raw, path.name), path.name)[0]


def parse_strict(raw: bytes, model: type[M], name: str) -> M:
    """`raw` YAML as an instance of `model`; `name` stands for the file in errors. See `load_strict`."""
    data, lines = _parse(_decoded(raw, name), name)
    if not isinstance(data, dict):
        raise ConfigError(f"{name}:1: expected keys and values at the top, found {type(data).__name__}")
    try:
        return model.model_validate(data)
    except ValidationError as exc:
        raise ConfigError(_explain(exc, model, lines, name)) from exc


def _decoded(raw: bytes, name: str) -> str:
    if len(raw) > MAX_BYTES:
        raise ConfigError(f"{name}: {len(raw)} bytes; a file of this kind has at most {MAX_BYTES}")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as exc:
        raise ConfigError(f"{name}: not UTF-8 text (byte {exc.start})") from exc


def _bound(text: str, name: str) -> None:
    """Refuse, from the stream of events, what is nested too deep (to compose it would overrun the C stack) and numbers
    of thousands of digits (to construct one in base 60 takes the square of its length)."""
    depth = 0
    for event in yaml.parse(text, _LOADER):
        if isinstance(event, (yaml.SequenceStartEvent, yaml.MappingStartEvent)):
            depth += 1
            if depth > MAX_DEPTH:
                raise ConfigError(f"{name}:{_line(event)}: not YAML: nested deeper than {MAX_DEPTH} levels")
        elif isinstance(event, (yaml.SequenceEndEvent, yaml.MappingEndEvent)):
            depth -= 1
        elif (
            isinstance(event, yaml.ScalarEvent) and len(event.value) > 400 and _NUMBER.fullmatch(event.value)
        ):
            raise ConfigError(f"{name}:{_line(event)}: a number of {len(event.value)} characters")


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark else 1


def _parse(text: str, name: str) -> tuple[object, dict[Loc, int]]:
    lines: dict[Loc, int] = {}
    try:
        _bound(text, name)
        loader = _LOADER(text)
        try:
            node = loader.get_single_node()
            if node is None:
                raise ConfigError(f"{name}:1: the file is empty")
            _walk(node, (), lines, set(), name)
            return loader.construct_document(node), lines  # type: ignore[no-untyped-call, unused-ignore]
        finally:
            loader.dispose()  # type: ignore[no-untyped-call, unused-ignore]
    except yaml.MarkedYAMLError as exc:
        line = exc.problem_mark.line + 1 if exc.problem_mark else 1
        raise ConfigError(f"{name}:{line}: not YAML: {printable(exc.problem or exc)}") from exc
    except (yaml.YAMLError, ValueError, RecursionError) as exc:
        raise ConfigError(f"{name}: not YAML: {printable(exc)}") from exc


def _walk(node: yaml.Node, loc: Loc, lines: dict[Loc, int], seen: set[int], name: str) -> None:
    lines[loc] = node.start_mark.line + 1
    if isinstance(node, yaml.ScalarNode):
        return
    if id(node) in seen:
        raise ConfigError(f"{name}:{node.start_mark.line + 1}: anchors and aliases are not allowed here")
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            _walk(item, (*loc, index), lines, seen, name)
    elif isinstance(node, yaml.MappingNode):
        keys: set[str] = set()
        for key, value in node.value:
            word = str(key.value)
            line = key.start_mark.line + 1
            if word in keys:
                raise ConfigError(
                    f"{name}:{line}: the key '{printable(word)}' stands twice in {_dotted(loc) or 'the file'}"
                )
            if word == "<<":
                raise ConfigError(f"{name}:{line}: merge keys are not allowed here")
            keys.add(word)
            _walk(value, (*loc, word), lines, seen, name)
            lines[(*loc, word)] = line


def _explain(exc: ValidationError, model: type[BaseModel], lines: Mapping[Loc, int], name: str) -> str:
    problems = list(exc.errors(include_url=False))
    first = problems[0]
    loc = tuple(part for part in first["loc"] if not (isinstance(part, str) and part.startswith("function-")))
    line = next((lines[loc[:n]] for n in range(len(loc), -1, -1) if loc[:n] in lines), 1)
    if first["type"] == "extra_forbidden":
        said = f"unknown key{did_you_mean(str(loc[-1]), _keys_at(model, loc[:-1]))}"
    else:
        said = first["msg"].removeprefix("Value error, ")
        if first["type"] == "literal_error":
            allowed = [
                part.strip("' ") for part in str(first["ctx"]["expected"]).replace(" or ", ", ").split(",")
            ]
            said = f"'{printable(first['input'])}' is not allowed{did_you_mean(str(first['input']), allowed)}"
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    where = f"{printable(_dotted(loc))}: " if loc else ""
    return f"{name}:{line}: {where}{said}{more}"


def _dotted(loc: Loc) -> str:
    text = ""
    for part in loc:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _keys_at(model: type[BaseModel], loc: Loc) -> list[str]:
    """The keys that `model` knows at the place `loc`."""
    current: list[type[BaseModel]] = [model]
    for part in loc:
        if isinstance(part, int):
            continue
        below: list[type[BaseModel]] = []
        for kind in current:
            field = kind.model_fields.get(part)
            below += list(_models(field.annotation)) if field is not None else []
        current = below or current
    return [field.alias or key for kind in current for key, field in kind.model_fields.items()]


def _models(annotation: object) -> Iterator[type[BaseModel]]:
    if typing.get_origin(annotation) is None and isinstance(annotation, type):
        if issubclass(annotation, BaseModel):
            yield annotation
        return
    for argument in typing.get_args(annotation):
        yield from _models(argument)
