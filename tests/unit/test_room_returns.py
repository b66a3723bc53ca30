"""Coming again: when a place is used up, its holder joins anew at the end of the line."""

from uuid import UUID

import pytest

from sunseo.room.line.commands import (
    Complete,
    EnterOutcome,
    ExpirePasses,
    Join,
    JoinOutcome,
    Leave,
    Revoke,
)
from sunseo.room.line.line import LinePass, LinePlace
from sunseo.room.setup.settings import RoomSettings
from tests.paper_line import ROOM, PaperStore
from tests.unit.test_room_rules import KIM, LEE, enter, entered, join, wait


def join_by_account(holder: UUID, *, is_late: bool = False) -> Join:
    return Join(ROOM, holder, UUID(int=holder.int + 100), None, is_late)


def inside(store: PaperStore, holder: UUID = KIM) -> LinePass:
    """An account that has joined, was called and has entered."""
    place = store.ask(join_by_account(holder)).place
    assert place is not None
    store.serving = place.number
    return entered(store, place.number)


def test_an_account_keeps_its_place_until_it_is_used_up() -> None:
    """Waiting, inside, or lapsed within its session: always the place that it has."""
    store = PaperStore(RoomSettings(session_max_s=180))
    waiting = store.ask(join_by_account(KIM))
    store.serving = 1
    entered(store)
    while_inside = store.ask(join_by_account(KIM))
    wait(store, 100)
    store.ask(ExpirePasses(ROOM, 10))
    lapsed = store.ask(join_by_account(KIM))

    assert while_inside.outcome is lapsed.outcome is JoinOutcome.REPLAYED
    assert waiting.place == while_inside.place == lapsed.place
    assert store.ask(enter(1)).outcome is EnterOutcome.ENTERED
    assert store.issued == 1


@pytest.mark.parametrize("ending", [Leave, Complete, Revoke, None])
def test_an_account_comes_back_at_the_end(ending: type[Leave] | None) -> None:
    """However its visit ended; once, behind all others, and the place of before stays used up."""
    store = PaperStore(RoomSettings(session_max_s=180))
    held = inside(store)
    store.ask(join_by_account(LEE))
    if ending is None:
        wait(store, 180)
    else:
        store.ask(ending(ROOM, 1, held.pass_id))

    back, again = store.do(join_by_account(KIM), join_by_account(KIM))

    assert (back.outcome, again.outcome) == (JoinOutcome.JOINED, JoinOutcome.REPLAYED)
    assert back.place == again.place
    assert back.place is not None
    assert (back.place.number, store.followed) == (3, {1: 3})
    assert store.ask(enter(1)).outcome in (
        EnterOutcome.PASS_DONE, EnterOutcome.PASS_REVOKED, EnterOutcome.SESSION_OVER,
    )  # fmt: skip
    assert store.ask(enter(3)).outcome is EnterOutcome.NOT_SERVED
    store.serving = 3
    assert entered(store, 3).pass_id != held.pass_id


def test_leaving_and_coming_back_in_one_batch() -> None:
    """The join is answered by what the batch has decided before it."""
    store = PaperStore()
    held = inside(store)

    early, _, back = store.do(
        join_by_account(KIM), Leave(ROOM, 1, held.pass_id), join_by_account(KIM)
    )

    assert (early.outcome, back.outcome) == (JoinOutcome.REPLAYED, JoinOutcome.JOINED)
    assert store.places[KIM] == back.place


def test_coming_back_is_joining() -> None:
    """An old nonce opens no other visit, nor does a room that takes nobody."""
    store = PaperStore()
    store.ask(Leave(ROOM, 1, inside(store).pass_id))

    late = store.ask(join_by_account(KIM, is_late=True))
    store.takes_joins = False
    closed = store.ask(join_by_account(KIM))

    assert late.outcome is JoinOutcome.NONCE_EXPIRED
    assert closed.outcome is JoinOutcome.ROOM_CLOSED
    assert store.issued == 1


def test_a_nonce_names_one_place_for_ever() -> None:
    """Who comes with a secret has a new nonce for another place."""
    store = PaperStore()
    first = store.ask(join(KIM))
    store.serving = 1
    store.ask(Leave(ROOM, 1, entered(store).pass_id))

    again = store.ask(join(KIM))

    assert (again.outcome, again.place) == (JoinOutcome.REPLAYED, first.place)


def test_the_drawn_come_back_behind_the_drawn() -> None:
    """Her drawn place first, then the end of the line; while a draw is open, no number at all."""
    store = PaperStore(RoomSettings(mode="random"))
    store.ask(join_by_account(KIM))
    store.sealed, store.issued = True, 5
    store.places[KIM] = LinePlace(KIM, 4, None, store.now_ms)

    drawn = store.ask(join_by_account(KIM))
    store.serving = 4
    store.ask(Leave(ROOM, 1, entered(store, 4).pass_id))
    store.sealed = False
    unsealed = store.ask(join_by_account(KIM))
    store.sealed = True
    back = store.ask(join_by_account(KIM))

    assert (drawn.outcome, drawn.place) == (JoinOutcome.REPLAYED, unsealed.place)
    assert unsealed.outcome is JoinOutcome.REPLAYED
    assert back.outcome is JoinOutcome.JOINED
    assert back.place is not None
    assert (back.place.number, store.followed) == (6, {4: 6})
