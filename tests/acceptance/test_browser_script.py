"""The script that guards one button, in a real browser."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from tests.acceptance.browsers import needs_chromium
from tests.acceptance.room_peer import RoomPeer
from tests.acceptance.tabs import Visitor, pass_time

if TYPE_CHECKING:  # which it takes half a second to import
    from playwright.sync_api import BrowserContext, Route

pytestmark = needs_chromium


# How much is asked


def test_a_hidden_tab_asks_nothing(context: BrowserContext, far: RoomPeer) -> None:
    """While nobody sees the page nothing is asked; when she comes back it looks at once."""
    visitor = Visitor(context, far)
    visitor.press(base=far.url)
    visitor.get("show('hidden')")
    before = far.total
    visitor.wait(90, step_s=5)
    assert far.total == before

    visitor.get("show('visible')")
    visitor.settle()

    assert far.asked["POST enter"] == 1
    assert visitor.get("turn.outcome") == "entered"


def test_trouble_is_answered_by_waiting(context: BrowserContext, far: RoomPeer) -> None:
    """Errors are met ever further apart, and Retry-After is obeyed to the second."""
    visitor = Visitor(context, far)
    far.faults.extend([(500, {}, {})] * 5 + [(503, {"Retry-After": "100"}, {})])
    visitor.press(base=far.url)
    visitor.wait(200)

    at = [ms for what, ms in far.asked_at if what == "GET state"]
    gaps = [(later - earlier) / 1000 for earlier, later in pairwise(at)]
    assert len(at) >= 7
    assert all(gap >= least for gap, least in zip(gaps, [1, 2, 4, 8, 16, 100], strict=False)), gaps
    assert {"offline", "busy", None} >= {update["trouble"] for update in visitor.updates}
    assert visitor.updates[0]["trouble"] == "busy"


def test_a_server_that_is_gone_is_not_hammered(context: BrowserContext, far: RoomPeer) -> None:
    """With the server away for ten minutes there are a dozen tries, and then it goes on."""
    visitor = Visitor(context, far)
    visitor.press(base=far.url)
    visitor.page.route("**/v1/rooms/**", lambda route: route.abort())
    tries: list[str] = []
    visitor.page.on("requestfailed", lambda request: tries.append(request.url))
    visitor.wait(600, step_s=5)
    assert 8 <= len(tries) <= 20

    visitor.page.unroute("**/v1/rooms/**")
    visitor.wait_for_turn(100)

    assert visitor.get("turn.outcome") == "entered"


# One place


def test_all_tabs_share_one_place_and_one_pass(context: BrowserContext, far: RoomPeer) -> None:
    """Two tabs join once, tell each other what they hear, and enter with the same pass."""
    first, second = Visitor(context, far, 1), Visitor(context, far, 2)
    first.press(base=far.url)
    second.press(base=far.url)
    for _ in range(70):
        pass_time(far, 1, first, second)

    assert far.asked["PUT places"] == 1
    assert first.get("turn.pass") == second.get("turn.pass") == "pass-601-0"
    # One alone asks 16 to 18 times; on this clock word between tabs takes seconds.
    assert far.asked["GET state"] <= 31


def test_the_place_survives_a_reload(context: BrowserContext, far: RoomPeer) -> None:
    """After a reload she has the same number, and sees no more people ahead than before."""
    visitor = Visitor(context, far)
    visitor.press(base=far.url)
    visitor.wait(30)
    lowest = visitor.updates[-1]["position"]
    visitor.open()
    far.serving -= 100  # a cache that is behind

    visitor.press(base=far.url)

    assert far.asked["PUT places"] == 1
    assert visitor.updates[-1]["position"] <= lowest
    assert len(far.places) == 1


def test_another_person_at_the_same_browser_gets_her_own_place(
    context: BrowserContext, far: RoomPeer
) -> None:
    """A place that was taken with a person's token is not found with another one."""
    visitor = Visitor(context, far)
    visitor.press(base=far.url, token="token-of-a")
    visitor.open()
    visitor.press(base=far.url, token="token-of-b")

    joins = [(body, bearer) for what, body, bearer in far.bodies if what == "places"]
    assert joins == [({}, "Bearer token-of-a"), ({}, "Bearer token-of-b")]


