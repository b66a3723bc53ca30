"""Transactions over segments: which are kept, and what of a failed one is never sent."""

import asyncpg
import pytest

from sunseo.core.later import Fault
from sunseo.postgres.errors import constraint_of, fault_of
from sunseo.postgres.pipelined.lost import CommitUnknownError, NothingDoneError
from sunseo.postgres.pipelined.segments import Statement
from tests.store.pipeline_house import (
    BEGIN,
    COMMIT,
    ROLLBACK,
    House,
    error_of,
    house,
    keep,
    keep_late,
    until,
)

__all__ = ["house"]

CANCEL_WAIT_FOR_STANDBY = """
SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE pid = $1 AND wait_event = 'SyncRep'
"""


async def test_a_transaction_spans_segments(house: House) -> None:
    """It is seen by others once its COMMIT was answered, and not before; a ROLLBACK undoes it."""
    await house.send([BEGIN, keep(1)])
    await house.send([keep(2)])
    assert await house.kept() == []
    answers = await house.send([keep(3), COMMIT])
    assert answers[-1].tag == "COMMIT"
    await house.send([BEGIN, keep(4)])
    (undone,) = await house.send([ROLLBACK])

    assert undone.tag == "ROLLBACK"
    assert await house.kept() == [1, 2, 3]


async def test_the_next_transaction_follows_behind_a_commit(house: House) -> None:
    """It is sent before the commit is answered, and sees what was committed."""
    await house.send([BEGIN, keep(1)])
    first = house.send([keep(2), COMMIT])
    second = house.send([BEGIN, ("SELECT count(*)::integer AS n FROM kept", ())])
    await first
    assert (await second)[1]["n"] == (2,)
    await house.send([keep(3), COMMIT])

    assert await house.kept() == [1, 2, 3]


async def test_a_failed_batch_takes_the_one_behind_it_along_and_no_more(house: House) -> None:
    """The one behind has done nothing and nothing more of it is sent; then all goes on."""
    await house.send([BEGIN, keep(1)])
    failing = house.send([keep(1), COMMIT])
    behind = house.send([BEGIN, keep(2)])
    failed = await error_of(failing)
    not_begun = await error_of(behind)
    assert isinstance(failed, asyncpg.UniqueViolationError)
    assert isinstance(not_begun, NothingDoneError)
    assert fault_of(not_begun) is Fault.INFRASTRUCTURE

    for rest in ([keep(3)], [keep(4), COMMIT]):
        refused = await error_of(house.send(rest))
        assert isinstance(refused, NothingDoneError)
    assert await house.kept() == []
    await house.send([BEGIN, keep(5), COMMIT])
    assert await house.kept() == [5]


async def test_a_commit_that_fails_by_itself_leaves_the_one_behind_it_whole(house: House) -> None:
    """The error comes after all other statements went well; the next transaction runs clean."""
    await house.send([keep_late(1)])
    await house.send([BEGIN, keep(1)])
    failing = house.send([keep_late(1), COMMIT])
    behind = house.send([BEGIN, keep(2)])
    failed = await error_of(failing)
    assert isinstance(failed, asyncpg.UniqueViolationError)
    assert constraint_of(failed) == "late_once"
    await behind
    assert await house.kept() == []
    answers = await house.send([keep(3), COMMIT])

    assert answers[-1].tag == "COMMIT"
    assert (await house.kept(), await house.kept("late")) == ([2, 3], [1])


async def test_a_deferred_error_outside_of_a_transaction_fails_the_segment(house: House) -> None:
    """It comes with the segment's end, after the answers to all of its statements."""
    await house.send([keep_late(1)])
    failed = await error_of(house.send([keep(1), keep_late(1)]))
    await house.send([keep(2)])

    assert constraint_of(failed) == "late_once"
    assert (await house.kept(), await house.kept("late")) == ([2], [1])


async def test_a_failed_transaction_is_its_owners_to_roll_back(house: House) -> None:
    """Until then nothing of it is sent; a second rollback, of nothing, is answered all the same."""
    await house.send([BEGIN, keep(1)])
    assert isinstance(await error_of(house.send([keep(1)])), asyncpg.UniqueViolationError)
    assert isinstance(await error_of(house.send([keep(2)])), NothingDoneError)
    for _ in range(2):
        assert [answer.tag for answer in await house.send([ROLLBACK])] == ["ROLLBACK"]
    await house.send([BEGIN, keep(3), COMMIT])

    assert await house.kept() == [3]


