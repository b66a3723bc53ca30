"""The ways of a request to its answer: without a task, with one, and through ASGI."""

import asyncio
import json
import random
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
from uvicorn import Config

from sunseo.web.endpoint import Answer, Auth, Call, Endpoint, LaneHandler, Reply
from sunseo.web.limits import Limits
from sunseo.web.server.http_protocol import Connections, HttpProtocol
from tests.unit.web_http.shop import HOLD as HOLD_ID
from tests.unit.web_http.shop import OPERATOR, Hold, HoldOutcome, Shop, refused, token

HOLDS = "/v1/sales/7/holds"
BODY = b'{"seats":[1,2]}'
BEARER = token()
LINES = {
    "authorization": f"Bearer {BEARER}",
    "idempotency-key": "key-1",
    "content-type": "application/json",
    "x-request-id": "request-1",
}


class LaneShop(Shop):
    """The same shop, with a lane behind its holds."""

    def __init__(self, **options: Any) -> None:
        self.waiting: list[asyncio.Future[str]] = []
        super().__init__(**options)

    def table(self) -> list[Endpoint]:
        lanes = LaneHandler(self.submit, self.reply)
        release = Endpoint(
            name="release_hold",
            method="POST",
            path="/v1/sales/{sale:int}/holds/{hold:uuid}/release",
            summary="Let go",
            handler=lanes,
            response=Hold,
            auth=Auth.PERSON,
        )
        place, *others = super().table()
        return [replace(place, handler=lanes), release, *others]

    def submit(self, call: Call) -> asyncio.Future[str]:
        self.calls.append(call)
        heard: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        if self.error is not None:
            heard.set_exception(self.error)
        elif self.gate is None:
            heard.set_result("heard")
        self.waiting.append(heard)
        return heard

    def reply(self, call: Call, heard: str) -> Answer:
        assert heard == "heard"
        call.record.lane_wait_s = 0.25
        return self.answer


class Wire:
    """One connection to a shop, and what came over it."""

    def __init__(self, shop: Shop) -> None:
        self.sent = b""
        self.is_closed = False
        limits = shop.limits
        config = Config(shop.app, http=HttpProtocol, ws="none", log_config=None)
        config.load()
        self.state = Connections(limits, shop.app)
        self.state.date = b"date: today\r\n"
        self.state.default_headers = [(b"date", b"today")]
        self.protocol = HttpProtocol(config, self.state, {}, asyncio.get_running_loop())
        self.protocol.connection_made(self)  # type: ignore[arg-type]  # as much of it as is used

    def get_extra_info(self, _name: str) -> None:
        return None

    def write(self, data: bytes) -> None:
        assert not self.is_closed, "nothing is sent after the end"
        self.sent += data

    def is_closing(self) -> bool:
        return self.is_closed

    def close(self) -> None:
        self.is_closed = True

    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...

    async def tell(self, *pieces: bytes) -> bytes:
        """Send pieces, one a turn of the loop; what has been answered some turns later."""
        for piece in pieces:
            if not self.is_closed:
                self.protocol.data_received(piece)
            await asyncio.sleep(0)
        for _ in range(20):
            await asyncio.sleep(0)
        answer, self.sent = self.sent, b""
        return answer


class Case(NamedTuple):
    """A request, and what is to be had for it."""

    status: int
    method: str = "POST"
    target: str = HOLDS
    body: bytes | None = BODY
    lines: dict[str, str | None] = {}  # noqa: RUF012 - never changed
    extra: str = ""
    answer: Answer = Reply(None, Hold(HOLD_ID, [1, 2]), outcome=HoldOutcome.HELD)
    error: Exception | None = None

    @property
    def raw(self) -> bytes:
        lines = {**LINES, **self.lines}
        if self.body is not None:
            lines = {"content-length": str(len(self.body)), **lines}
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items() if value is not None)
        text = f"{self.method} {self.target} HTTP/1.1\r\nhost: a\r\n{head}{self.extra}\r\n"
        return text.encode("latin-1") + (self.body or b"")