def test_a_person_enters_with_her_token_and_no_secret(
    context: BrowserContext, peer: RoomPeer
) -> None:
    """With a token neither binding nor secret is sent, and entering carries the token."""
    visitor = Visitor(context, peer)
    visitor.press(base=peer.url, token="token-of-a")
    visitor.wait_for_turn(10)

    entered = [(body, bearer) for what, body, bearer in peer.bodies if what == "enter"]
    assert entered == [({"place": "place-1"}, "Bearer token-of-a")]


def test_a_lost_answer_takes_no_second_number(context: BrowserContext, far: RoomPeer) -> None:
    """A join whose answer is lost is repeated with the same nonce."""
    visitor = Visitor(context, far)
    lost = []

    def lose(route: Route) -> None:
        route.fetch()
        lost.append(route.request.url)
        route.abort()

    visitor.page.route("**/places/*", lose, times=1)
    visitor.press(base=far.url)
    visitor.wait(10)

    assert len(lost) == 1
    assert far.asked["POST nonces"] == 1
    assert len(far.places) == 1


# What is shown


def test_the_position_never_rises_and_a_longer_wait_has_a_reason(
    context: BrowserContext, far: RoomPeer
) -> None:
    """Whatever caches and a slower line do, the position falls; the reason for delay is given."""
    visitor = Visitor(context, far)
    visitor.press(base=far.url)
    visitor.wait(20)
    far.changes = {"slowed": "unhealthy"}
    far.speed = 2
    visitor.wait(40)
    far.changes = {"phase": "paused", "slowed": "paused"}
    far.speed = 0
    visitor.wait(100)

    shown = [update for update in visitor.updates if update["position"] is not None]
    positions = [update["position"] for update in shown]
    assert positions == sorted(positions, reverse=True)
    assert shown[0]["delay"] is None
    assert {"unhealthy", "paused"} <= {update["delay"] for update in shown}
    assert shown[-1]["eta"] is None  # nobody can say


def test_the_estimate_is_a_range(context: BrowserContext, far: RoomPeer) -> None:
    """With 601 to go at 8 to 12.5 a second, it takes 48 to 75 seconds."""
    visitor = Visitor(context, far)
    visitor.press(base=far.url)

    waiting = [update for update in visitor.updates if update["stage"] == "waiting"]
    assert waiting[0]["position"] == 601
    assert waiting[0]["eta"] == {"from": pytest.approx(48.08), "to": pytest.approx(75.125)}


def test_an_opening_is_told_on_the_visitors_own_clock(
    context: BrowserContext, peer: RoomPeer
) -> None:
    """A clock that is ten minutes slow shows the opening ten minutes earlier: in 60 seconds."""
    peer.now_ms += 600_000
    opens_at = peer.now_ms + 60_000
    peer.changes = {"phase": "before", "opens_at": opens_at}
    peer.speed = 0
    peer.ahead = peer.issued = 5
    visitor = Visitor(context, peer)
    visitor.page.clock.set_fixed_time((peer.now_ms - 600_000) / 1000)
    visitor.press(base=peer.url)

    told = visitor.get("updates.find((u) => u.opensAt).opensAt.getTime()")
    assert told == opens_at - 600_000


# Before the opening


def test_a_room_that_takes_nobody_yet_is_asked_again_later(
    context: BrowserContext, peer: RoomPeer
) -> None:
    """Before joining begins she tries again at times, and joins when it does."""
    opens_at = peer.now_ms + 300_000
    peer.changes = {"phase": "before", "opens_at": opens_at}
    peer.instead_of_places = 403, {"outcome": "not_yet", "opens_at": opens_at}
    visitor = Visitor(context, peer)
    visitor.press(base=peer.url)
    visitor.wait(120, step_s=5)
    assert 3 <= peer.asked["PUT places"] <= 8
    peer.instead_of_places = None
    visitor.wait(60, step_s=5)
    assert len(peer.places) == 1

    peer.changes = {}
    visitor.wait_for_turn(60)

    assert visitor.get("turn.outcome") == "entered"


# How it ends


@pytest.mark.parametrize(
    ("changes", "outcome"),
    [({"sold_out": True, "units_left": 0}, "sold_out"), ({"phase": "closed"}, "closed")],
)
def test_what_is_over_is_said_before_the_wait(
    context: BrowserContext, far: RoomPeer, changes: dict[str, Any], outcome: str
) -> None:
    """Sold out and closed are results, found with one request and without taking a number."""
    far.changes = changes
    visitor = Visitor(context, far)
    visitor.press(base=far.url)

    assert visitor.get("turn.outcome") == outcome
    assert visitor.get("turn.pass") is None
    assert not far.places
    assert far.asked["GET state"] == 1


