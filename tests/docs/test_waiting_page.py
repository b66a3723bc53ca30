"""The guides of the waiting page and of bots tell what there is."""

import re
from typing import Any, cast, get_args

import pytest

from sunseo.core.networks import IPV4_PREFIX, IPV6_PREFIX, KEYS_MAX
from sunseo.html.cookies import KEPT_S, LANGUAGE, LANGUAGE_KEPT_S
from sunseo.room.admission.admission import ACCOUNT_JOINS_MAX, NONCES_A_JOIN, AdmissionOutcome
from sunseo.room.admission.altcha import LIFETIME_S, SPENT_MAX
from sunseo.room.admission.routes import challenge_endpoints
from sunseo.room.pages.cookies import GUEST, cookie_of
from sunseo.room.pages.routes import page_endpoints
from sunseo.room.setup.settings import Challenge, Holders, RoomSettings
from sunseo.web.endpoint import Endpoint
from tests.docs.pages import text_of

PAGE = "docs/guides/waiting-page.md"
BOTS = "docs/guides/bots.md"


def endpoints() -> list[Endpoint]:
    nothing = cast("Any", None)  # endpoints are described, not called
    return [
        *page_endpoints(nothing, nothing, nothing, nothing, nothing),
        *challenge_endpoints(nothing, nothing, nothing),
    ]


@pytest.mark.parametrize("endpoint", endpoints(), ids=lambda endpoint: endpoint.name)
def test_endpoint_is_described(endpoint: Endpoint) -> None:
    """Each endpoint stands in one of the guides, with method and path."""
    path = re.sub(r":\w+\}", "}", endpoint.path)

    assert f"`{endpoint.method} {path}`" in text_of(PAGE) + text_of(BOTS)


def test_cookies_are_described() -> None:
    """Each cookie has its row, with how long it lasts."""
    page = text_of(PAGE)

    assert f"| `{cookie_of(0).replace('0', '<room>')}` |" in page
    assert f"| `{GUEST}` |" in page
    assert f"| `{LANGUAGE}` |" in page
    assert (KEPT_S, LANGUAGE_KEPT_S) == (86_400, 180 * 86_400)
    assert "| 1 day |" in page
    assert "| 180 days |" in page


def test_choices_are_described() -> None:
    """Whoever may wait, and each challenge, has a place in the guides."""
    for holders in get_args(Holders):
        assert f"| `{holders}` |" in text_of(PAGE)
    for challenge in get_args(Challenge):
        assert f"`{challenge}`" in text_of(BOTS)


@pytest.mark.parametrize("outcome", AdmissionOutcome)
def test_refusals_are_described(outcome: AdmissionOutcome) -> None:
    """Who defends a room reads what those who are refused are told."""
    assert f"`{outcome.code}`" in text_of(BOTS)


@pytest.mark.parametrize(
    "said",
    [
        f"a /{IPV4_PREFIX} for IPv4, a /{IPV6_PREFIX}",
        f"An account joins at most {ACCOUNT_JOINS_MAX} times a minute",
        f"remembers the {KEYS_MAX:,} networks",
        f"remembers {SPENT_MAX:,}",
        f"default of {RoomSettings().challenge_difficulty:,}",
    ],
)
def test_figures_are_those_of_the_code(said: str) -> None:
    """A number in the guide is the number in the code."""
    assert said in re.sub(r"\s+", " ", text_of(BOTS))
    assert (NONCES_A_JOIN, LIFETIME_S) == (4, 5 * 60)  # written out in words
