"""Time zones mean the same everywhere, also where the system has no zone files."""

import importlib.metadata
import zoneinfo
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from sunseo.core.zones import is_zone
from sunseo.room.setup.schedule import phase_at
from sunseo.room.setup.settings import Opening, RoomSettings


@pytest.fixture
def slim() -> Iterator[None]:
    """A machine without zone files, as slim images are."""
    zoneinfo.reset_tzpath(to=())
    zoneinfo.ZoneInfo.clear_cache()
    yield
    zoneinfo.reset_tzpath()
    zoneinfo.ZoneInfo.clear_cache()


@pytest.mark.usefixtures("slim")
def test_a_machine_without_zone_files_keeps_rooms_in_every_zone() -> None:
    """UTC, which a room has by itself, and all others come from the package that is depended on."""
    required = importlib.metadata.requires("sunseo") or []
    assert any(one.startswith("tzdata") and ";" not in one for one in required)

    for zone in ("UTC", "Asia/Seoul", "America/Argentina/Buenos_Aires"):
        assert is_zone(zone)
    settings = RoomSettings(time_zone="Asia/Seoul", schedule=(Opening("20:00", 60),))
    assert phase_at(settings, datetime(2026, 11, 22, 11, 30, tzinfo=UTC)).phase == "open"


@pytest.mark.parametrize(
    "name",
    [
        *("America", "Asia/Soul", "", ".", "..", "/etc/localtime", "../Asia/Seoul", "Asia/Seoul/"),
        *("localtime", "posixrules", "Factory", "posix/Asia/Seoul", "right/Asia/Seoul"),
        *("tzdata.zi", "zone.tab", "한국", "Asia/Seoul\x00", "x" * 64, "\ud800"),
    ],
)
def test_what_is_no_zone_or_only_this_machines_is_none(name: str) -> None:
    """Folders, files beside the zones, paths, and zones that each machine has another of."""
    assert not is_zone(name)