def test_sold_out_ends_a_wait(context: BrowserContext, far: RoomPeer) -> None:
    """Who waits hears of it with her next poll."""
    visitor = Visitor(context, far)
    visitor.press(base=far.url)
    far.changes = {"sold_out": True, "units_left": 0}
    visitor.wait_for_turn(20)

    assert visitor.get("turn.outcome") == "sold_out"


def test_a_line_that_is_started_anew_is_joined_anew(context: BrowserContext, far: RoomPeer) -> None:
    """After an operator's reset the place is void, and she takes one of the new line."""
    visitor = Visitor(context, far)
    visitor.press(base=far.url)
    visitor.wait(10)
    far.epoch, far.serving, far.issued = 2, 0.0, 20
    far.places.clear()
    visitor.wait_for_turn(100)

    assert visitor.get("turn.pass") == "pass-21-0"
    assert "reset" in {update["stage"] for update in visitor.updates}


def test_an_aborted_wait_stops_asking(context: BrowserContext, far: RoomPeer) -> None:
    """The signal rejects the promise as the platform does, and nothing is asked any more."""
    visitor = Visitor(context, far)
    visitor.press(base=far.url)
    visitor.get("aborter.abort()")
    visitor.settle()
    before = far.total
    visitor.wait(120, step_s=10)

    assert visitor.get("failed.name") == "AbortError"
    assert far.total == before


def test_an_unknown_room_is_an_error(context: BrowserContext, peer: RoomPeer) -> None:
    """A page that names a room which does not exist is told so at once."""
    peer.faults.append((404, {}, {"outcome": "unknown_room", "detail": "There is no such room."}))
    visitor = Visitor(context, peer)
    visitor.press(base=peer.url)

    assert visitor.get("`${failed.name}: ${failed.code}`") == "SunseoError: unknown_room"
    assert visitor.get("failed.message") == "There is no such room."


def test_a_challenge_is_handed_to_the_page(context: BrowserContext, peer: RoomPeer) -> None:
    """What the page's own hook solves goes along with the join; without one it is a result."""
    peer.challenge = True
    solver = Visitor(context, peer)
    solver.press(base=peer.url, solution="solved")
    solver.wait_for_turn(10)
    assert solver.get("turn.outcome") == "entered"

    other = Visitor(context, peer)
    other.press(base=peer.url, token="token-of-another")
    assert other.get("turn.outcome") == "challenged"


# The pass


def test_a_lost_renewal_does_not_cost_the_pass(context: BrowserContext, peer: RoomPeer) -> None:
    """When the answer is lost the pass is asked for again, not renewed with an old token."""
    visitor = Visitor(context, peer)
    visitor.press(base=peer.url)
    visitor.wait_for_turn(10)

    def lose(route: Route) -> None:
        route.fetch()
        route.abort()

    visitor.page.route("**/renew", lose, times=1)
    visitor.wait(120)

    assert peer.passes[1]["state"] == "live"
    assert visitor.get("turn.pass") == f"pass-1-{peer.passes[1]['renewal']}"


def test_the_next_visit_after_leaving_takes_a_new_place(
    context: BrowserContext, peer: RoomPeer
) -> None:
    """A place whose pass has ended elsewhere is not offered for ever."""
    visitor = Visitor(context, peer)
    visitor.press(base=peer.url)
    visitor.wait_for_turn(10)
    peer.passes[1]["state"] = "done"  # completed by the shop
    visitor.open()
    visitor.press(base=peer.url)
    visitor.wait_for_turn(20)

    assert visitor.get("turn.pass") == "pass-2-0"


def test_the_pages_own_mistakes_do_not_end_the_wait(
    context: BrowserContext, peer: RoomPeer
) -> None:
    """An onUpdate that throws is reported as the page's error, and the visitor still gets in."""
    visitor = Visitor(context, peer)
    visitor.get(
        "window.turn = null; sunseo.enter(42, { base: '" + peer.url + "',"
        " onUpdate: () => { throw new Error('page'); } }).then((t) => { window.turn = t; });"
        " window.failed = null; null"
    )
    visitor.wait_for_turn(10)

    assert visitor.get("turn.outcome") == "entered"
    assert any("page" in error for error in visitor.errors)
