"""How a gate keeps the room's document at hand, whatever comes over the network instead."""

from collections.abc import Iterator

import pytest

from sunseo.gate.origin import ANSWER_BYTES_MAX, Origin
from sunseo.gate.poller import Poller, monotonic_ms
from sunseo.gate.verifier import PassVerifier
from sunseo.passes.keys import KeyRing
from tests.gate_room import T0, Room, serving


@pytest.fixture
def room() -> Iterator[Room]:
    with serving() as room:
        yield room


@pytest.fixture
def poller(room: Room) -> Iterator[Poller]:
    """A poller without its thread: the tests take its looks."""
    origin = Origin(room.url)
    yield Poller(origin, PassVerifier(room.keys))
    origin.close()


def test_document_is_taken_and_its_time_learnt(room: Room, poller: Poller) -> None:
    """After one look the gate has the room's state, and tells the room's time."""
    assert poller.look_once()

    assert poller.state is not None
    assert poller.state.now == T0
    assert 0 <= poller.clock.now_ms(monotonic_ms()) - T0 < 60_000


def test_forged_document_changes_nothing(room: Room, poller: Poller) -> None:
    """Somebody between gate and room opens nothing: what he signs is nobody's word."""
    assert poller.look_once()
    known, clock_ms = poller.state, poller.clock.now_ms(0)
    room.members.update(mode="passthrough", fail_mode="open")
    room.now_ms += 600_000
    room.ring = KeyRing(1, {0: b"a secret that somebody else made up"}, 0)

    assert not poller.look_once()
    assert poller.state is known
    assert poller.clock.now_ms(0) == clock_ms
    assert poller.failures == 1


def test_replayed_document_changes_nothing(room: Room, poller: Poller) -> None:
    """A genuine document of before, by a slow cache or on purpose, brings nothing back."""
    ticket = room.ticket()
    assert poller.look_once()
    room.now_ms += 1_000
    room.members["revoked"] = [str(ticket.pass_id)]
    assert poller.look_once()
    room.now_ms -= 500
    room.members["revoked"] = []

    assert poller.look_once()
    assert poller.state is not None
    assert poller.state.revoked == {ticket.pass_id}


def test_room_whose_clock_went_back_is_followed_once_its_line_moves(
    room: Room, poller: Poller
) -> None:
    """A document of an earlier time in which the line has come further is a newer one."""
    room.members |= {"issued": 9, "serving": 5}
    assert poller.look_once()
    room.now_ms -= 3_600_000
    assert poller.look_once()
    assert poller.state is not None
    assert poller.state.now == room.now_ms + 3_600_000

    room.members["serving"] = 6
    assert poller.look_once()
    assert (poller.state.now, poller.state.serving) == (room.now_ms, 6)
    assert abs(poller.clock.now_ms(monotonic_ms()) - room.now_ms) < 60_000


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (503, b"{}"),
        (404, b"{}"),
        (302, b""),
        (200, b"<html>a captive portal</html>"),
        (200, b""),
        (200, b"x" * (ANSWER_BYTES_MAX + 1)),
    ],
    ids=["busy", "no room", "elsewhere", "a page", "nothing", "too much"],
)
def test_what_is_no_document_is_a_failure(
    room: Room, poller: Poller, status: int, body: bytes
) -> None:
    """It is counted, the state stays, and the next good document ends the row."""
    assert poller.look_once()
    known = poller.state
    room.answers["state"] = (status, body)
    assert not poller.look_once()
    assert not poller.look_once()
    assert (poller.state, poller.failures) == (known, 2)

    del room.answers["state"]
    assert poller.look_once()
    assert poller.failures == 0


def test_nobody_at_the_address_is_a_failure(room: Room) -> None:
    """Refused connections are answered by trying again, not by an error in anybody's request."""
    poller = Poller(Origin("http://127.0.0.1:9", timeout_s=1.0), PassVerifier(room.keys))

    assert not poller.look_once()
    assert poller.state is None


def test_connection_that_was_closed_is_opened_again(room: Room, poller: Poller) -> None:
    """A room that restarts is heard of again within two looks."""
    assert poller.look_once()
    sock = poller._origin._connection.sock
    assert sock is not None
    sock.shutdown(2)

    assert poller.look_once() or poller.look_once()
