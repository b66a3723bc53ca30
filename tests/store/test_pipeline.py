"""Statements by the segment: what comes back, what fails with what, and in which transaction."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from sunseo.core.lane import Fault
from sunseo.postgres.connection import KEYED_PLANS, ConnectionLimits
from sunseo.postgres.errors import constraint_of, fault_of
from sunseo.postgres.lost import CommitUnknownError, NothingDoneError
from sunseo.postgres.pipeline import PipelineConnection
from sunseo.postgres.segments import Columns, Statement
from sunseo.postgres.session import PipelineSession

PATIENCE_S = 20.0
BEGIN, COMMIT, ROLLBACK = ("BEGIN", ()), ("COMMIT", ()), ("ROLLBACK", ())
TABLES = """
CREATE TABLE kept (k integer CONSTRAINT kept_once PRIMARY KEY);
CREATE TABLE late (k integer CONSTRAINT late_once UNIQUE DEFERRABLE INITIALLY DEFERRED);
"""

CANCEL_WAIT_FOR_STANDBY = """
SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE pid = $1 AND wait_event = 'SyncRep'
"""


def keep(*keys: int) -> Statement:
    literal = "{" + ",".join(map(str, keys)) + "}"
    return "INSERT INTO kept SELECT unnest($1::text::integer[])", (literal,)


def keep_late(key: int) -> Statement:
    return "INSERT INTO late VALUES ($1::text::integer)", (str(key),)


class House:
    """A connection under test, and an eye on what is stored."""

    def __init__(
        self,
        dsn: str,
        watching: "asyncpg.Connection[asyncpg.Record]",
        limits: ConnectionLimits | None = None,
    ) -> None:
        self.dsn = dsn
        self.lane = PipelineConnection(dsn, limits=limits)
        self.watching = watching

    async def connect(self) -> PipelineSession:
        self.session = await self.lane.session()
        return self.session

    def send(self, statements: Sequence[Statement]) -> "asyncio.Future[list[Columns]]":
        return self.session.send(statements)

    @asynccontextmanager
    async def limited(self, **limits: Any) -> "AsyncIterator[House]":
        """Another connection under test, to the same database."""
        other = House(self.dsn, self.watching, ConnectionLimits(**limits))
        await other.connect()
        try:
            yield other
        finally:
            other.lane.drop()

    async def kept(self, table: str = "kept") -> list[int]:
        rows = await self.watching.fetch(f"TABLE {table}")
        return sorted(row["k"] for row in rows)

    async def backend(self) -> int:
        (answer,) = await self.send([("SELECT pg_backend_pid() AS pid", ())])
        pid: int = answer["pid"][0]
        return pid

    async def gone(self, pid: int) -> None:
        """Wait until a backend has ended."""
        await found(
            self.watching, "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $1)", pid
        )

    async def waiting_for_a_lock(self, pid: int) -> None:
        await found(
            self.watching,
            "SELECT wait_event_type = 'Lock' FROM pg_stat_activity WHERE pid = $1",
            pid,
        )


async def found(
    watching: "asyncpg.Connection[asyncpg.Record]", question: str, *arguments: object
) -> None:
    """Ask until it is so."""
    await until(lambda: watching.fetchval(question, *arguments))


async def until(holds: Callable[[], Awaitable[object]]) -> None:
    """Look again until it holds; another process says when."""
    async with asyncio.timeout(PATIENCE_S):
        while not await holds():  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.01)


@pytest.fixture
async def house(database_dsn: str) -> AsyncIterator[House]:
    watching = await asyncpg.connect(database_dsn)
    await watching.execute(TABLES)
    house = House(database_dsn, watching)
    await house.connect()
    try:
        yield house
    finally:
        house.lane.drop()
        await watching.close()


async def error_of(future: "asyncio.Future[Any]") -> Exception:
    await asyncio.wait({future}, timeout=PATIENCE_S)
    error = future.exception()
    assert isinstance(error, Exception), f"it was answered: {future}"
    return error


VALUES = [
    ("2::smallint", 2),
    ("-3::integer", -3),
    ("9007199254740993::bigint", 9_007_199_254_740_993),
    ("0.5::float8", 0.5),
    ("1.10::numeric", Decimal("1.10")),
    ("true", True),
    ("'가나 ABC'::text", "가나 ABC"),
    ("'\\x00ff'::bytea", b"\x00\xff"),
    ("'00000000-0000-0000-0000-0000000000ff'::uuid", UUID(int=255)),
    ("'2026-12-01 09:00:00.123456+09'::timestamptz", datetime(2026, 12, 1, 0, 0, 0, 123456, UTC)),
    ("'{\"a\": 1.10}'::json", '{"a": 1.10}'),
    ("'{\"a\": 1.10}'::jsonb", '{"a": 1.10}'),
    ("'{1,NULL,3}'::integer[]", [1, None, 3]),
    ("'{}'::bigint[]", []),
    ("ARRAY['00000000-0000-0000-0000-000000000001'::uuid]", [UUID(int=1)]),
    ("ARRAY['a,b', NULL, '\"']", ["a,b", None, '"']),
    ("NULL::uuid", None),
]


async def test_answers_are_columns_of_the_values_that_the_other_driver_gives(house: House) -> None:
    """Each type comes as asyncpg has it, over several rows, absent values among them."""
    columns = ", ".join(
        f"{expression} AS c{number}" for number, (expression, _) in enumerate(VALUES)
    )
    absent = ", ".join("NULL" for _ in VALUES)
    query = f"SELECT {columns} UNION ALL SELECT {absent}"
    (answer,) = await house.send([(query, ())])
    rows = [dict(row) for row in await house.watching.fetch(query)]

    assert len(answer) == 2
    assert answer.rows() == rows
    assert [answer[f"c{number}"] for number in range(len(VALUES))] == [
        (value, None) for _, value in VALUES
    ]


async def test_arguments_are_text_or_binary(house: House) -> None:
    """Text is cast by the statement, bytes are PostgreSQL's binary form, None is NULL."""
    text, binary, neither = await house.send(
        [
            ("SELECT $1::text::integer[] AS v", ("{1,2}",)),
            ("SELECT $1::integer AS v, $2::text AS w", ((258).to_bytes(4), "가")),
            ("SELECT $1::text AS v", (None,)),
        ]
    )
    assert text["v"] == ([1, 2],)
    assert (binary["v"], binary["w"]) == ((258,), ("가",))
    assert neither["v"] == (None,)


