"""What users meet is described where they read: settings, outcomes, endpoints, events, metrics."""

import re
import typing
from typing import Any, cast

import pytest

from sunseo.booking.commands import PlaceHoldOutcome, ReleaseHoldOutcome, RenewHoldOutcome
from sunseo.booking.routes import hold_endpoints
from sunseo.booking.setup.setup import SETUP_OUTCOMES
from sunseo.booking.setup.setup_routes import setup_endpoints
from sunseo.checkout.commands import PlaceOrderOutcome, ReadOrderOutcome
from sunseo.checkout.routes import order_endpoints
from sunseo.core.later import LaterOutcome
from sunseo.core.outcome import Outcome
from sunseo.identity.guests import guest_endpoints
from sunseo.journal.events import Event
from sunseo.settings import PREFIX, Settings
from sunseo.web.endpoint import Endpoint
from tests.docs.pages import ROOT, text_of

INTEGRATOR = "docs/guides/integrator.md"
SETTINGS = "docs/guides/settings.md"

OUTCOMES: tuple[Outcome, ...] = (
    *PlaceHoldOutcome,
    *RenewHoldOutcome,
    *ReleaseHoldOutcome,
    *PlaceOrderOutcome,
    *ReadOrderOutcome,
    *SETUP_OUTCOMES,
    *LaterOutcome,
)


def endpoints() -> list[Endpoint]:
    nothing = cast("Any", None)  # endpoints are described, not called
    return [
        *guest_endpoints(1, nothing),
        *setup_endpoints(nothing, nothing, 1, nothing),
        *hold_endpoints(nothing, nothing),
        *order_endpoints(nothing),
    ]


@pytest.mark.parametrize("name", Settings.__struct_fields__)
def test_setting_is_described_with_its_default(name: str) -> None:
    """Each setting has a row in the guide, and the row tells the default that the code has."""
    row = re.search(rf"^\| `{name}` \| (?P<default>[^|]+) \|", text_of(SETTINGS), re.MULTILINE)

    assert row is not None
    field = Settings.__struct_fields__.index(name)
    default = Settings.__struct_defaults__[field]
    if isinstance(default, bool):
        default = str(default).lower()
    if name == "data":
        assert "the user's data folder" in row["default"]
    elif default is None:
        assert re.search(r"^none|must set it$", row["default"])
    else:
        assert row["default"] == f"`{default}`"


def test_no_setting_is_described_that_does_not_exist() -> None:
    """Rows of the guide's tables, and variables named in any guide, are settings."""
    rows = re.findall(r"^\| `(\w+)` \|", text_of(SETTINGS), re.MULTILINE)
    variables = {
        name.lower()
        for page in (ROOT / "docs" / "guides").glob("*.md")
        for name in re.findall(rf"\b{PREFIX}([A-Z_]+)\b", page.read_text("utf-8"))
    }

    assert sorted(rows) == sorted(Settings.__struct_fields__)
    assert variables <= set(Settings.__struct_fields__)


@pytest.mark.parametrize("code", sorted({outcome.code for outcome in OUTCOMES}))
def test_outcome_is_described(code: str) -> None:
    """Each outcome that an endpoint can answer stands in the integrator's tables."""
    assert re.search(rf"^\| [^|]*`{code}`[^|]* \|", text_of(INTEGRATOR), re.MULTILINE)


@pytest.mark.parametrize("endpoint", endpoints(), ids=lambda endpoint: endpoint.name)
def test_endpoint_is_described(endpoint: Endpoint) -> None:
    """Each endpoint stands in the integrator's walk, with method and path."""
    path = re.sub(r":\w+\}", "}", endpoint.path)

    assert re.search(rf"`{endpoint.method} {re.escape(path)}[`?]", text_of(INTEGRATOR))


def test_events_are_described() -> None:
    """Each event of the journal has a row, and no row tells of another."""
    written = {event.__name__ for event in typing.get_args(Event)}
    described = text_of(INTEGRATOR).split("## Events")[1]
    rows = re.findall(r"^\| (`[A-Z]\w+`[^|]*) \|", described, re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row)}

    assert len(written) >= 10
    assert named == written


def test_limits_of_outcomes_hold_in_their_order() -> None:
    """The table of holds has the outcomes in the order of their precedence."""
    table = text_of(INTEGRATOR).split("### Holds")[1].split("###")[0]
    rows = re.findall(r"^\| (`[^|]+) \| \d", table, re.MULTILINE)
    order = [code for row in rows for code in re.findall(r"`(\w+)`", row)]

    assert order == [outcome.code for outcome in PlaceHoldOutcome]
