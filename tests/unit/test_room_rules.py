"""The rules of a room's line, one by one."""

from uuid import UUID

import pytest

from sunseo.core.outcome import Outcome
from sunseo.room.line.commands import (
    Complete,
    EndPassOutcome,
    Enter,
    EnterOutcome,
    ExpirePasses,
    ExpirePassesOutcome,
    Join,
    JoinOutcome,
    Leave,
    Renew,
    RenewOutcome,
    Revoke,
    RoomCommand,
    number_of,
    pass_id_of,
)
from sunseo.room.line.line import LinePass, PassState
from sunseo.room.line.rules import RoomAnswer, decide
from sunseo.room.setup.settings import RoomSettings
from tests.paper_line import ROOM, PaperStore

SECOND = 1000
KIM, LEE = UUID(int=1), UUID(int=2)


def join(holder: UUID, *, is_late: bool = False) -> Join:
    return Join(ROOM, holder, UUID(int=holder.int + 100), UUID(int=7), is_late)


def enter(number: int, epoch: int = 1, random: int = 5) -> Enter:
    return Enter(ROOM, epoch, number, UUID(int=number), pass_id_of(number, random))


def served(serving: int, settings: RoomSettings | None = None) -> PaperStore:
    store = PaperStore(settings)
    store.issued = store.serving = serving
    return store


def entered(store: PaperStore, number: int = 1) -> LinePass:
    answer = store.ask(enter(number))
    assert answer.outcome is EnterOutcome.ENTERED
    assert answer.held is not None
    return answer.held


def wait(store: PaperStore, seconds: float) -> None:
    store.now_ms += round(seconds * SECOND)


def counted(store: PaperStore) -> tuple[int, int, int, int]:
    return store.issued, store.serving, store.live, store.departed


@pytest.mark.parametrize(
    ("command", "outcome"),
    [
        (join(KIM), JoinOutcome.UNKNOWN_ROOM),
        (enter(1), EnterOutcome.UNKNOWN_ROOM),
        (Renew(ROOM, 1, pass_id_of(1, 5), 0), RenewOutcome.UNKNOWN_ROOM),
        (Leave(ROOM, 1, pass_id_of(1, 5)), EndPassOutcome.UNKNOWN_ROOM),
        (ExpirePasses(ROOM, 10), ExpirePassesOutcome.UNKNOWN_ROOM),
    ],
)
def test_a_room_without_a_line_does_not_exist(command: RoomCommand, outcome: Outcome) -> None:
    """Each command says so in its own words."""
    assert decide(command, None, 0) == RoomAnswer(outcome)


def test_a_pass_id_tells_its_number() -> None:
    """So a pass is found by its id alone, however large the number and the random part."""
    assert number_of(pass_id_of(2**63 - 1, 2**64 - 1)) == 2**63 - 1
    assert number_of(pass_id_of(1, 0)) == 1


def test_numbers_follow_the_order_of_arrival() -> None:
    """First come, first number; who comes twice has one."""
    store = PaperStore()

    answers = store.do(join(KIM), join(LEE), join(KIM))

    assert [answer.place.number for answer in answers if answer.place] == [1, 2, 1]
    assert [answer.outcome for answer in answers] == [
        JoinOutcome.JOINED,
        JoinOutcome.JOINED,
        JoinOutcome.REPLAYED,
    ]
    assert store.issued == 2


def test_a_join_can_be_repeated_whatever_the_room_does_meanwhile() -> None:
    """A lost answer is given again when the room has closed and the nonce is old."""
    store = PaperStore()
    first = store.ask(join(KIM))
    store.phase, store.takes_joins = "closed", False

    again = store.ask(join(KIM, is_late=True))

    assert (again.outcome, again.place) == (JoinOutcome.REPLAYED, first.place)
    assert store.ask(join(LEE)).outcome is JoinOutcome.ROOM_CLOSED
    assert store.ask(join(LEE, is_late=True)).outcome is JoinOutcome.NONCE_EXPIRED
    assert counted(store) == (1, 0, 0, 0)


