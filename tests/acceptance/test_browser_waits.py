"""The script that guards one button, through waits of many minutes of the page's time.

They belong to the campaign `make browsers`; shorter waits are in `test_browser_script.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.acceptance.browsers import needs_chromium
from tests.acceptance.room_peer import RoomPeer, scripted_room
from tests.acceptance.tabs import Visitor, pass_time

if TYPE_CHECKING:  # which it takes half a second to import
    from playwright.sync_api import BrowserContext

pytestmark = [needs_chromium, pytest.mark.campaign]


def test_twenty_minutes_take_at_most_55_requests(context: BrowserContext) -> None:
    """A wait of 20 minutes from another origin takes at most 55 requests, page and all."""
    with scripted_room(speed=10.0, ahead=12_000) as peer:
        visitor = Visitor(context, peer)
        visitor.press(base=peer.url)

        waited = visitor.wait_for_turn(1300, step_s=2)

        assert visitor.get("turn.outcome") == "entered"
        assert 1199 <= waited <= 1205
        assert peer.total <= 55, peer.asked
        assert visitor.errors == []


def test_an_entrant_of_a_draw_gets_her_place_with_the_same_nonce(
    context: BrowserContext, peer: RoomPeer
) -> None:
    """She is registered once, waits for the opening and a late draw, and then has a number."""
    opens_at = peer.now_ms + 1_200_000
    peer.changes = {"phase": "before", "mode": "random", "opens_at": opens_at}
    peer.instead_of_places = 202, {"epoch": 1, "serving": 0, "receipt": "r", "poll_after_s": 60}
    visitor = Visitor(context, peer)
    visitor.press(base=peer.url)
    visitor.wait(1200, step_s=5)
    assert visitor.updates[-1]["stage"] == "registered"
    assert peer.asked["PUT places"] == 1

    peer.changes = {}
    visitor.wait(60, step_s=5)
    assert peer.asked["PUT places"] <= 6
    peer.instead_of_places = None
    visitor.wait_for_turn(60)

    assert visitor.get("turn.outcome") == "entered"
    assert peer.asked["POST nonces"] == 1


def test_a_pass_is_renewed_in_time_and_left_on_request(
    context: BrowserContext, peer: RoomPeer
) -> None:
    """For ten minutes there is always a live pass; leaving gives it back and ends renewing."""
    visitor = Visitor(context, peer)
    visitor.press(base=peer.url)
    visitor.wait_for_turn(10)
    for _ in range(60):
        visitor.wait(10, step_s=5)
        number, renewal = (int(part) for part in visitor.get("turn.pass").split("-")[1:])
        assert peer.passes[number]["renewal"] == renewal
        assert peer.passes[number]["expires_ms"] > peer.now_ms
    assert 15 <= peer.asked["POST renew"] <= 17

    visitor.get("turn.leave()")
    visitor.settle()
    renewals = peer.asked["POST renew"]
    visitor.wait(120, step_s=10)

    assert peer.passes[1]["state"] == "done"
    assert visitor.get("endedAs") == "left"
    assert visitor.get("turn.pass") is None
    assert peer.asked["POST renew"] == renewals


def test_two_tabs_do_not_revoke_their_own_pass(context: BrowserContext, peer: RoomPeer) -> None:
    """One pass in two tabs is renewed by one of them at a time, and seen by both."""
    first, second = Visitor(context, peer, 1), Visitor(context, peer, 2)
    first.press(base=peer.url)
    first.wait_for_turn(10)
    second.press(base=peer.url)
    for _ in range(200):
        pass_time(peer, 1, first, second)

    assert peer.passes[1]["state"] == "live"
    assert first.get("turn.pass") == second.get("turn.pass")
    assert 4 <= peer.asked["POST renew"] <= 6
