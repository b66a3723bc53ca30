"""Invented parts over several streams: what the engine sends, and in which order it answers."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sunseo.engine.batch import BatchFlush
from sunseo.engine.entry import Defer
from sunseo.engine.part import Batch, Command, Read, Share
from sunseo.engine.streams import StreamOrder
from sunseo.postgres.locks import LockOrderError
from sunseo.postgres.pipelined.statements import Statement
from tests.bazaar import (
    STALLS,
    TILLS,
    BazaarOutcome,
    Errand,
    Ledger,
    Transfer,
    flush_of_bazaar,
    stall,
    till,
)

NOW = datetime(2026, 5, 1, tzinfo=UTC)
TILL_NUMBERS, STALL_NUMBERS = range(1, 4), range(1, 6)
COINS = 3


class Told:
    """Columns on paper."""

    def __init__(self, names: str, rows: Sequence[Sequence[Any]], tag: str = "") -> None:
        self._names = names.split()
        self._rows = list(rows)
        self.tag = tag

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, name: str) -> list[Any]:
        return [row[self._names.index(name)] for row in self._rows]

    def rows(self) -> list[dict[str, Any]]:
        return [dict(zip(self._names, row, strict=True)) for row in self._rows]


class PaperBazaar:
    """`Sessions` and `Session` in one: a database of tills and stalls, and all it was sent."""

    is_alive = True

    def __init__(self) -> None:
        self.tills = {number: [0, COINS] for number in TILL_NUMBERS}  # version, coins
        self.stalls = {number: [0, 0] for number in STALL_NUMBERS}
        self.notes: dict[str, tuple[int, int]] = {}
        self.journal: list[tuple[str, int, int]] = []
        self.segments: list[list[str]] = []
        self.locked: list[tuple[str, list[int]]] = []

    async def session(self) -> "PaperBazaar":
        return self

    def drop(self) -> None:
        raise AssertionError("nothing hangs on paper")

    async def send(self, statements: Sequence[Statement]) -> list[Told]:
        self.segments.append([name_of(statement) for statement in statements])
        return [self._answer(name_of(s), [_read(a) for a in s.arguments]) for s in statements]

    def _answer(self, name: str, given: list[Any]) -> Told:
        match name:
            case "lock_tills" | "lock_stalls":
                self.locked.append((name, given[1]))
                found = self.tills if name == "lock_tills" else self.stalls
                rows = [(1, n, *found.get(n, (None, None)), False) for n in given[1]]
                return Told("organisation number version coins is_locked", rows)
            case "read_clock":
                return Told("now", [(NOW,)])
            case "find_notes":
                return Told("effect", [(UUID(e),) for e in given[0] if e in self.notes])
            case "find_next":
                known = [n for n in given[0] if n in self.stalls]
                return Told("number leads_to", [(n, n - 1 if n > 1 else None) for n in known])
            case "COMMIT":
                return Told("", [], "COMMIT")
        self._change(name, given)
        return Told("", [])

    def _change(self, name: str, given: list[Any]) -> None:
        match name:
            case "raise_tills" | "raise_stalls":
                rows = self.tills if name == "raise_tills" else self.stalls
                for number, version in zip(given[1], given[2], strict=True):
                    assert version == rows[number][0] + 1
                    rows[number][0] = version
            case "count_tills" | "count_stalls":
                rows = self.tills if name == "count_tills" else self.stalls
                for number, coins in zip(*given, strict=True):
                    rows[number][1] = coins
            case "write_notes":
                for effect, number, place in zip(*given, strict=True):
                    assert effect not in self.notes
                    self.notes[effect] = number, place
            case "append_entries":
                self.journal += zip(given[0], given[2], given[3], strict=True)
            case _:
                assert name in ("BEGIN", "ROLLBACK"), name


def name_of(statement: Statement) -> str:
    query = statement.query
    return query.split()[1] if query.startswith("/*") else query


def _read(argument: str | None) -> Any:
    """An argument as a list: array literals of what is in here read like JSON."""
    assert argument is not None
    if not argument.startswith("{"):
        return argument
    inner = argument[1:-1]
    try:
        return msgspec.json.decode(f"[{inner}]")
    except msgspec.DecodeError:
        return inner.split(",")


_ids = st.integers(1, 30).map(lambda number: UUID(int=number))
_transfers = st.builds(
    Transfer,
    effect=_ids,
    till=st.sampled_from([*TILL_NUMBERS, 9]),
    stalls=st.lists(st.sampled_from(STALL_NUMBERS), min_size=1, max_size=3, unique=True).map(tuple),
    coins=st.integers(1, 2),
)
_errands = st.builds(Errand, effect=_ids, stall=st.sampled_from([*STALL_NUMBERS, 9]))
_batches = st.lists(st.lists(_transfers | _errands, min_size=1, max_size=6), min_size=1, max_size=5)


async def run(flush: BatchFlush, batches: Sequence[Sequence[Command]]) -> list[tuple[Any, Any]]:
    """Flush as a lane does, what is put off at the head of the next batch; answers as they come."""
    said: list[tuple[Any, Any]] = []
    ahead: list[Command] = []
    for batch in [*batches, [], [], []]:
        commands = [*ahead, *batch]
        ahead = []
        if not commands:
            continue
        for command, answer in zip(commands, await flush(commands), strict=True):
            if isinstance(answer, Defer):
                ahead.append(answer.command)
            else:
                said.append((command, answer.outcome))
    assert not ahead
    return said


@settings(max_examples=150)
@given(_batches)
def test_streams_are_locked_first_and_in_one_order(batches: list[list[Command]]) -> None:
    """Begin, locks by rung and key, clock, reads; then writes, versions, journal and the commit."""
    bazaar = PaperBazaar()
    asyncio.run(run(flush_of_bazaar(bazaar), batches))

    assert len(bazaar.segments) % 2 == 0
    for reading, writing in zip(bazaar.segments[::2], bazaar.segments[1::2], strict=True):
        kinds = [name for name in reading if name.startswith("lock_")]
        assert kinds == [name for name in ("lock_tills", "lock_stalls") if name in kinds]
        reads = reading[len(kinds) + 2 :]
        assert reading == ["BEGIN", *kinds, "read_clock", *reads]
        assert all(name.startswith("find_") for name in reads)
        verbs = [name.split("_")[0] for name in writing]
        assert verbs == sorted(verbs, key=["count", "write", "raise", "append", "COMMIT"].index)
        assert verbs.count("COMMIT") == 1
        assert ("append_entries" in writing) == any(name.startswith("raise_") for name in writing)
    assert all(numbers == sorted(set(numbers)) for _, numbers in bazaar.locked)


@settings(max_examples=150)
@given(_batches)
def test_answers_and_effects_keep_the_order_of_arrival(batches: list[list[Command]]) -> None:
    """What a till pays is what it would pay to one after the other, and versions have no gap."""
    bazaar = PaperBazaar()
    said = asyncio.run(run(flush_of_bazaar(bazaar), batches))

    coins = dict.fromkeys(TILL_NUMBERS, COINS)
    done: set[UUID] = set()
    for command, outcome in said:
        expected = BazaarOutcome.PAID
        if command.effect in done:
            expected = BazaarOutcome.REPLAYED
        elif isinstance(command, Transfer):
            cost = command.coins * len(command.stalls)
            if command.till not in coins:
                expected = BazaarOutcome.UNKNOWN
            elif coins[command.till] < cost:
                expected = BazaarOutcome.TOO_POOR
            else:
                coins[command.till] -= cost
        elif command.stall not in STALL_NUMBERS:
            expected = BazaarOutcome.UNKNOWN
        assert outcome is expected
        if outcome is BazaarOutcome.PAID:
            done.add(command.effect)
    assert {number: row[1] for number, row in bazaar.tills.items()} == coins
    assert len(bazaar.notes) == len(done)
    for rows, kind in ((bazaar.tills, "account"), (bazaar.stalls, "sale")):
        for number, (version, _) in rows.items():
            told = [v for k, n, v in bazaar.journal if (k, n) == (kind, number)]
            assert told == list(range(1, version + 1))


def test_a_part_that_learns_of_another_stream_asks_again_and_holds_it_then() -> None:
    """The first batch holds one stall and moves nothing; the second holds both, and does it."""
    bazaar = PaperBazaar()
    flush = flush_of_bazaar(bazaar)
    errand = Errand(UUID(int=1), 3)
    (put_off,) = asyncio.run(flush([errand]))

    assert isinstance(put_off, Defer)
    assert put_off.command == Errand(UUID(int=1), 3, then=2)
    assert bazaar.locked == [("lock_stalls", [3])]
    assert bazaar.segments[1] == ["COMMIT"]
    assert [outcome for _, outcome in asyncio.run(run(flush, [[put_off.command]]))] == [
        BazaarOutcome.PAID
    ]
    assert bazaar.locked[1:] == [("lock_stalls", [2, 3])]
    assert [bazaar.stalls[number][1] for number in (2, 3)] == [1, 1]


class _Sly:
    """A part that tries what parts may not do."""

    commands: tuple[type[Command], ...] = (Transfer,)

    def __init__(self, query: str = "", *, when: str = "reads", stream: Any = None) -> None:
        self.query, self.when, self.stream = query, when, stream

    def streams(self, command: Transfer) -> Any:
        return [self.stream or till(command.till)]

    def join(self, _batch: Batch) -> Share:
        class Tried(Share):
            def decide(self, _command: Any, _now: Any) -> Any:
                return Ledger  # never told to anybody

        share = Tried()
        read = Read(Statement(self.query), lambda _columns: None)
        if self.query:
            setattr(share, self.when, lambda *_: [read])
        return share


@pytest.mark.parametrize("when", ["known", "reads", "second_look"])
@pytest.mark.parametrize(
    "query",
    [
        "SELECT 1 FROM stalls FOR UPDATE",
        "SELECT 1 FROM stalls AS s FOR  no key\nUPDATE OF s",
        "SELECT 1 FROM (SELECT 1 FROM tills FOR SHARE) AS t",
        "WITH gone AS (DELETE FROM notes RETURNING 1) SELECT 1 FROM gone",
        "UPDATE stalls SET coins = 1",
        "INSERT INTO notes VALUES (1)",
        "LOCK TABLE tills",
        "SELECT pg_advisory_xact_lock(1)",
    ],
)
def test_no_part_can_lock_or_change_by_reading(query: str, when: str) -> None:
    """Such a statement is refused before it is sent, at whatever moment a part tries it."""
    bazaar = PaperBazaar()
    flush = BatchFlush(bazaar, [TILLS, STALLS], [_Sly(query, when=when)])
    with pytest.raises(LockOrderError, match="may not send"):
        asyncio.run(flush([Transfer(UUID(int=1), 1, (1,))]))
    assert query not in [name for segment in bazaar.segments for name in segment]
    assert "COMMIT" not in [name for segment in bazaar.segments for name in segment]


def test_no_stream_is_locked_without_a_place_in_the_order() -> None:
    """A kind that the lane does not know is refused, and so are two kinds on one rung."""
    bazaar = PaperBazaar()
    flush = BatchFlush(bazaar, [TILLS], [_Sly(stream=stall(1))])
    with pytest.raises(LockOrderError, match="sale"):
        asyncio.run(flush([Transfer(UUID(int=1), 1, (1,))]))
    assert [name for segment in bazaar.segments for name in segment] == ["ROLLBACK"]
    with pytest.raises(LockOrderError, match="one rung"):
        StreamOrder([TILLS, msgspec.structs.replace(TILLS, name="purse")])


def test_rows_without_an_event_are_not_committed() -> None:
    """Whoever changes rows of a stream says so; a batch that does not is rolled back."""

    class Silent(Ledger):
        def join(self, batch: Batch) -> Any:
            share = super().join(batch)
            share.writes = lambda: [Statement("/* write_notes */ INSERT …", ("{}", "{}", "{}"))]  # type: ignore[method-assign]  # as a careless part would have it
            return share

    bazaar = PaperBazaar()
    flush = BatchFlush(bazaar, [TILLS, STALLS], [Silent()])
    with pytest.raises(RuntimeError, match="no event says so"):
        asyncio.run(flush([Transfer(UUID(int=1), 9, (1,))]))
    assert bazaar.segments[-1] == ["ROLLBACK"]