def test_before_a_draw_one_registers() -> None:
    """A receipt instead of a number, the same one for a retry, until the draw is sealed."""
    store = PaperStore(RoomSettings(mode="random"))

    first, again = store.do(join(KIM), join(KIM))
    assert (first.outcome, again.outcome) == (JoinOutcome.REGISTERED, JoinOutcome.REPLAYED)
    assert first.entrant == again.entrant
    assert (store.entrants, store.issued) == (1, 0)

    store.sealed, store.issued = True, 1  # the drawn will have the first number
    assert store.ask(join(KIM)).entrant == first.entrant
    latecomer = store.ask(join(LEE))
    assert latecomer.outcome is JoinOutcome.JOINED
    assert latecomer.place is not None
    assert latecomer.place.number == 2


def test_nobody_enters_before_her_turn() -> None:
    """A number above `serving` is told so, and nothing moves."""
    store = served(3)

    assert store.ask(enter(4)).outcome is EnterOutcome.NOT_SERVED
    assert store.ask(enter(3)).outcome is EnterOutcome.ENTERED
    assert counted(store) == (3, 3, 1, 0)


def test_a_place_of_another_epoch_is_void() -> None:
    """After a reset neither place nor pass counts."""
    store = served(1)
    held = entered(store)
    store.epoch, store.passes = 2, {}

    assert store.ask(enter(1)).outcome is EnterOutcome.OTHER_EPOCH
    assert store.ask(Renew(ROOM, 1, held.pass_id, 0)).outcome is RenewOutcome.OTHER_EPOCH
    assert store.ask(Leave(ROOM, 1, held.pass_id)).outcome is EndPassOutcome.OTHER_EPOCH


def test_one_pass_a_place() -> None:
    """Entering twice gives the same pass, though the second asked with a fresh id."""
    store = served(1)
    held = entered(store)
    wait(store, 30)

    again = store.ask(enter(1, random=6))

    assert (again.outcome, again.held) == (EnterOutcome.REPLAYED, held)
    assert store.live == 1


def test_a_full_room_lets_nobody_in_and_keeps_the_place() -> None:
    """The last pass goes to one of two; the other gets it when it is given back."""
    store = served(2, RoomSettings(capacity=1))

    first, second = store.do(enter(1), enter(2))
    assert (first.outcome, second.outcome) == (EnterOutcome.ENTERED, EnterOutcome.ROOM_FULL)
    assert first.held is not None
    assert store.live == 1

    store.ask(Leave(ROOM, 1, first.held.pass_id))
    assert store.ask(enter(2)).outcome is EnterOutcome.ENTERED


def test_lapsed_passes_are_taken_back_before_anybody_hears_full() -> None:
    """At the end of the allowance for clocks, not before, and the longest lapsed first."""
    store = served(4, RoomSettings(capacity=2, pass_ttl_s=60, skew_s=5))
    entered(store, 2)
    wait(store, 1)
    entered(store, 1)

    wait(store, 63)
    assert store.ask(enter(3)).outcome is EnterOutcome.ROOM_FULL
    wait(store, 1)
    assert store.ask(enter(3)).outcome is EnterOutcome.ENTERED
    assert store.passes[2].state is PassState.EXPIRED
    assert store.passes[1].state is PassState.LIVE
    assert counted(store) == (4, 4, 2, 1)


def test_without_a_queue_everybody_enters() -> None:
    """In passthrough neither turn nor capacity is asked, and passes are counted all the same."""
    store = served(0, RoomSettings(capacity=1, mode="passthrough"))
    store.issued = 3

    assert [store.ask(enter(number)).outcome for number in (3, 2)] == [EnterOutcome.ENTERED] * 2
    assert store.live == 2