async def test_an_answer_without_rows_has_its_columns(house: House) -> None:
    """No rows are columns of no length; what writes has a tag and no columns."""
    none, written = await house.send([("SELECT k FROM kept", ()), keep(1, 2)])

    assert (len(none), none["k"], none.rows()) == (0, (), [])
    assert (len(written), written.rows(), written.tag) == (0, [], "INSERT 0 2")


async def test_segments_in_flight_are_answered_in_order(house: House) -> None:
    """Many are sent before the first is answered, and each sees what those before it have done."""
    count = ("SELECT count(*) AS n FROM kept", ())
    sent = [house.send([keep(number), count]) for number in range(50)]
    answers = await asyncio.wait_for(asyncio.gather(*sent), PATIENCE_S)

    assert [answer[1]["n"][0] for answer in answers] == list(range(1, 51))


async def test_a_statement_is_parsed_once_a_connection(house: House) -> None:
    """However often it is sent, and though a segment that had it has failed."""
    asked = (
        "SELECT count(*)::integer AS n FROM pg_prepared_statements WHERE statement LIKE '%kept%'",
        (),
    )
    await house.send([keep(1), keep(2)])
    await error_of(house.send([keep(1), asked]))
    (_, first) = await house.send([keep(3), asked])
    (_, second) = await house.send([keep(4), asked])

    assert (first["n"], second["n"]) == ((2,), (2,))


