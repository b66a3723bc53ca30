"""Statements by the segment: what comes back, and what fails with what."""

import asyncio
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

import asyncpg

from sunseo.core.later import Fault
from sunseo.postgres.connection import KEYED_PLANS
from sunseo.postgres.errors import constraint_of, fault_of
from sunseo.postgres.pipelined.lost import NothingDoneError
from tests.store.pipeline_house import (
    BEGIN,
    COMMIT,
    PATIENCE_S,
    House,
    error_of,
    house,
    keep,
)

__all__ = ["house"]

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