CASES = {
    "held": Case(201),
    "replayed": Case(200, answer=Reply(None, Hold(HOLD_ID, []), outcome=HoldOutcome.REPLAYED)),
    "no_body_to_answer": Case(201, answer=Reply(outcome=HoldOutcome.HELD)),
    "own_type": Case(201, answer=Reply(body=b"x", headers=[(b"content-type", b"text/plain")])),
    "no_content": Case(204, answer=Reply(204)),
    "released": Case(200, target=f"{HOLDS}/{HOLD_ID}/release", body=None),
    "released_with_a_body": Case(422, target=f"{HOLDS}/{HOLD_ID}/release"),
    "released_with_a_list": Case(422, target=f"{HOLDS}/{HOLD_ID}/release", body=b"[]"),
    "taken": Case(409, answer=refused(HoldOutcome.SEAT_TAKEN, seats=[3])),
    "absent": Case(404, answer=refused(HoldOutcome.UNKNOWN_SALE)),
    "forbidden": Case(403, answer=refused(HoldOutcome.LIMIT_REACHED)),
    "gone": Case(410, answer=refused(HoldOutcome.SOLD_OUT)),
    "erred": Case(500, error=RuntimeError("a secret")),
    "cannot_be_encoded": Case(500, answer=Reply(body=msgspec.defstruct("Odd", ["x"])(object()))),
    "away": Case(503, error=ConnectionError()),
    "no_token": Case(401, lines={"authorization": None}),
    "no_bearer": Case(401, lines={"authorization": f"Basic {BEARER}"}),
    "forged": Case(401, lines={"authorization": f"Bearer {BEARER[:-3]}AAA"}),
    "expired": Case(401, lines={"authorization": f"Bearer {token(exp=1)}"}),
    "not_ascii": Case(401, lines={"authorization": "Bearer \xe9.\xe9.\xe9"}),
    "operator": Case(403, lines={"authorization": f"Bearer {OPERATOR.text}"}),
    "wrong_operator": Case(401, lines={"authorization": f"Bearer {OPERATOR.text[:-3]}AAA"}),
    "many_spaces": Case(201, lines={"authorization": f"bearer   {BEARER}"}),
    "no_key": Case(400, lines={"idempotency-key": None}),
    "bad_key": Case(400, lines={"idempotency-key": "a b"}),
    "two_keys": Case(400, extra="Idempotency-Key: other\r\n"),
    "two_tokens": Case(400, extra="Authorization: Bearer other\r\n"),
    "no_type": Case(415, lines={"content-type": None}),
    "other_type": Case(415, lines={"content-type": "text/plain"}),
    "charset": Case(201, lines={"content-type": "application/json; charset=utf-8"}),
    "packed": Case(415, extra="Content-Encoding: gzip\r\n"),
    "no_json": Case(400, body=b'{"seats":'),
    "no_body": Case(400, body=None),
    "empty_body": Case(400, body=b""),
    "unknown_field": Case(422, body=b'{"seat":[1]}'),
    "wrong_field": Case(422, body=b'{"seats":["1"]}'),
    "null": Case(422, body=b'{"seats":[1],"note":"\\u0000"}'),
    "large": Case(413, body=b" " * 70_000),
    "query": Case(400, target=f"{HOLDS}?a=1"),
    "empty_query": Case(201, target=f"{HOLDS}?"),
    "escaped": Case(404, target="/v1/sales/%37/holds"),
    "escaped_slash": Case(404, target="/v1/sales/7%2Fholds"),
    "zero": Case(404, target="/v1/sales/0/holds"),
    "leading_zero": Case(404, target="/v1/sales/07/holds"),
    "other_digits": Case(404, target="/v1/sales/%D9%A7/holds"),
    "too_far": Case(404, target="/v1/sales/9223372036854775808/holds"),
    "slash_at_the_end": Case(404, target=f"{HOLDS}/"),
    "double_slash": Case(404, target="/v1//sales/7/holds"),
    "newline": Case(404, target=f"{HOLDS}%0A"),
    "not_a_hold": Case(404, target=f"{HOLDS}/1/release"),
    "other_method": Case(405, method="PUT"),
    "read": Case(200, method="GET", target=f"{HOLDS}/{HOLD_ID}", body=None),
    "head": Case(200, method="HEAD", target=f"{HOLDS}/{HOLD_ID}", body=None),
    "options": Case(405, method="OPTIONS", body=None),
    "many_headers": Case(431, extra="".join(f"x-{n}: 1\r\n" for n in range(70))),
    "long_headers": Case(431, extra=f"x-long: {'x' * 17_000}\r\n"),
    "last": Case(201, lines={"connection": "close"}),
    "refused_last": Case(400, lines={"connection": "close", "idempotency-key": None}),
    "chunked": Case(
        201,
        body=b"f\r\n" + BODY + b"\r\n0\r\n\r\n",
        lines={"content-length": None, "transfer-encoding": "chunked"},
    ),
}


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "log"
    path.touch()
    return path


async def answers_of(case: Case, shop: Shop, log: Path, *, pieces: bool) -> Any:
    """What a shop sends, whether it ends the connection, what it logs, counts and hands over."""
    random.seed(1)  # of Retry-After
    shop.answer, shop.error = case.answer, case.error
    wire = Wire(shop)
    raw = case.raw
    middle = raw.index(b"\r\n") + 2
    sent = await (wire.tell(raw[:middle], raw[middle:]) if pieces else wire.tell(raw))
    shop.logs.close()
    seen = [(call.path, call.body, call.query, call.person) for call in shop.calls]
    counts = [line for line in shop.metrics.render().splitlines() if b"requests_total{" in line]
    return sent, wire.is_closed, lines_of(log), seen, counts


def lines_of(log: Path) -> list[dict[str, Any]]:
    """The lines that a log has, but for what is different each time; it is empty then."""
    changing = ("time", "duration_ms", "lane_wait_ms", "exception")
    lines = [json.loads(line) for line in log.read_bytes().splitlines()]
    log.write_bytes(b"")
    return [{k: v for k, v in line.items() if k not in changing} for line in lines]