async def test_nothing_is_prepared_where_statements_are_not_kept(house: House) -> None:
    """Without a statement cache, as behind a pooler, the server keeps no statement."""
    asked = ("SELECT count(*)::integer AS n FROM pg_prepared_statements", ())
    async with house.limited(statement_cache=0) as other:
        answers = await other.send([BEGIN, keep(1), asked, COMMIT])

    assert answers[2]["n"] == (0,)
    assert await house.kept() == [1]


async def test_large_ones_pass_each_other(house: House) -> None:
    """Megabytes go out while megabytes come in, and neither side waits for the other."""
    size, times = 700_000, 6
    echo = ("SELECT $1::text AS v", ("가" * size,))
    sent = [house.send([echo]) for _ in range(times)]
    answers = await asyncio.wait_for(asyncio.gather(*sent), PATIENCE_S)

    assert [len(answer[0]["v"][0]) for answer in answers] == [size] * times


async def test_the_session_is_set_as_a_lanes_is(house: House) -> None:
    """Bounds and plans are those of a lane, whatever the role or the database would have."""
    names = [*KEYED_PLANS, "statement_timeout", "lock_timeout", "application_name"]
    names.append("idle_in_transaction_session_timeout")
    asked = [(f"SELECT current_setting('{name}') AS v", ()) for name in names]
    async with house.limited(
        statement_timeout_s=0.05, lock_timeout_s=1.5, idle_in_transaction_s=2.5
    ) as other:
        slow = await error_of(other.send([("SELECT pg_sleep(10)", ())]))
        answers = await other.send(asked)

    assert {name: answer["v"][0] for name, answer in zip(names, answers, strict=True)} == {
        **KEYED_PLANS,
        "statement_timeout": "50ms",
        "lock_timeout": "1500ms",
        "application_name": "sunseo lane",
        "idle_in_transaction_session_timeout": "2500ms",
    }
    assert isinstance(slow, asyncpg.QueryCanceledError)


async def test_what_fails_takes_its_own_segment_along_and_no_other(house: House) -> None:
    """The first error is told with SQLSTATE and constraint; those before and behind are done."""
    before = house.send([keep(1)])
    failing = house.send([keep(2), keep(1), keep(3)])
    behind = house.send([keep(4)])
    error = await error_of(failing)

    assert isinstance(error, asyncpg.UniqueViolationError)
    assert (error.sqlstate, constraint_of(error), fault_of(error)) == (
        "23505", "kept_once", Fault.DATA,
    )  # fmt: skip
    await asyncio.gather(before, behind)
    assert await house.kept() == [1, 4]


async def test_what_cannot_be_parsed_fails_by_its_own_name(house: House) -> None:
    """A table that is not there is the error, not that its statement was never prepared."""
    error = await error_of(house.send([BEGIN, keep(1), ("SELECT * FROM nowhere", ()), COMMIT]))
    await house.connect()
    answers = await house.send([BEGIN, keep(2), COMMIT])

    assert isinstance(error, asyncpg.UndefinedTableError)
    assert answers[-1].tag == "COMMIT"
    assert await house.kept() == [2]


async def test_a_plan_of_another_schema_costs_one_segment(house: House) -> None:
    """After a change of a table the segment fails as such, and the next one is planned anew."""
    everything = ("SELECT * FROM kept", ())
    await house.send([keep(1), everything])
    await house.watching.execute("ALTER TABLE kept ADD COLUMN more text DEFAULT 'm'")
    error = await error_of(house.send([everything]))
    await house.connect()
    (answer,) = await house.send([everything])

    assert isinstance(error, asyncpg.InvalidCachedStatementError)
    assert answer.rows() == [{"k": 1, "more": "m"}]


async def test_statements_that_the_server_has_forgotten_are_prepared_anew(house: House) -> None:
    """Nothing was done, and the next segment is."""
    await house.send([keep(1)])
    await house.send([("DEALLOCATE ALL", ())])
    error = await error_of(house.send([BEGIN, keep(2), COMMIT]))
    await house.connect()
    await house.send([BEGIN, keep(3), COMMIT])

    assert isinstance(error, NothingDoneError)
    assert await house.kept() == [1, 3]


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
