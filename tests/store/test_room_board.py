"""The board of all rooms, and the state that is served from it."""

import json
from collections.abc import AsyncIterator, Sequence
from typing import Any
from uuid import UUID

import msgspec
import pytest
from sqlalchemy import event

from sunseo.core.signing import decode_base64url
from sunseo.passes.keys import KeyRing
from sunseo.room.board.board import RoomBoard
from sunseo.room.board.reader import TURNS
from sunseo.room.board.state import SignedState
from sunseo.room.pacing.health import AnswerTally, SiteHealth, WaitWatch, WorkerHealth
from sunseo.room.pacing.signals import Signals
from sunseo.room.setup.setup_bodies import Signal
from sunseo.telemetry.metrics import Metrics
from tests.asgi import ask
from tests.store.room_house import KEYS, House

PASS = UUID("00000001-0000-4000-8000-000000000001")


@pytest.fixture
async def house(database_dsn: str) -> AsyncIterator[House]:
    opened = House(database_dsn)
    try:
        yield opened
    finally:
        await opened.close()


def counted(house: House) -> list[str]:
    """Every statement that the house's engine runs from now on."""
    statements: list[str] = []

    @event.listens_for(house.engine.sync_engine, "before_cursor_execute")
    def _count(*told: Any) -> None:
        statements.append(told[2])

    return statements


async def test_two_statements_a_tick_at_most_and_none_a_poll(house: House) -> None:
    """One tells which rooms have changed, one reads all ten; a thousand polls read nothing."""
    rooms = [await house.room() for _ in range(10)]
    statements = counted(house)
    app = house.app()

    await house.board.run_once()
    assert len(statements) == 2
    for number in range(1000):
        query = b"cache-buster=%d" % number
        answer = await ask(app, "GET", f"/v1/rooms/{rooms[number % 10]}/state", query=query)
        assert answer.status == 200

    assert len(statements) == 2
    assert house.ready.served == 1000


async def told(board: RoomBoard) -> list[int]:
    """The rooms that one tick reads, of those whose turn it is not."""
    reader, rooms = board._reader, list[int]()
    reader._looks, read = TURNS // 2, reader.read

    async def listening(*given: Any) -> Sequence[Any]:
        rows = await read(*given)
        rooms.extend(row.room for row in rows)
        return rows

    reader.read = listening  # type: ignore[method-assign, assignment]  # to listen
    try:
        await board.run_once()
    finally:
        reader.read = read  # type: ignore[method-assign]  # as it was
    return rooms


