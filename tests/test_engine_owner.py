"""A location that several machines reach belongs to one run folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dangercurve._errors import ConfigError
from dangercurve.evals.engines.location import Location
from dangercurve.evals.engines.owner import OWNER, Ownership


@pytest.fixture
def place(request: pytest.FixtureRequest) -> Location:
    return Location(f"memory://owner/{request.node.name}")


def folder(root: Path, name: str) -> Path:
    made = root / name
    made.mkdir()
    return made


def test_a_location_is_taken_by_one_run_folder_and_kept_by_it(place: Location, tmp_path: Path) -> None:
    first, second = folder(tmp_path, "a"), folder(tmp_path, "b")
    Ownership(place, first).take()
    Ownership(place, first).take()
    with pytest.raises(ConfigError, match="belongs to another run folder"):
        Ownership(place, second).take()
    Ownership(place, first).check()


def test_of_two_drivers_that_both_wrote_the_first_stops_before_it_binds(
    place: Location, tmp_path: Path
) -> None:
    first = Ownership(place, folder(tmp_path, "a"))
    first.take()
    place.remove(OWNER)
    Ownership(place, folder(tmp_path, "b")).take()
    with pytest.raises(ConfigError, match="belongs to another run folder"):
        first.check()


def test_a_claim_that_was_removed_meanwhile_is_said(place: Location, tmp_path: Path) -> None:
    owner = Ownership(place, folder(tmp_path, "a"))
    owner.take()
    place.remove(OWNER)
    with pytest.raises(ConfigError, match="was removed while this run was using it"):
        owner.check()


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"\xff", json.dumps({"run": "x"}).encode()])
def test_a_damaged_claim_is_never_taken_for_none(content: bytes, place: Location, tmp_path: Path) -> None:
    place.write(OWNER, content)
    with pytest.raises(ConfigError, match="is damaged"):
        Ownership(place, folder(tmp_path, "a")).take()


def test_a_name_in_a_claim_cannot_write_to_the_terminal(place: Location, tmp_path: Path) -> None:
    place.write(OWNER, json.dumps({"run": "\x1b[31mred", "since": "x" * 1000}).encode())
    with pytest.raises(ConfigError) as caught:
        Ownership(place, folder(tmp_path, "a")).take()
    assert "\x1b" not in str(caught.value) and len(str(caught.value)) < 500


def test_the_run_folder_itself_needs_no_claim(tmp_path: Path) -> None:
    owner = Ownership(Location(str(tmp_path)), tmp_path)
    owner.take()
    owner.check()
    assert not (tmp_path / OWNER).exists()


def test_another_folder_of_this_machine_is_claimed_like_any_other(tmp_path: Path) -> None:
    shared = Location(str(folder(tmp_path, "shared")))
    Ownership(shared, folder(tmp_path, "a")).take()
    with pytest.raises(ConfigError, match="belongs to another run folder"):
        Ownership(shared, folder(tmp_path, "b")).take()
