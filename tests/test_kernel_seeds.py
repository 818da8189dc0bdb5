"""Seeds: instances come from five things and nothing else; private salts are committed, kept and never overwritten."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from dangercurve._errors import ConfigError
from dangercurve.tasks.kernel.family import get_family
from dangercurve.tasks.kernel.seeds import DEV_SALT, Instance, Salt, load_salt, new_salt
from dangercurve.tasks.kernel.task import build_task, make_cell

DEV = Salt("dev", DEV_SALT)


def test_each_part_of_the_identity_changes_the_id() -> None:
    base = Instance("f", 1, 2, 3, DEV)
    others = [
        Instance("g", 1, 2, 3, DEV), Instance("f", 2, 2, 3, DEV), Instance("f", 1, 3, 3, DEV),
        Instance("f", 1, 2, 4, DEV), Instance("f", 1, 2, 3, Salt("gate", b"x" * 32)),
        Instance("f", 12, 3, 3, DEV), Instance("f|1", 2, 3, 3, DEV),
    ]  # fmt: skip
    assert len({i.instance_id for i in (base, *others)}) == 8
    assert base.instance_id == Instance("f", 1, 2, 3, Salt("another name", DEV_SALT)).instance_id


def test_streams_are_independent_of_what_was_drawn_before() -> None:
    instance = Instance("f", 1, 0, 0, DEV)
    first = instance.stream("a")
    first.random()
    assert instance.stream("b").random() == Instance("f", 1, 0, 0, DEV).stream("b").random()
    assert instance.stream("a").random() != instance.stream("b").random()


def test_instances_are_the_same_under_every_hash_seed() -> None:
    code = (
        "from dangercurve.tasks.kernel.cases import Case; from dangercurve.tasks.kernel.family import get_family\n"
        "from dangercurve.tasks.kernel.world import Setting\n"
        "for name in ('ops_horizon', 'toy_vuln'):\n"
        "    for twin in ('base', 'rendering', 'surface'):\n"
        "        print(Case(get_family(name), 3, 5, Setting(twin)).world().explain())\n"
    )
    shown = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True, check=True, text=True,
        ).stdout
        for seed in ("0", "4711")
    }  # fmt: skip
    assert len(shown) == 1


def test_the_public_instances_are_what_they_were() -> None:
    """A changed generator must bump the version: then this golden value changes with it, on purpose."""
    golden = {
        "ops_horizon": ("1-A", "1a8b35e66122d34365db50d67060a968"),
        "toy_vuln": ("1-A", "5179ee619ff273969eab3a71fa1bce8f"),
    }
    for name, (version, expected) in golden.items():
        family = get_family(name)
        assert (family.version, family.instance(3, 0, DEV).instance_id) == (version, expected)


def test_a_new_salt_is_private_committed_and_loads(tmp_path: Path) -> None:
    path = tmp_path / "gate.salt"
    made = new_salt(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert len(made.value) == 32
    loaded = load_salt(str(path))
    assert (loaded.name, loaded.value, loaded.commitment) == ("gate", made.value, made.commitment)
    committed = (tmp_path / "gate.salt.commitment").read_text().strip()
    assert committed == made.commitment
    assert made.value.hex() not in committed


@pytest.mark.parametrize("taken", ["gate.salt", "gate.salt.commitment"])
def test_a_salt_is_never_overwritten(taken: str, tmp_path: Path) -> None:
    (tmp_path / taken).write_text("mine")
    with pytest.raises(ConfigError, match="never overwritten"):
        new_salt(tmp_path / "gate.salt")
    assert (tmp_path / taken).read_text() == "mine"
    assert len(list(tmp_path.iterdir())) == 1


def changed(path: Path) -> None:
    path.write_text("ab" * 32)


def short(path: Path) -> None:
    path.write_text("ab" * 31)


def not_hex(path: Path) -> None:
    path.write_text("not a salt")


def not_text(path: Path) -> None:
    path.write_bytes(b"\xff\xfe\x00")


def gone(path: Path) -> None:
    path.unlink()


def uncommitted(path: Path) -> None:
    path.with_name(path.name + ".commitment").unlink()


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (changed, "does not match the salt"), (short, "at least 32"), (not_hex, "not hexadecimal"),
        (not_text, "not hexadecimal"), (gone, "not found"), (uncommitted, "commit before you run"),
    ],
)  # fmt: skip
def test_a_damaged_salt_is_refused_with_what_to_do(
    damage: Callable[[Path], None], says: str, tmp_path: Path
) -> None:
    path = tmp_path / "gate.salt"
    new_salt(path)
    damage(path)
    with pytest.raises(ConfigError, match=says):
        load_salt(str(path))


def test_the_salt_is_in_no_representation_and_no_sample(tmp_path: Path) -> None:
    path = tmp_path / "gate.salt"
    salt = new_salt(path)
    hidden = salt.value.hex()
    assert hidden not in repr(salt) and repr(salt.value) not in repr(salt)
    assert repr(salt.value) not in repr(Instance("f", 1, 0, 0, salt))
    task = build_task(make_cell(get_family("toy_vuln"), level="0-1", n=2, salt=str(path), interface="choice"))
    written = json.dumps([task.metadata, *(s.model_dump(mode="json") for s in task.dataset)], default=str)
    assert hidden not in written and repr(salt.value) not in written
    assert salt.commitment in written


def test_a_private_salt_gives_other_instances_and_the_same_ones_again(tmp_path: Path) -> None:
    path = tmp_path / "gate.salt"
    new_salt(path)
    family = get_family("ops_horizon")
    ids = [
        [family.instance(2, i, load_salt(source)).instance_id for i in range(20)]
        for source in ("dev", str(path))
    ]
    assert not set(ids[0]) & set(ids[1])
    assert ids[1] == [family.instance(2, i, load_salt(str(path))).instance_id for i in range(20)]


def test_a_negative_level_is_refused() -> None:
    with pytest.raises(ConfigError, match="levels start at 0"):
        get_family("toy_vuln").instance(-1, 0, DEV)
