"""The guide of rooms tells every setting with its default, every endpoint and every outcome."""

import json
import re
from typing import Any, cast, get_args

import msgspec
import pytest

from sunseo.core.outcome import Outcome
from sunseo.room.board.state_routes import state_endpoints
from sunseo.room.pacing.signals import signal_endpoints
from sunseo.room.setup.fixed import INSTEAD, MODES, STRICTER_HOLDERS, Stage
from sunseo.room.setup.revoking import revoking_endpoints
from sunseo.room.setup.settings import Mode, RoomSettings
from sunseo.room.setup.setup_routes import room_setup_endpoints
from sunseo.web.endpoint import Endpoint
from tests.docs.pages import text_of

GUIDE = "docs/guides/room-operator.md"


def endpoints() -> list[Endpoint]:
    nothing = cast("Any", None)  # endpoints are described, not called
    return [
        *room_setup_endpoints(nothing, nothing, nothing, nothing),
        *revoking_endpoints(nothing),
        *signal_endpoints(nothing),
        *state_endpoints(nothing, nothing),
    ]


@pytest.mark.parametrize("name", RoomSettings.__struct_fields__)
def test_setting_is_described_with_its_default(name: str) -> None:
    """Each setting of a room has a row, and the row tells the default that the code has."""
    row = re.search(rf"^\| `{name}` \| `(?P<default>[^`]+)` \|", text_of(GUIDE), re.MULTILINE)

    assert row is not None
    default = msgspec.to_builtins(getattr(RoomSettings(), name))
    assert json.loads(row["default"]) == json.loads(msgspec.json.encode(default))


def test_no_setting_is_described_that_does_not_exist() -> None:
    """Rows of the settings' tables are settings of a room."""
    part = text_of(GUIDE).split("## Settings")[1].split("## Openings that come again")[0]
    rows = re.findall(r"^\| `(\w+)` \|", part, re.MULTILINE)

    assert sorted(rows) == sorted(RoomSettings.__struct_fields__)


@pytest.mark.parametrize("endpoint", endpoints(), ids=lambda endpoint: endpoint.name)
def test_endpoint_is_described(endpoint: Endpoint) -> None:
    """Each endpoint has a row, with method and path."""
    path = re.sub(r":\w+\}", "}", endpoint.path)

    assert f"| `{endpoint.method} {path}` |" in text_of(GUIDE)


def outcomes() -> set[Outcome]:
    return {outcome for endpoint in endpoints() for outcome in endpoint.outcomes or ()}


@pytest.mark.parametrize("code", sorted({outcome.code for outcome in outcomes()}))
def test_outcome_is_described(code: str) -> None:
    """Each outcome that these endpoints can answer has a row."""
    assert re.search(rf"^\| [^|]*`{code}`[^|]* \|", text_of(GUIDE), re.MULTILINE)


def test_what_may_change_is_told_as_the_rule_has_it() -> None:
    """The table of stages has a row for each, with the modes and holders it allows."""
    part = text_of(GUIDE).split("### What may change while people are in line")[1]
    part = part.split("## Openings that come again")[0]
    rows = re.findall(r"^\| ([^|]+) \| ([^|]+) \| (yes|no) \| ([^|]+) \|$", part, re.MULTILINE)
    every = get_args(Mode)
    expected = []
    for stage in Stage:
        modes = [f"`{mode}`" for mode in every if mode in MODES[stage]]
        stricter = stage in STRICTER_HOLDERS
        is_free = len(modes) == len(every)
        expected.append(
            (
                stage.value,
                "any" if is_free else ", ".join(modes),
                "yes" if stricter else "no",
                "\u2013" if is_free and stricter else INSTEAD[stage],
            )
        )

    assert rows == expected


def test_examples_of_the_schedule_are_settings() -> None:
    """The JSON of the guide is accepted as it stands."""
    (block,) = re.findall(r"```json\n(.*?)```", text_of(GUIDE), re.DOTALL)

    settings = msgspec.convert(json.loads(block)["settings"], RoomSettings)

    assert [opening.time for opening in settings.schedule] == ["09:00", "14:00", "23:30"]
