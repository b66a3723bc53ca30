"""The draw of a room on a real database, up to the file that a stranger checks."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import event

from sunseo.core.ids import digest_id
from sunseo.drawcheck.verifier import Notes
from sunseo.operators.command import By, EffectOutcome
from sunseo.postgres.pool import create_cold_engine
from sunseo.room.draw.bodies import DrawStatus, NewCommitment, Reveal, Withholding
from sunseo.room.draw.outcomes import DrawOutcome
from sunseo.room.draw.published import PublishedDraws, PublishedFile
from sunseo.room.draw.rules import commitment_of, numbers_of, seal, seed_of
from sunseo.room.line.commands import Join, JoinOutcome
from sunseo.room.setup.settings import RoomSettings
from tests.store.drawn_room import SECRET, DrawnRoom
from tests.store.lobby import entrant_of, holder, open_lobby

OTHER_SECRET = bytes(range(1, 33))
NAMES = [f"visitor {number}" for number in range(40)]


@pytest.fixture
async def drawn(database_dsn: str) -> AsyncIterator[DrawnRoom]:
    engine = create_cold_engine(database_dsn)
    async with open_lobby(database_dsn) as lobby:
        yield DrawnRoom(lobby, engine, await lobby.open_room(RoomSettings(mode="random")))
    await engine.dispose()


async def test_from_commitment_to_numbers_that_a_stranger_confirms(drawn: DrawnRoom) -> None:
    """Everybody who registered has the number of the rules, and the file passes the verifier."""
    assert await drawn.commit() is EffectOutcome.DONE
    answers = await drawn.lobby.join(drawn.key, *NAMES)
    assert {answer.outcome for answer in answers} == {JoinOutcome.REGISTERED}
    assert await drawn.seal() is EffectOutcome.DONE
    assert await drawn.reveal() is EffectOutcome.DONE

    sealed = seal(entrant_of(name).bytes for name in NAMES)
    seed = seed_of(drawn.room, 1, SECRET, sealed.list_hash, sealed.total)
    expected = dict(zip(sealed.entrants, numbers_of(seed, sealed.entrants), strict=True))
    for name, answer in zip(NAMES, await drawn.lobby.join(drawn.key, *NAMES), strict=True):
        assert answer.outcome is JoinOutcome.REPLAYED
        assert answer.place is not None
        assert answer.place.number == expected[entrant_of(name).bytes]
        assert answer.place.binding == digest_id(b"binding", name)
    verdict = await drawn.check(Notes(entrant=entrant_of("visitor 7").bytes))
    assert (verdict.exit_code, verdict.entrants, verdict.warnings) == (0, 40, [])
    assert verdict.receipt is not None
    assert verdict.receipt["number"] == expected[entrant_of("visitor 7").bytes]


async def test_latecomers_number_on_behind_the_drawn(drawn: DrawnRoom) -> None:
    """From the seal on, who joins stands behind all entrants, revealed or not."""
    await drawn.commit()
    await drawn.lobby.join(drawn.key, "Kim", "Lee")
    await drawn.seal()
    (late,) = await drawn.lobby.join(drawn.key, "late")
    (waiting,) = await drawn.lobby.join(drawn.key, "Kim")
    await drawn.reveal()
    (later,) = await drawn.lobby.join(drawn.key, "later")
    places = await drawn.lobby.join(drawn.key, "Kim", "Lee")

    assert late.place is not None
    assert later.place is not None
    assert (late.place.number, later.place.number) == (3, 4)
    assert (waiting.outcome, waiting.place) == (JoinOutcome.REPLAYED, None)
    assert waiting.entrant is not None
    assert sorted(a.place.number for a in places if a.place is not None) == [1, 2]
    assert (await drawn.lobby.line(drawn.key))["issued"] == 4


async def test_each_step_takes_effect_once(drawn: DrawnRoom) -> None:
    """Sent again with its key a step tells what it did, and moves nothing."""
    commitment = NewCommitment(commitment_of(SECRET).hex(), "A notary", independent=True)
    await drawn.lobby.join(drawn.key)
    steps: list[Any] = [
        lambda key: drawn.store.commit(By("ann", key), drawn.room, commitment),
        lambda key: drawn.store.seal(By("ann", key), drawn.room),
        lambda key: drawn.store.withhold(By("ann", key), drawn.room, Withholding("asleep")),
        lambda key: drawn.store.reveal(By("ann", key), drawn.room, Reveal(SECRET.hex())),
    ]
    for number, step in enumerate(steps):
        first = await step(f"key {number}")
        before = await drawn.everything()
        again = await step(f"key {number}")
        assert (first.outcome, again.outcome) == (EffectOutcome.DONE, EffectOutcome.REPLAYED)
        assert again.result == first.result
        assert await drawn.everything() == before


async def test_steps_out_of_their_order_are_refused(drawn: DrawnRoom) -> None:
    """Each step needs the one before, is taken once, and a refusal moves nothing."""
    heard: list[str] = []

    async def refused(*steps: Any) -> None:
        before = await drawn.everything()
        heard.extend([(await step()).name for step in steps])
        assert await drawn.everything() == before

    await refused(drawn.seal, drawn.reveal, drawn.withhold)
    await drawn.commit()
    await refused(drawn.reveal, drawn.withhold)
    await drawn.lobby.join(drawn.key, "Kim")
    await refused(drawn.commit)
    await drawn.seal()
    await refused(drawn.seal, drawn.commit, lambda: drawn.reveal(OTHER_SECRET))
    await drawn.reveal()
    await refused(drawn.seal, drawn.commit, drawn.reveal, drawn.withhold)

    assert heard == [
        *["NOT_COMMITTED"] * 3,
        *["NOT_SEALED"] * 2,
        "COMMITMENT_STANDS",
        *["ALREADY_SEALED", "COMMITMENT_STANDS", "WRONG_SECRET"],
        *["ALREADY_SEALED", "ALREADY_REVEALED", "ALREADY_REVEALED", "ALREADY_REVEALED"],
    ]


async def test_unknown_room_and_epoch_are_absent(drawn: DrawnRoom) -> None:
    """There is nothing to commit to, to read or to download."""
    body = NewCommitment(commitment_of(SECRET).hex(), "A notary", independent=True)
    answer = await drawn.store.commit(By("ann", "a"), drawn.room + 1, body)

    assert answer.outcome is DrawOutcome.UNKNOWN_ROOM
    assert await drawn.store.status(drawn.room + 1) is DrawOutcome.UNKNOWN_ROOM
    assert await drawn.store.status(drawn.room, 9) is DrawOutcome.NO_DRAW
    assert await drawn.store.publish(drawn.room) is DrawOutcome.NO_DRAW
    await drawn.commit()
    assert await drawn.store.publish(drawn.room) is DrawOutcome.NOT_SEALED


async def test_sealed_list_is_published_before_the_secret(drawn: DrawnRoom) -> None:
    """List and hash can be noted while nobody knows the numbers; the draw is of that list."""
    await drawn.commit()
    await drawn.lobby.join(drawn.key, *NAMES)
    await drawn.seal()
    sealed = await drawn.check()
    status = await drawn.status()
    await drawn.reveal()
    revealed = await drawn.check(Notes(list_hash=status.list_hash, commitment=status.commitment))

    assert (sealed.exit_code, sealed.entrants) == (3, 40)
    assert (status.state, status.secret, status.seed) == ("sealed", None, None)
    assert revealed.exit_code == 0


async def test_status_counts_on_during_registration(drawn: DrawnRoom) -> None:
    """Everybody sees how many have registered, and the file tells it by the minute."""
    seen: list[str] = [(await drawn.status()).state]
    await drawn.commit()
    for name in NAMES[:3]:
        await drawn.lobby.join(drawn.key, name)
        seen.append(str((await drawn.status()).registered))
    await drawn.seal()
    await drawn.lobby.join(drawn.key, "late")
    header = json.loads((await drawn.file()).splitlines()[0])

    assert seen == ["none", "1", "2", "3"]
    assert (await drawn.status()).registered == 3
    assert header["registrations"][-1][1] == 3
    assert all(minute.endswith(":00.000Z") for minute, _ in header["registrations"])


async def test_withheld_secret_stays_in_the_log(drawn: DrawnRoom) -> None:
    """The fault is logged; the secret still counts if it comes, and the verdict tells of it."""
    await drawn.commit()
    await drawn.lobby.join(drawn.key, *NAMES)
    await drawn.seal()
    assert await drawn.withhold() is EffectOutcome.DONE
    assert (await drawn.status()).state == "withheld"
    assert (await drawn.check()).exit_code == 3
    assert await drawn.reveal() is EffectOutcome.DONE
    verdict = await drawn.check()

    assert verdict.exit_code == 0
    assert "withheld" in verdict.warnings[0]
    assert [entry["event"] for entry in (await drawn.status()).log] == [
        "committed",
        "sealed",
        "withheld",
        "revealed",
    ]


async def test_another_commitment_may_replace_a_withheld_one(drawn: DrawnRoom) -> None:
    """The sealed list stays; that the new commitment came after it is told to everybody."""
    await drawn.commit()
    await drawn.lobby.join(drawn.key, *NAMES)
    await drawn.seal()
    listed = (await drawn.status()).list_hash
    await drawn.withhold()
    assert await drawn.commit(OTHER_SECRET) is EffectOutcome.DONE
    assert (await drawn.status()).state == "sealed"
    assert await drawn.reveal() is DrawOutcome.WRONG_SECRET
    assert await drawn.reveal(OTHER_SECRET) is EffectOutcome.DONE
    verdict = await drawn.check(Notes(list_hash=listed))

    assert verdict.exit_code == 0
    assert [warning.split(",")[0] for warning in verdict.warnings] == [
        "The secret was withheld",
        "This commitment came after 40 had registered",
    ]


async def test_unused_commitment_may_be_replaced(drawn: DrawnRoom) -> None:
    """As long as nobody has registered, a lost secret harms nobody; both stand in the log."""
    await drawn.commit(OTHER_SECRET)
    assert await drawn.commit(independent=False) is EffectOutcome.DONE
    status = await drawn.status()

    assert status.commitment == commitment_of(SECRET).hex()
    assert status.independent is False
    assert [entry["event"] for entry in status.log] == ["committed", "committed"]


async def test_who_comes_back_after_a_draw_goes_to_the_end(drawn: DrawnRoom) -> None:
    """Her drawn number stays hers in what is published, and the latecomers are ahead of her."""
    accounts = [holder(name) for name in NAMES]
    joins = [Join(drawn.key, one, uuid4()) for one in accounts]
    await drawn.commit()
    await drawn.lobby.do(*joins)
    await drawn.seal()
    await drawn.reveal()
    (late,) = await drawn.lobby.join(drawn.key, "late")
    (mine,) = await drawn.lobby.do(joins[0])
    assert mine.place is not None
    number = mine.place.number
    assert mine.outcome is JoinOutcome.REPLAYED
    await drawn.lobby.call_up_to(drawn.key, number)
    await drawn.lobby.leave(drawn.key, await drawn.lobby.entered(drawn.key, number))

    back, again = await drawn.lobby.do(joins[0], joins[0])

    assert late.place is not None
    assert back.place is not None
    assert (back.outcome, again.outcome) == (JoinOutcome.JOINED, JoinOutcome.REPLAYED)
    assert back.place.number == late.place.number + 1 == len(NAMES) + 2
    verdict = await drawn.check()
    assert (verdict.exit_code, verdict.entrants) == (0, len(NAMES))


async def test_empty_draw_is_a_draw(drawn: DrawnRoom) -> None:
    """Nobody came: the list is sealed, revealed and valid, and the first latecomer has number 1."""
    await drawn.commit()
    await drawn.seal()
    await drawn.reveal()
    (late,) = await drawn.lobby.join(drawn.key, "late")

    assert (await drawn.check()).exit_code == 0
    assert late.place is not None
    assert late.place.number == 1


@pytest.mark.parametrize("change", ["DELETE FROM room_entrants WHERE holder = $1",
    "UPDATE room_entrants SET entrant = gen_random_uuid() WHERE holder = $1"])  # fmt: skip
async def test_list_that_was_changed_after_the_seal_is_not_drawn(
    drawn: DrawnRoom, change: str
) -> None:
    """Who edits the stored list between seal and reveal cannot have it drawn."""
    await drawn.commit()
    (answer, *_) = await drawn.lobby.join(drawn.key, *NAMES)
    await drawn.seal()
    assert answer.entrant is not None
    await drawn.lobby.rows(change, answer.entrant.holder)

    assert await drawn.reveal() is DrawOutcome.LIST_CHANGED
    assert await drawn.lobby.rows("SELECT count(*) FROM room_places") == [(0,)]
    assert (await drawn.status()).state == "sealed"


@pytest.mark.parametrize("statement", ["seal_draw", "draw_numbers", "reveal_draw"])
async def test_crash_within_a_step_leaves_the_step_before(drawn: DrawnRoom, statement: str) -> None:
    """A step that dies at any statement rolls back whole, and can be taken again."""
    await drawn.commit()
    await drawn.lobby.join(drawn.key, *NAMES)
    if statement != "seal_draw":
        await drawn.seal()
    before = await drawn.everything()

    def die(_connection: Any, _cursor: Any, text: str, *_rest: Any) -> None:
        if f"/* {statement} */" in text:
            raise ConnectionResetError

    event.listen(drawn.engine.sync_engine, "after_cursor_execute", die)
    with pytest.raises(ConnectionResetError):
        await (drawn.seal() if statement == "seal_draw" else drawn.reveal())
    event.remove(drawn.engine.sync_engine, "after_cursor_execute", die)
    if statement != "seal_draw":
        assert await drawn.everything() == before
    else:  # only that registration is over stays so
        assert (await drawn.status()).state == "committed"
        assert (await drawn.lobby.line(drawn.key))["sealed"]
        (late,) = await drawn.lobby.join(drawn.key, "late")
        assert late.place is not None
        assert late.place.number == len(NAMES) + 1
        assert await drawn.seal() is EffectOutcome.DONE
    assert await drawn.reveal() is EffectOutcome.DONE
    assert (await drawn.check()).exit_code == 0


async def test_reveal_goes_on_when_its_caller_gives_up(drawn: DrawnRoom) -> None:
    """A caller who is cut off repeats with her key, and learns that it was done."""
    await drawn.commit()
    await drawn.lobby.join(drawn.key, *NAMES)
    await drawn.seal()
    reached = asyncio.Event()

    def note(_connection: Any, _cursor: Any, text: str, *_rest: Any) -> None:
        if "/* draw_numbers */" in text:
            reached.set()

    event.listen(drawn.engine.sync_engine, "before_cursor_execute", note)
    body = Reveal(SECRET.hex())
    caller = asyncio.create_task(drawn.store.reveal(By("ann", "the key"), drawn.room, body))
    await reached.wait()
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    again = await drawn.store.reveal(By("ann", "the key"), drawn.room, body)

    assert again.outcome is EffectOutcome.REPLAYED
    assert (await drawn.check()).exit_code == 0


async def test_two_operators_at_once_take_turns(drawn: DrawnRoom) -> None:
    """Of two who seal, and of two who reveal, one does it and the other is told."""
    await drawn.commit()
    await drawn.lobby.join(drawn.key, *NAMES)
    sealing = await asyncio.gather(drawn.seal(), drawn.seal())
    revealing = await asyncio.gather(drawn.reveal(), drawn.reveal())

    assert {outcome.name for outcome in sealing} == {"DONE", "ALREADY_SEALED"}
    assert {outcome.name for outcome in revealing} == {"DONE", "ALREADY_REVEALED"}
    assert (await drawn.check()).exit_code == 0


async def test_every_step_is_audited(drawn: DrawnRoom) -> None:
    """The audit log has one entry a step, and nowhere the secret."""
    await drawn.commit()
    await drawn.lobby.join(drawn.key, "Kim")
    await drawn.seal()
    await drawn.withhold()
    await drawn.reveal()
    entries = await drawn.lobby.rows(
        "SELECT actor, action, details::text FROM audit_log ORDER BY entry"
    )

    assert [entry[:2] for entry in entries] == [
        ("ann", "commit_draw"),
        ("ann", "seal_draw"),
        ("ann", "withhold_draw"),
        ("ann", "reveal_draw"),
    ]
    assert not [details for _, _, details in entries if SECRET.hex() in details]


async def test_draw_of_an_old_epoch_can_still_be_checked(drawn: DrawnRoom) -> None:
    """A reset begins anew, and hides nothing."""
    await drawn.commit()
    await drawn.lobby.join(drawn.key, *NAMES)
    await drawn.seal()
    await drawn.reveal()
    await drawn.lobby.rows(
        "UPDATE room_lines SET epoch = 2, issued = 0, entrants = 0, sealed = false"
    )
    old = await drawn.store.status(drawn.room, 1)

    assert (await drawn.status()).state == "none"
    assert isinstance(old, DrawStatus)
    assert (old.state, old.registered) == ("revealed", 40)
    assert await drawn.commit(OTHER_SECRET) is EffectOutcome.DONE


async def test_published_file_is_written_once_for_each_state(drawn: DrawnRoom) -> None:
    """Many who ask at once get one file, gzipped; after the reveal it is another one."""
    published = PublishedDraws(drawn.store)
    await drawn.commit()
    await drawn.lobby.join(drawn.key, *NAMES)
    await drawn.seal()
    sealed = await asyncio.gather(*(published.find(drawn.room, None) for _ in range(5)))
    await drawn.reveal()
    revealed = await published.find(drawn.room, None)

    assert len({id(file) for file in sealed}) == 1
    assert isinstance(sealed[0], PublishedFile)
    assert isinstance(revealed, PublishedFile)
    assert revealed.digest != sealed[0].digest
    parts = b"".join([part async for part in revealed.parts()])
    assert len(parts) == revealed.size
    assert gzip.decompress(parts) == await drawn.file()
    assert await published.find(drawn.room, 9) is DrawOutcome.NO_DRAW


async def test_a_hundred_thousand_entrants_are_drawn_into_places(drawn: DrawnRoom) -> None:
    """The database draws as the rules do, also when its tables have just been filled."""
    await drawn.commit()
    await drawn.lobby.rows(
        "INSERT INTO room_entrants (organisation, room, epoch, holder, entrant, registered_at)"
        " SELECT $1, $2, 1, gen_random_uuid(), gen_random_uuid(), clock_timestamp()"
        " FROM generate_series(1, 100000)",
        *drawn.key,
    )
    await drawn.lobby.rows("UPDATE room_lines SET entrants = 100000")
    await drawn.seal()
    assert await drawn.reveal() is EffectOutcome.DONE
    verdict = await drawn.check()

    assert (verdict.exit_code, verdict.entrants) == (0, 100_000)
    assert await drawn.lobby.rows("SELECT count(*), min(number), max(number) FROM room_places") == [
        (100_000, 1, 100_000)
    ]