@pytest.mark.parametrize(
    ("phase", "outcome"),
    [
        ("open", EnterOutcome.ENTERED),
        ("draining", EnterOutcome.ENTERED),
        ("paused", EnterOutcome.ROOM_PAUSED),
        ("before", EnterOutcome.ROOM_CLOSED),
        ("closed", EnterOutcome.ROOM_CLOSED),
    ],
)
def test_phases_of_entering(phase: str, outcome: EnterOutcome) -> None:
    """Who was called enters while it is open or drains; who is inside stays inside anyway."""
    store = served(2)
    held = entered(store, 2)
    store.phase = phase  # type: ignore[assignment]  # all of them are phases

    assert store.ask(enter(1)).outcome is outcome
    assert store.ask(enter(2)).outcome is EnterOutcome.REPLAYED
    assert store.ask(Renew(ROOM, 1, held.pass_id, 0)).outcome is RenewOutcome.RENEWED


def test_a_lapsed_pass_is_entered_again_while_the_session_lasts() -> None:
    """The same pass with its next renewal; with its slot still kept, even into a full room."""
    store = served(2, RoomSettings(capacity=1, session_max_s=180))
    held = entered(store, 1)
    wait(store, 62)

    kept = store.ask(enter(1))
    assert kept.outcome is EnterOutcome.ENTERED
    assert kept.held is not None
    assert (kept.held.pass_id, kept.held.renewal) == (held.pass_id, 1)

    wait(store, 66)
    entered(store, 2)
    assert store.ask(enter(1)).outcome is EnterOutcome.ROOM_FULL
    store.ask(Leave(ROOM, 1, store.passes[2].pass_id))
    back = store.ask(enter(1))
    assert back.held is not None
    assert (back.outcome, back.held.renewal) == (EnterOutcome.ENTERED, 2)
    assert back.held.expires_at_ms == held.session_until_ms == held.entered_at_ms + 180 * SECOND
    wait(store, 52)
    assert store.ask(enter(1)).outcome is EnterOutcome.SESSION_OVER


def test_a_renewal_rotates_and_its_answer_may_be_lost() -> None:
    """The token before the present one gives the present one again, for a short grace."""
    store = served(1, RoomSettings(renewal_grace_s=10))
    held = entered(store)
    wait(store, 40)
    renewed = store.ask(Renew(ROOM, 1, held.pass_id, 0))
    assert renewed.held is not None
    assert (renewed.outcome, renewed.held.renewal) == (RenewOutcome.RENEWED, 1)

    wait(store, 10)
    again = store.ask(Renew(ROOM, 1, held.pass_id, 0))

    assert (again.outcome, again.held) == (RenewOutcome.REPLAYED, renewed.held)
    assert store.live == 1


@pytest.mark.parametrize(("shown", "seconds"), [(0, 0), (1, 10.001)])
def test_an_old_token_revokes_the_whole_family(shown: int, seconds: float) -> None:
    """Older than the last but one, or that one after its grace: somebody else has the pass."""
    store = served(1, RoomSettings(renewal_grace_s=10))
    held = entered(store)
    store.ask(Renew(ROOM, 1, held.pass_id, 0))
    store.ask(Renew(ROOM, 1, held.pass_id, 1))
    wait(store, seconds)

    assert store.ask(Renew(ROOM, 1, held.pass_id, shown)).outcome is RenewOutcome.PASS_REVOKED

    assert store.ask(Renew(ROOM, 1, held.pass_id, 2)).outcome is RenewOutcome.PASS_REVOKED
    assert store.ask(enter(1)).outcome is EnterOutcome.PASS_REVOKED
    assert store.passes[1].state is PassState.REVOKED
    assert counted(store) == (1, 1, 0, 1)


def test_a_renewal_ends_with_the_session() -> None:
    """No renewal outlasts it, and after it there is none."""
    store = served(1, RoomSettings(session_max_s=100))
    held = entered(store)
    wait(store, 59)

    renewed = store.ask(Renew(ROOM, 1, held.pass_id, 0))
    assert renewed.held is not None
    assert renewed.held.expires_at_ms == renewed.held.session_until_ms
    wait(store, 41)
    assert store.ask(Renew(ROOM, 1, held.pass_id, 1)).outcome is RenewOutcome.SESSION_OVER


