"""What the gate tells the room: tried again, bounded, and never believed unseen."""

from collections.abc import Iterator

import pytest

from sunseo.gate.sender import Sender
from tests.acceptance.gate_sites import site_of
from tests.gate_room import Room, serving


@pytest.fixture
def room() -> Iterator[Room]:
    with serving() as room:
        yield room


@pytest.fixture
def sender(room: Room) -> Iterator[Sender]:
    """A sender without its thread: the tests take its turns."""
    sender = site_of("flask", room).core.sender
    sender._now_ms = lambda: room.now_ms
    yield sender
    sender._origin.close()


def test_renewal_is_tried_again_until_it_is_answered(room: Room, sender: Sender) -> None:
    """A room that is busy, or answers nonsense for the whole batch, loses nobody her pass."""
    old = room.ticket(expires_at_ms=room.now_ms + 20_000)
    note = sender.ask_renewal(old, room.sealed(old))
    assert note is not None
    for busy in ((503, {}), (200, {"results": [{"outcome": "outcome_unknown"}]})):
        room.answers["renew"] = busy
        assert not sender.run_once()
        assert not note.done()
    del room.answers["renew"]
    assert sender.run_once()

    renewed = note.result(0)
    assert renewed is not None
    assert renewed.ticket.renewal == 1


@pytest.mark.parametrize(
    ("outcome", "over"),
    [("pass_revoked", True), ("pass_done", True), ("session_over", False), ("room_closed", False)],
)
def test_refused_renewal_is_not_asked_for_again(
    room: Room, sender: Sender, outcome: str, over: bool
) -> None:
    """A revoked pass is over at once; one whose session is over is good until it expires."""
    old = room.ticket(expires_at_ms=room.now_ms + 20_000)
    room.answers["renew"] = (200, {"results": [{"outcome": outcome}]})
    note = sender.ask_renewal(old, room.sealed(old))
    assert sender.run_once()

    assert note is not None
    assert note.result(0) is None
    assert (old.pass_id in sender.ended) == over
    assert sender.ask_renewal(old, room.sealed(old)) is None


def test_renewed_pass_that_is_none_is_refused(room: Room, sender: Sender) -> None:
    """The room's word is verified like a visitor's: another's pass, an older one, a forged one."""
    for given in (room.sealed(), "x" * 144, None):
        old = room.ticket(expires_at_ms=room.now_ms + 20_000)
        room.answers["renew"] = (200, {"results": [{"outcome": "renewed", "pass": given}]})
        note = sender.ask_renewal(old, room.sealed(old))
        assert sender.run_once()
        assert note is not None
        assert note.result(0) is None


def test_what_cannot_be_told_is_dropped_in_the_end(room: Room, sender: Sender) -> None:
    """Notes about passes that have long expired do not pile up while the room is away."""
    room.answers = {name: (503, {}) for name in ("renew", "complete")}
    old = room.ticket(expires_at_ms=room.now_ms + 20_000)
    note = sender.ask_renewal(old, room.sealed(old))
    other = room.ticket()
    sender.end("complete", other, room.sealed(other))
    assert not sender.run_once()
    room.now_ms += 200_000
    sender.run_once()

    assert note is not None
    assert note.result(0) is None
    assert sender.dropped == 2
    assert sender.run_once()
