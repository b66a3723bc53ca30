"""Lines: joining, entering, renewing, ending and expiring, on several workers at once."""

import asyncio
from collections import Counter
from random import Random
from typing import Any
from uuid import UUID

import pytest

from sunseo.room.line.commands import (
    Complete,
    EndPassOutcome,
    EnterOutcome,
    ExpirePasses,
    Join,
    JoinOutcome,
    Leave,
    Renew,
    RenewOutcome,
    Revoke,
    RoomCommand,
    RoomKey,
    pass_id_of,
)
from sunseo.room.line.rules import RoomAnswer
from sunseo.room.setup.settings import RoomSettings
from tests.paper_line import PaperStore
from tests.store.room_exercise.premises import (
    WORKERS,
    Counts,
    Premises,
    ask,
    ask_one,
    enter,
    join,
    join_by_account,
    numbers_of,
)


class LineExercise:
    """Of `LineStore`."""

    async def test_an_unknown_room_has_no_line(self, premises: Premises) -> None:
        """Nothing is made of it, beside a room that there is."""
        room = await premises.open_room(RoomSettings())
        nowhere = (room[0], room[1] + 1)

        answers = await ask(
            premises.stores[0].lines, join(nowhere, 1), join(room, 1), enter(nowhere, 1)
        )

        assert [answer.outcome for answer in answers] == [
            JoinOutcome.UNKNOWN_ROOM,
            JoinOutcome.JOINED,
            EnterOutcome.UNKNOWN_ROOM,
        ]

    async def test_no_number_is_given_twice_and_none_is_left_out(self, premises: Premises) -> None:
        """600 people join on two workers at once, half of them on both: one number each."""
        room = await premises.open_room(RoomSettings())
        people = [range(1, 401), range(201, 601)]

        answers = await asyncio.gather(
            *(
                ask(store.lines, *(join(room, person) for person in some))
                for store, some in zip(premises.stores, people, strict=True)
            )
        )

        given: dict[UUID, set[int]] = {}
        for answer in (*answers[0], *answers[1]):
            assert answer.place is not None
            given.setdefault(answer.place.holder, set()).add(answer.place.number)
        assert all(len(numbers) == 1 for numbers in given.values())
        assert sorted(number for (number,) in given.values()) == list(range(1, 601))
        assert (await premises.counts(room)).issued == 600

    async def test_numbers_of_one_worker_follow_its_order(self, premises: Premises) -> None:
        """Who was heard first is ahead."""
        room = await premises.open_room(RoomSettings())

        answers = await ask(
            premises.stores[0].lines, *(join(room, person) for person in range(1, 51))
        )

        assert numbers_of(answers) == list(range(1, 51))

    async def test_a_join_gives_the_same_place_for_ever(self, premises: Premises) -> None:
        """On another worker, much later, in a closed room, with an old nonce: all of the place."""
        room = await premises.open_room(RoomSettings())
        (first,) = await ask(premises.stores[0].lines, join(room, 1))
        await premises.change(room, RoomSettings(mode="closed"))
        premises.let_time_pass(86_400)

        late = Join(room, UUID(int=1), UUID(int=99), UUID(int=8), is_late=True)
        (again,) = await ask(premises.stores[1].lines, late)

        assert (again.outcome, again.place) == (JoinOutcome.REPLAYED, first.place)
        assert (await ask_one(premises, join(room, 2))).outcome is JoinOutcome.ROOM_CLOSED

    async def test_accounts_come_back_at_the_end(self, premises: Premises) -> None:
        """Half of 40 have left; all join on both workers at once: 20 new numbers, one a person."""
        room = await premises.open_room(RoomSettings())
        await ask(premises.stores[0].lines, *(join_by_account(room, one) for one in range(1, 41)))
        await premises.call_up_to(room, 40)
        entered = await ask(
            premises.stores[0].lines, *(enter(room, number) for number in range(1, 41))
        )
        held = [answer.held for answer in entered if answer.held is not None]
        await ask(premises.stores[0].lines, *(Leave(room, 1, one.pass_id) for one in held[:20]))

        answers = await asyncio.gather(
            *(
                ask(store.lines, *(join_by_account(room, person) for person in range(1, 41)))
                for store in premises.stores
            )
        )

        first, second = map(numbers_of, answers)
        assert first == second
        assert sorted(first[:20]) == list(range(41, 61))
        assert first[20:] == list(range(21, 41))
        outcomes = Counter(answer.outcome for some in answers for answer in some)
        assert outcomes == {JoinOutcome.JOINED: 20, JoinOutcome.REPLAYED: 60}
        assert (await premises.counts(room)).issued == 60

    async def test_each_visit_has_its_own_place(self, premises: Premises) -> None:
        """Five visits of one account, by every way to end one; the newest place is what counts."""
        room = await premises.open_room(RoomSettings(session_max_s=100))
        ways = (Leave, Complete, Revoke, None, Leave)
        numbers = []
        for nth, way in enumerate(ways, 1):
            one, two = (premises.stores[(nth + step) % WORKERS].lines for step in range(2))
            (joined,) = await ask(one, join_by_account(room, 1))
            (again,) = await ask(two, join_by_account(room, 1))
            assert (joined.outcome, again.outcome) == (JoinOutcome.JOINED, JoinOutcome.REPLAYED)
            assert joined.place == again.place
            numbers += numbers_of([joined])
            await premises.call_up_to(room, nth)
            (entered,) = await ask(one, enter(room, nth))
            assert entered.held is not None
            if way is None:
                premises.let_time_pass(100)
            else:
                await ask(two, way(room, 1, entered.held.pass_id))

        assert numbers == [1, 2, 3, 4, 5]
        outcomes = [
            (await ask_one(premises, enter(room, number))).outcome.name for number in numbers
        ]
        assert outcomes == ["PASS_DONE", "PASS_DONE", "PASS_REVOKED", "SESSION_OVER", "PASS_DONE"]

    async def test_registering_for_a_draw_is_repeatable(self, premises: Premises) -> None:
        """One receipt a person, the same on both workers, and no number."""
        room = await premises.open_room(RoomSettings(mode="random"))

        answers = await asyncio.gather(
            *(
                ask(store.lines, *(join(room, person) for person in (1, 2)))
                for store in premises.stores
            )
        )

        assert [a.entrant for a in answers[0]] == [a.entrant for a in answers[1]]
        outcomes = Counter(answer.outcome for some in answers for answer in some)
        assert outcomes == {JoinOutcome.REGISTERED: 2, JoinOutcome.REPLAYED: 2}
        assert (await premises.counts(room)).issued == 0

    async def test_a_thousand_want_the_last_pass(self, premises: Premises) -> None:
        """On two workers at once: one gets it, the others keep their place, nobody else gets in."""
        room = await premises.open_room(RoomSettings(capacity=10), serving=1009)
        await ask(premises.stores[0].lines, *(enter(room, number) for number in range(1, 10)))

        answers = await asyncio.gather(
            ask(premises.stores[0].lines, *(enter(room, number) for number in range(10, 510))),
            ask(premises.stores[1].lines, *(enter(room, number) for number in range(510, 1010))),
        )

        outcomes = Counter(answer.outcome for some in answers for answer in some)
        assert outcomes == {EnterOutcome.ENTERED: 1, EnterOutcome.ROOM_FULL: 999}
        assert (await premises.counts(room)).live == 10

    async def test_one_place_entered_on_two_workers_has_one_pass(self, premises: Premises) -> None:
        """Whichever id was proposed first is the pass; both hear the same token."""
        room = await premises.open_room(RoomSettings(), serving=50)

        first, second = await asyncio.gather(
            *(
                ask(store.lines, *(enter(room, number, random=worker) for number in range(1, 51)))
                for worker, store in enumerate(premises.stores, 1)
            )
        )

        assert [answer.held for answer in first] == [answer.held for answer in second]
        assert (await premises.counts(room)).live == 50

    async def test_lapsed_passes_are_reclaimed_before_anybody_hears_full(
        self, premises: Premises
    ) -> None:
        """At the very moment at which the allowance for clocks ends, and not before."""
        settings = RoomSettings(capacity=5, pass_ttl_s=60, skew_s=5)
        room = await premises.open_room(settings, serving=20)
        for number in range(1, 6):
            await ask_one(premises, enter(room, number))
            premises.let_time_pass(1)

        premises.let_time_pass(59.999)
        assert (await ask_one(premises, enter(room, 6))).outcome is EnterOutcome.ROOM_FULL
        premises.let_time_pass(2.001)  # now the first three are past due
        answers = await ask(
            premises.stores[1].lines, *(enter(room, number) for number in range(6, 11))
        )

        assert Counter(answer.outcome.name for answer in answers) == {"ENTERED": 3, "ROOM_FULL": 2}
        assert (await premises.counts(room)).live == 5
        outcomes = [(await ask_one(premises, enter(room, number))).outcome for number in (3, 4)]
        assert outcomes == [EnterOutcome.ROOM_FULL, EnterOutcome.ENTERED]  # 4 still had its slot

    async def test_a_capacity_that_shrinks_drains(self, premises: Premises) -> None:
        """Nobody is thrown out; nobody enters until fewer are inside than may be."""
        room = await premises.open_room(RoomSettings(capacity=3), serving=9)
        held = [(await ask_one(premises, enter(room, number))).held for number in (1, 2, 3)]
        await premises.change(room, RoomSettings(capacity=1))

        for known in held:
            assert known is not None
            assert (await ask_one(premises, enter(room, 4))).outcome is EnterOutcome.ROOM_FULL
            renewed = await ask_one(premises, Renew(room, 1, known.pass_id, 0))
            assert renewed.outcome is RenewOutcome.RENEWED
            await ask_one(premises, Leave(room, 1, known.pass_id))

        assert (await ask_one(premises, enter(room, 4))).outcome is EnterOutcome.ENTERED
        assert (await premises.counts(room)).live == 1

    async def test_a_renewal_on_two_workers_is_one_renewal(self, premises: Premises) -> None:
        """The answer that comes second is the same token, and nobody is revoked."""
        room = await premises.open_room(RoomSettings(), serving=50)
        entered = await ask(
            premises.stores[0].lines, *(enter(room, number) for number in range(1, 51))
        )
        ids = [answer.held.pass_id for answer in entered if answer.held is not None]
        premises.let_time_pass(40)

        first, second = await asyncio.gather(
            *(
                ask(store.lines, *(Renew(room, 1, one, 0) for one in ids))
                for store in premises.stores
            )
        )

        assert [answer.held for answer in first] == [answer.held for answer in second]
        outcomes = Counter(answer.outcome for answer in (*first, *second))
        assert outcomes == {RenewOutcome.RENEWED: 50, RenewOutcome.REPLAYED: 50}

    async def test_a_shared_pass_is_revoked_on_every_worker(self, premises: Premises) -> None:
        """Its slot is free at once, and neither token nor place gets anybody in again."""
        room = await premises.open_room(RoomSettings(capacity=1, renewal_grace_s=10), serving=2)
        held = (await ask_one(premises, enter(room, 1))).held
        assert held is not None
        await ask_one(premises, Renew(room, 1, held.pass_id, 0))
        premises.let_time_pass(10.001)

        answers = await ask(
            premises.stores[1].lines,
            Renew(room, 1, held.pass_id, 0),
            Renew(room, 1, held.pass_id, 1),
            enter(room, 1),
            enter(room, 2),
        )

        assert [answer.outcome for answer in answers] == [
            RenewOutcome.PASS_REVOKED,
            RenewOutcome.PASS_REVOKED,
            EnterOutcome.PASS_REVOKED,
            EnterOutcome.ENTERED,
        ]
        assert (await premises.counts(room)).live == 1

    @pytest.mark.parametrize(
        ("kind", "outcome"),
        [
            (Leave, EndPassOutcome.LEFT),
            (Complete, EndPassOutcome.COMPLETED),
            (Revoke, EndPassOutcome.REVOKED),
        ],
    )
    async def test_a_pass_ends_once_on_two_workers(
        self, premises: Premises, kind: type[Leave | Complete | Revoke], outcome: EndPassOutcome
    ) -> None:
        """However many end it, its slot is given back once."""
        room = await premises.open_room(RoomSettings(capacity=50), serving=50)
        entered = await ask(
            premises.stores[0].lines, *(enter(room, number) for number in range(1, 51))
        )
        ids = [answer.held.pass_id for answer in entered if answer.held is not None]

        answers = await asyncio.gather(
            *(ask(store.lines, *(kind(room, 1, one) for one in ids)) for store in premises.stores)
        )

        outcomes = Counter(answer.outcome for some in answers for answer in some)
        assert outcomes[outcome] == 50
        assert outcomes.total() == 100
        assert (await premises.counts(room)).live == 0

    async def test_a_new_epoch_voids_all_that_was_before(self, premises: Premises) -> None:
        """Numbers begin anew for the same people; old places and passes are void."""
        room = await premises.open_room(RoomSettings(capacity=1))
        await ask_one(premises, join(room, 1))
        await premises.call_up_to(room, 1)
        held = (await ask_one(premises, enter(room, 1))).held
        assert held is not None

        await premises.begin_epoch(room)

        old = await ask(
            premises.stores[1].lines, enter(room, 1), Renew(room, 1, held.pass_id, 0), join(room, 1)
        )
        assert [answer.outcome.name for answer in old] == ["OTHER_EPOCH", "OTHER_EPOCH", "JOINED"]
        assert (numbers_of(old), old[2].epoch) == ([1], 2)
        await premises.call_up_to(room, 1)
        fresh = await ask_one(premises, enter(room, 1, epoch=2, random=6))
        assert fresh.outcome is EnterOutcome.ENTERED
        premises.let_time_pass(100)
        assert (await ask_one(premises, ExpirePasses(room, 10))).expired == 1
        assert await premises.counts(room) == Counts(epoch=2, issued=1, serving=1, live=0)

    async def test_settings_count_from_the_next_command_on(self, premises: Premises) -> None:
        """Whatever a worker remembers, it decides by what is stored."""
        room = await premises.open_room(RoomSettings(), serving=2)
        await ask_one(premises, enter(room, 1))
        await premises.change(room, RoomSettings(paused=True))

        for store in premises.stores:
            (answer,) = await ask(store.lines, enter(room, 2))
            assert answer.outcome is EnterOutcome.ROOM_PAUSED

    @pytest.mark.parametrize("seed", range(6))
    async def test_it_decides_as_the_rules_do(self, premises: Premises, seed: int) -> None:
        """Random histories on alternating workers, answer by answer against rules on paper."""
        dice = Random(seed)
        settings = RoomSettings(capacity=3, session_max_s=150, pass_ttl_s=60, renewal_grace_s=10)
        room = await premises.open_room(settings)
        paper = PaperStore(settings)
        for turn in range(60):
            seconds = dice.choice([0, 0, 1, 9, 10, 11, 30, 60, 64, 65])
            premises.let_time_pass(seconds)
            paper.now_ms += seconds * 1000
            paper.serving = min(paper.issued, paper.serving + dice.randint(0, 2))
            await premises.call_up_to(room, paper.serving)
            batch = [_any_command(dice, room, paper) for _ in range(dice.randint(1, 5))]

            answers = await ask(premises.stores[turn % WORKERS].lines, *batch)

            expected = paper.do(*batch)
            assert [_told(answer) for answer in answers] == [_told(answer) for answer in expected]
        counts = await premises.counts(room)
        assert counts == Counts(1, paper.issued, paper.serving, paper.live)


def _any_command(dice: Random, room: RoomKey, paper: PaperStore) -> RoomCommand:
    number = dice.randint(1, 12)
    held = paper.passes.get(number)
    pass_id = pass_id_of(number, 0) if held is None else held.pass_id
    renewal = 0 if held is None else max(0, held.renewal - dice.choice([0, 0, 0, 1, 2]))
    return dice.choice(
        [
            join(room, number),
            join_by_account(room, number + 100),
            enter(room, number, random=dice.getrandbits(64)),
            enter(room, number, random=dice.getrandbits(64)),
            enter(room, number, random=dice.getrandbits(64)),
            Renew(room, 1, pass_id, renewal),
            Renew(room, 1, pass_id, renewal),
            dice.choice([Leave, Complete, Revoke])(room, 1, pass_id),
            ExpirePasses(room, 2),
        ]
    )


def _told(answer: RoomAnswer) -> tuple[Any, ...]:
    """What an answer says but for moments, which begin elsewhere on paper."""
    held, place = answer.held, answer.place
    return (
        answer.outcome,
        answer.epoch,
        answer.serving,
        answer.expired,
        None if place is None else (place.number, place.holder, place.binding),
        None if held is None else (held.pass_id, held.expires_at_ms - held.entered_at_ms),
    )