def test_a_lapsed_pass_is_not_renewed() -> None:
    """From the moment of its expiry one has to enter again, slot or no slot."""
    store = served(1)
    held = entered(store)
    wait(store, 60)

    assert store.ask(Renew(ROOM, 1, held.pass_id, 0)).outcome is RenewOutcome.PASS_EXPIRED
    wait(store, 10)
    assert store.ask(ExpirePasses(ROOM, 10)).expired == 1
    assert store.ask(Renew(ROOM, 1, held.pass_id, 0)).outcome is RenewOutcome.PASS_EXPIRED


def test_nobody_renews_or_ends_a_pass_that_is_not_hers() -> None:
    """Another id for the number, or a count that was never reached, is no pass."""
    store = served(1)
    held = entered(store)
    other = pass_id_of(1, 99)

    assert store.ask(Renew(ROOM, 1, other, 0)).outcome is RenewOutcome.UNKNOWN_PASS
    assert store.ask(Renew(ROOM, 1, held.pass_id, 1)).outcome is RenewOutcome.UNKNOWN_PASS
    assert store.ask(Leave(ROOM, 1, other)).outcome is EndPassOutcome.UNKNOWN_PASS
    assert store.live == 1


@pytest.mark.parametrize(
    ("kind", "outcome", "state"),
    [
        (Leave, EndPassOutcome.LEFT, PassState.LEFT),
        (Complete, EndPassOutcome.COMPLETED, PassState.COMPLETED),
    ],
)
def test_a_pass_ends_once(
    kind: type[Leave | Complete], outcome: EndPassOutcome, state: PassState
) -> None:
    """The slot is free at once, a repetition changes nothing, and there is no way back."""
    store = served(1)
    held = entered(store)

    assert store.ask(kind(ROOM, 1, held.pass_id)).outcome is outcome
    assert store.ask(kind(ROOM, 1, held.pass_id)).outcome is EndPassOutcome.REPLAYED

    assert store.passes[1].state is state
    assert store.ask(enter(1)).outcome is EnterOutcome.PASS_DONE
    assert store.ask(Renew(ROOM, 1, held.pass_id, 0)).outcome is RenewOutcome.PASS_DONE
    assert counted(store) == (1, 1, 0, 1)


def test_an_operator_revokes_what_is_live_and_what_might_come_back() -> None:
    """A revoked pass frees its slot once, and cannot be entered again after it has lapsed."""
    store = served(2)
    live, lapsed = entered(store, 1), entered(store, 2)
    wait(store, 70)
    store.ask(Renew(ROOM, 1, live.pass_id, 0))
    store.ask(ExpirePasses(ROOM, 10))

    for held in (live, lapsed):
        store.ask(Revoke(ROOM, 1, held.pass_id))
        again = store.ask(Revoke(ROOM, 1, held.pass_id))
        assert again.outcome is EndPassOutcome.PASS_REVOKED

    assert store.ask(enter(2)).outcome is EnterOutcome.PASS_REVOKED
    assert counted(store) == (2, 2, 0, 2)


def test_slots_return_oldest_first_and_so_many_at_a_time() -> None:
    """The limit holds, the rest stays for the next turn, and then nothing is due."""
    store = served(3)
    for number in (2, 3, 1):
        entered(store, number)
        wait(store, 1)
    wait(store, 100)

    assert store.ask(ExpirePasses(ROOM, 2)).expired == 2
    assert {n for n, held in store.passes.items() if held.state is PassState.LIVE} == {1}
    assert store.ask(ExpirePasses(ROOM, 2)).expired == 1
    assert store.ask(ExpirePasses(ROOM, 2)).outcome is ExpirePassesOutcome.NOT_DUE
    assert (store.live, store.departed) == (0, 3)