@pytest.mark.parametrize("name", CASES)
async def test_every_way_has_the_same_answer(name: str, log: Path) -> None:
    """Without a task, with one, and in pieces through ASGI: the same bytes, log line and count."""
    case = CASES[name]
    with log.open("ab", buffering=0) as file:
        ways = [
            await answers_of(case, LaneShop(log_fd=file.fileno()), log, pieces=False),
            await answers_of(case, Shop(log_fd=file.fileno()), log, pieces=False)
            if "release" not in case.target
            else None,
            await answers_of(case, LaneShop(log_fd=file.fileno()), log, pieces=True),
        ]
    sent, is_closed, lines, _, counted = ways[0]
    assert sent.startswith(b"HTTP/1.1 %d " % case.status)
    assert (len(lines) >= 1, len(counted)) == (True, 1)
    assert is_closed == (b"\r\nconnection: close\r\n" in sent)
    for other in ways[1:]:
        assert other in (ways[0], None)


async def test_a_lane_is_waited_for_without_a_task() -> None:
    """Between a whole request and its lane's answer no task is there."""
    shop = LaneShop()
    shop.gate = asyncio.Event()
    wire = Wire(shop)
    before = asyncio.all_tasks()

    assert await wire.tell(Case(201).raw) == b""

    assert asyncio.all_tasks() == before
    assert wire.protocol.tasks == {shop.waiting[0]}
    shop.waiting[0].set_result("heard")
    assert (await wire.tell()).startswith(b"HTTP/1.1 201 ")
    assert not wire.state.tasks
    assert len(shop.app._limiter) == 0


async def test_patrol_ends_a_wait_for_a_lane() -> None:
    """A lane that takes too long is answered for, and hears that nobody waits any more."""
    shop = LaneShop()
    shop.gate = asyncio.Event()
    wire = Wire(shop)
    await wire.tell(Case(201).raw)

    shop.app._limiter.sweep(time.monotonic() + 25)

    sent = await wire.tell()
    assert sent.startswith(b"HTTP/1.1 503 ")
    assert b'"outcome":"took_too_long"' in sent
    assert not wire.is_closed
    assert shop.waiting[0].cancelled()
    assert (await wire.tell(Case(201).raw), len(shop.app._limiter)) == (b"", 1)


async def test_stopping_ends_a_wait_for_a_lane() -> None:
    """A wait that the server cuts off has no answer, and nothing can follow on its connection."""
    shop = LaneShop()
    shop.gate = asyncio.Event()
    wire = Wire(shop)
    await wire.tell(Case(201).raw)

    for task in list(wire.state.tasks):
        task.cancel()

    assert await wire.tell() == b""
    assert wire.is_closed
    assert (len(shop.app._limiter), wire.state.tasks) == (0, set())


async def test_a_client_that_left_is_counted() -> None:
    """A lane's answer for a client who has left is sent to nobody, logged and counted."""
    shop = LaneShop()
    shop.gate = asyncio.Event()
    wire = Wire(shop)
    await wire.tell(Case(201).raw)

    wire.is_closed = True
    wire.protocol.connection_lost(None)
    shop.waiting[0].set_result("heard")

    assert await wire.tell() == b""
    assert b'status="201"' in shop.metrics.render()


async def test_too_much_under_way_is_shed_before_a_lane() -> None:
    """At the cap a hold is refused before its lane hears of it; a place is free once one ends."""
    shop = LaneShop(limits=Limits(concurrency_max=2))
    shop.gate = asyncio.Event()
    wires = [Wire(shop) for _ in range(3)]

    sent = [await wire.tell(Case(201).raw) for wire in wires]

    assert [answer[:13] for answer in sent] == [b"", b"", b"HTTP/1.1 503 "]
    assert (b'"outcome":"overloaded"' in sent[2], len(shop.calls)) == (True, 2)
    shop.waiting[0].set_result("heard")
    await wires[0].tell()
    assert (await wires[2].tell(Case(201).raw), len(shop.calls)) == (b"", 3)


async def test_pipelined_requests_are_answered_in_turn() -> None:
    """What is pipelined behind a hold waits for its answer, and comes after it."""
    shop = LaneShop()
    shop.gate = asyncio.Event()
    wire = Wire(shop)

    assert await wire.tell(Case(201).raw + Case(400, body=b"{").raw) == b""

    shop.waiting[0].set_result("heard")
    sent = await wire.tell()
    assert sent.index(b"HTTP/1.1 201 ") < sent.index(b"HTTP/1.1 400 ")


@pytest.mark.parametrize("name", ["last", "refused_last", "large"])
async def test_nothing_follows_the_last_answer(name: str) -> None:
    """What is pipelined behind a request whose answer ends the connection is not carried out."""
    shop = LaneShop()
    wire = Wire(shop)

    sent = await wire.tell(CASES[name].raw + Case(201).raw)

    assert (sent.count(b"HTTP/1.1 "), wire.is_closed) == (1, True)
    assert len(shop.calls) == (1 if name == "last" else 0)