async def test_a_failed_transaction_that_nobody_rolls_back_ends_with_the_next(house: House) -> None:
    """A BEGIN behind it begins a transaction of its own."""
    await house.send([BEGIN, keep(1)])
    await error_of(house.send([keep(1)]))
    await house.send([BEGIN, keep(2)])
    await house.send([keep(3), COMMIT])

    assert await house.kept() == [2, 3]


async def test_a_commit_counts_only_by_its_tag(house: House) -> None:
    """To end a failed transaction by COMMIT is a success to the server; nothing was committed."""
    await house.send([BEGIN, keep(1)])
    transaction = house.session._transaction
    assert transaction is not None
    await error_of(house.send([keep(1)]))
    transaction.is_alive = True  # as if the error had been overlooked
    error = await error_of(house.send([COMMIT]))

    assert isinstance(error, NothingDoneError)
    assert "ROLLBACK" in str(error)
    assert await house.kept() == []


@pytest.mark.parametrize(
    "statements",
    [
        [keep(1), BEGIN],
        [COMMIT, keep(1)],
        [BEGIN, keep(1), COMMIT, BEGIN],
        [BEGIN, ("COMMIT AND CHAIN", ())],
        [("/* a note */ start transaction", ())],
        [BEGIN, ("SAVEPOINT s", ())],
        [BEGIN, BEGIN],
        [keep(1), COMMIT],
    ],
)
async def test_a_transaction_begins_and_ends_in_its_place_only(
    house: House, statements: list[Statement]
) -> None:
    """Anything else is refused at once, and nothing is sent."""
    with pytest.raises((ValueError, RuntimeError)):
        house.send(statements)

    assert await house.kept() == []
    await house.send([BEGIN, keep(2), COMMIT])
    assert await house.kept() == [2]


async def test_a_second_begin_is_refused_and_the_first_goes_on(house: House) -> None:
    """An open transaction is neither committed nor joined by somebody else's."""
    await house.send([BEGIN, keep(1)])
    with pytest.raises(RuntimeError):
        house.send([BEGIN, keep(2)])
    await house.send([COMMIT])

    assert await house.kept() == [1]


@pytest.mark.parametrize("argument", ["a\0b", "\ud800"])
async def test_an_argument_that_cannot_be_stored_fails_before_it_is_sent(
    house: House, argument: str
) -> None:
    """It is the command's fault, nothing of its transaction is kept, and the connection goes on."""
    await house.send([BEGIN, keep(1)])
    error = await error_of(house.send([("SELECT $1::text", (argument,)), COMMIT]))
    await house.send([BEGIN, keep(2), COMMIT])

    assert isinstance(error, ValueError)
    assert fault_of(error) is Fault.DATA
    assert await house.kept() == [2]


async def test_a_caller_who_goes_away_leaves_the_segment_running(house: House) -> None:
    """A future that is cancelled is not told, and those behind it are."""
    gone = house.send([keep(1)])
    stays = house.send([keep(2)])
    gone.cancel()
    await stays

    assert await house.kept() == [1, 2]


async def test_a_commit_that_no_standby_confirms_is_unknown(house: House) -> None:
    """Cancelled, it is a success with a warning: committed here, and perhaps nowhere else."""
    pid = await house.backend()
    admin = await asyncpg.connect(house.dsn.replace("sunseo@", "postgres@"))
    number, committing = 0, house.send([BEGIN, COMMIT])
    try:
        await admin.execute("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
        await admin.execute("SELECT pg_reload_conf()")

        async def is_cancelled() -> object:
            nonlocal number, committing
            if committing.done():  # the server does not know of its new setting yet
                number += 1
                committing = house.send([BEGIN, keep(number), COMMIT])
            return await admin.fetchval(CANCEL_WAIT_FOR_STANDBY, pid)

        await until(is_cancelled)
        error = await error_of(committing)
    finally:
        await admin.execute("ALTER SYSTEM RESET synchronous_standby_names")
        await admin.execute("SELECT pg_reload_conf()")
        await admin.close()

    assert isinstance(error, CommitUnknownError)
    assert (await house.kept())[-1] == number