async def test_rooms_that_nobody_asks_for_cost_nothing(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A room is read when it has changed, and its document signed when it is asked for."""
    rooms = [await house.room() for _ in range(10)]
    await house.board.run_once()
    signed: list[int] = []
    sign = KeyRing.state_signature

    def counting(keys: KeyRing, room: int, document: bytes, ed25519: bool) -> str:
        signed.append(room)
        return sign(keys, room, document, ed25519)

    monkeypatch.setattr(KeyRing, "state_signature", counting)
    assert await told(house.board) == []
    assert signed == []

    app = house.app()
    for _ in range(3):
        await ask(app, "GET", f"/v1/rooms/{rooms[0]}/state")
    assert signed == [rooms[0]]
    before = json.loads((await ask(app, "GET", f"/v1/rooms/{rooms[0]}/state")).body)
    await house.join(rooms[1], 1)
    assert await told(house.board) == [rooms[1]]
    after = json.loads((await ask(app, "GET", f"/v1/rooms/{rooms[0]}/state")).body)

    assert after["now"] > before["now"]
    assert {**after, "now": 0, "signature": ""} == {**before, "now": 0, "signature": ""}
    assert signed == [rooms[0]] * 2
    changed = house.board.look(rooms[1])
    assert changed is not None
    assert changed.issued == 1


async def test_the_document_is_signed_as_published(house: House) -> None:
    """The bytes before the signature are what it signs, and members stand in their order."""
    room = await house.room(message={"ko": "안녕", "en": "Hi"})
    body = house.ready.document_of((await house.looked(room)).room)

    document, found, rest = body.rpartition(b',"signature":"')
    assert found
    assert rest.endswith(b'"}')
    signature = rest[:-2].decode()
    assert signature == KEYS.state_signature(room, document)
    assert len(decode_base64url(signature)) == 16
    assert list(json.loads(body)) == [
        "room",
        "epoch",
        "phase",
        "mode",
        "issued",
        "serving",
        "speed",
        "slowed",
        "halted",
        "draw",
        "units_left",
        "sold_out",
        "message",
        "opens_at",
        "poll",
        "pass",
        "revoked",
        "fail_mode",
        "now",
        "signature",
    ]
    assert msgspec.json.decode(body, type=SignedState).message is not None


async def test_state_over_http(house: House) -> None:
    """ETag, 304, HEAD, no cookies and no Vary; other methods are the table's to refuse."""
    room = await house.room()
    await house.board.run_once()
    app = house.app()
    path = f"/v1/rooms/{room}/state"

    full = await ask(app, "GET", path, query=b"x=1&x=2&%ff")
    etag = full.headers["etag"]
    unchanged = await ask(app, "GET", path, headers={"If-None-Match": f'"other", W/{etag}'})
    changed = await ask(app, "GET", path, headers={"If-None-Match": '"other"'})
    head = await ask(app, "HEAD", path)
    other = await ask(app, "POST", path, b"{}")
    unknown = await ask(app, "GET", "/v1/rooms/99/state")
    two_hosts = await ask(app, "GET", path, pairs=[(b"host", b"a"), (b"host", b"a")])
    strange = [await ask(app, "GET", p) for p in (f"{path}/", f"/v1/rooms/0{room}/state")]

    assert (full.status, unchanged.status, changed.status, head.status) == (200, 304, 200, 200)
    assert full.headers["cache-control"] == (
        "public, max-age=0, s-maxage=1, stale-while-revalidate=5, stale-if-error=30"
    )
    assert full.headers["access-control-allow-origin"] == "*"
    assert {"vary", "set-cookie"}.isdisjoint(full.headers)
    assert (unchanged.body, unchanged.headers["etag"]) == (b"", etag)
    assert head.body == b""
    assert head.headers["content-length"] == full.headers["content-length"] == str(len(full.body))
    assert (other.status, other.headers["allow"]) == (405, "GET, HEAD")
    assert (two_hosts.status, two_hosts.json["outcome"]) == (400, "repeated_header")
    assert (unknown.status, unknown.json["outcome"]) == (404, "unknown_room")
    assert [answer.status for answer in strange] == [404, 404]


async def test_settings_are_decoded_only_when_they_changed(house: House) -> None:
    """A tick that finds the version it knows is not even sent the settings."""
    room = await house.room(capacity=5)
    first = await house.looked(room)
    second = await house.looked(room)
    await house.change(room, capacity=6)
    third = await house.looked(room)

    assert second.settings is first.settings
    assert (first.settings.capacity, third.settings.capacity) == (5, 6)


async def test_only_changes_are_news(house: House) -> None:
    """Time alone is no news: whoever listens is told of a change once."""
    room = await house.room()
    for _ in range(3):
        await house.board.run_once()
    await house.join(room)
    for _ in range(3):
        await house.board.run_once()

    assert [view.issued for view in house.changed] == [0, 1]


async def test_revoked_passes_are_listed_until_no_gate_could_let_them_in(house: House) -> None:
    """A revoked pass stands in the document until it has expired for the slowest clock too."""
    room = await house.room()
    await house.rows(
        "INSERT INTO room_passes (organisation, room, epoch, number, pass_id, holder, state,"
        " renewal, renewed_at, entered_at, expires_at, slot_until, session_until, ended_at)"
        " SELECT 1, $1, 1, n, ('0000000' || n || '-0000-4000-8000-000000000001')::uuid, $2,"
        " 'revoked', 0, now(), now(), now() + age, now() + age, now(), now()"
        " FROM (VALUES (1, interval '30 s'), (2, interval '-10 s'), (3, interval '-2 min'))"
        " AS given (n, age)",
        room,
        PASS,
    )

    state = (await house.looked(room)).state

    assert [str(listed)[7] for listed in state.revoked] == ["1", "2"]
    assert json.loads(house.ready.document_of((await house.looked(room)).room))["revoked"][
        0
    ] == str(PASS)


async def test_a_reading_that_comes_late_is_dropped(house: House) -> None:
    """Two loops may read at once; the older reading never replaces the newer one."""
    room = await house.room()
    reading, rows = await house.board._read({room}, {room})
    await house.join(room, 3)
    await house.board.run_once()
    house.board._take_all(reading, rows)  # a late answer
    house.board._take_all(reading + 100, rows)  # that was begun late, too, and is of before

    view = house.board.look(room)
    assert view is not None
    assert view.issued == 3


async def test_the_worst_word_on_health_counts(house: House) -> None:
    """Outside signals and workers' own readings are compared as ratios; silence says nothing."""
    room = await house.room(health={"lane_wait_s": 0.1})
    view = await house.looked(room)
    health = SiteHealth(house.store.signals)
    await health.refresh()
    silent = health.of(view)

    signals = Signals(house.store.signals)
    await signals.take(room, Signal(source="gate", measured=0.5, target=1.0))
    await health.refresh()
    from_outside = health.of(view)

    watch, tally = WaitWatch(Metrics().lane("0")), AnswerTally()
    worker = WorkerHealth(
        house.store.signals, name="w", waits=[watch], tally=tally, monotonic=lambda: 0.0
    )
    watch.waited(0.4)
    watch.waited(0.2)
    await worker.run_once()
    await health.refresh()
    from_worker = health.of(view)
    await worker.run_once()
    await house.rows("UPDATE room_signals SET at = at - interval '1 min' WHERE source = 'gate'")
    await health.refresh()

    assert (silent, from_outside, from_worker) == (float("inf"), 2.0, 0.25)
    assert health.of(view) == float("inf")


async def test_a_worker_that_is_well_writes_nothing(house: House) -> None:
    """A row is written when there is something to say, and once more to take it back."""
    tally = AnswerTally()
    worker = WorkerHealth(
        house.store.signals, name="w", waits=[], tally=tally, monotonic=lambda: 0.0
    )
    await worker.run_once()
    assert await house.rows("SELECT * FROM room_signals") == []

    for number in range(100):
        tally.note(500 if number % 2 else 200)
    await worker.run_once()
    errors = "SELECT measured FROM room_signals WHERE source = 'worker:w:error_rate'"
    assert await house.value(errors) == 0.5
    await worker.run_once()
    assert await house.value(errors) == 0.0
