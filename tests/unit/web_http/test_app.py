"""The application around the handlers: answers, overload, time limits, errors, descriptions."""

import asyncio
import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from sunseo.core.outcome import Refusal
from sunseo.web.endpoint import Record, Reply
from sunseo.web.limits import InFlightLimiter, Limits
from sunseo.web.problems import (
    WEB_PROBLEMS,
    UnavailableError,
    retry_after,
)
from tests.asgi import Response, ask
from tests.unit.web_http.shop import HOLD, Hold, HoldOutcome, Shop, person_headers, token


async def hold(shop: Shop, body: bytes = b"{}", **headers: str) -> Response:
    return await ask(
        shop.app, "POST", "/v1/sales/7/holds", body, headers={**person_headers(), **headers}
    )


async def test_done_and_replayed_have_their_statuses() -> None:
    """DONE answers with the endpoint's success, REPLAYED with 200, both with the same body."""
    body = Hold(HOLD, [17, 18])
    done = await hold(Shop(answer=Reply(None, body, (), HoldOutcome.HELD)))
    replayed = await hold(Shop(answer=Reply(None, body, (), HoldOutcome.REPLAYED)))

    assert (done.status, replayed.status) == (201, 200)
    assert done.body == replayed.body == b'{"hold":"%s","seats":[17,18]}' % str(HOLD).encode()
    assert done.headers["content-type"] == "application/json"
    assert done.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("outcome", "status"),
    [
        (HoldOutcome.UNKNOWN_SALE, 404),
        (HoldOutcome.LIMIT_REACHED, 403),
        (HoldOutcome.SEAT_TAKEN, 409),
        (HoldOutcome.SOLD_OUT, 410),
        (HoldOutcome.LATER, 503),
    ],
)
async def test_refusal_is_a_problem_document(outcome: HoldOutcome, status: int) -> None:
    """Each kind has its status; the document carries the outcome and its own members."""
    shop = Shop(answer=Refusal(outcome, extra={"seats": [17], "status": "not overwritten"}))

    response = await hold(shop)

    assert response.status == status
    assert response.headers["content-type"] == "application/problem+json"
    assert ("retry-after" in response.headers) == (status == 503)
    assert response.json == {
        "seats": [17],
        "type": f"/problems/{outcome.code}",
        "title": outcome.code.replace("_", " ").capitalize(),
        "status": status,
        "detail": outcome.sentence,
        "outcome": outcome.code,
        "request_id": response.headers["x-request-id"],
    }


async def test_handler_gets_what_the_table_promises() -> None:
    """Path, person, key and body are decoded and typed."""
    shop = Shop()

    await hold(shop, b'{"seats":[3]}')

    call = shop.calls[0]
    assert call.path == {"sale": 7}
    assert call.body.seats == [3]
    assert call.idempotency_key == "key-1"
    assert call.person.subject == "user-1"
    with pytest.raises(AttributeError):
        _ = call.operator


async def test_bytes_and_headers_pass_through() -> None:
    """A handler may answer in another form, with its own content type, or with 304 and nothing."""
    octets = (b"content-type", b"application/octet-stream")
    shop = Shop(answer=Reply(200, b"\x00\x01", (octets, (b"etag", b'"5"'))))
    response = await ask(shop.app, "GET", "/v1/sales/1/seats", query=b"occasion=1")
    shop.answer = Reply(304, None, ((b"etag", b'"5"'),))
    unchanged = await ask(shop.app, "GET", "/v1/sales/1/seats", query=b"occasion=1")

    assert response.body == b"\x00\x01"
    assert response.headers["content-type"] == "application/octet-stream"
    assert (unchanged.status, unchanged.body) == (304, b"")
    assert "content-type" not in unchanged.headers


async def test_head_is_get_without_its_body() -> None:
    """HEAD gives GET's status and headers, and no body."""
    shop = Shop(answer=Reply(200, Hold(HOLD, [])))
    get = await ask(shop.app, "GET", "/v1/sales/1/seats", query=b"occasion=1")
    head = await ask(shop.app, "HEAD", "/v1/sales/1/seats", query=b"occasion=1")

    assert (head.status, head.body) == (200, b"")
    assert head.headers["content-length"] == str(len(get.body))


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"


def logging_shop(log: Path, **options: Any) -> Shop:
    return Shop(log_fd=os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND), **options)


def lines(shop: Shop, log: Path) -> list[dict[str, Any]]:
    shop.logs.close()
    return [json.loads(line) for line in log.read_text().splitlines()]


async def test_unexpected_error_tells_nothing_and_is_logged(log: Path) -> None:
    """A handler that raises gives a 500 problem without internals, and a traceback in the log."""
    shop = logging_shop(log, error=RuntimeError("the secret inside"))

    response = await hold(shop)

    assert (response.status, response.json["outcome"]) == (500, "internal_error")
    assert b"secret inside" not in response.body
    error, request = lines(shop, log)
    assert error["event"] == "unexpected_error"
    assert "RuntimeError: the secret inside" in error["exception"]
    assert error["request_id"] == request["request_id"] == response.json["request_id"]
    assert (request["level"], request["status"]) == ("error", 500)


async def test_answer_that_cannot_be_encoded_is_our_error(log: Path) -> None:
    """A handler's body that is no JSON is a 500, not a broken connection."""
    shop = logging_shop(log, answer=Reply(200, [object()]))  # type: ignore[list-item]  # the point

    assert (await hold(shop)).status == 500


@pytest.mark.parametrize("error", [UnavailableError("database"), ConnectionResetError("secret")])
async def test_unavailable_dependency_is_503(log: Path, error: Exception) -> None:
    """A handler whose dependency is away is answered 503 with Retry-After, by either sign of it."""
    shop = logging_shop(log, error=error)

    response = await hold(shop)

    assert (response.status, response.json["outcome"]) == (503, "unavailable")
    assert "retry-after" in response.headers


async def test_one_line_a_request_and_nothing_personal(log: Path) -> None:
    """The line has route, outcome and times; no token, subject, key or body."""
    shop = logging_shop(log, answer=Refusal(HoldOutcome.SEAT_TAKEN))
    bearer = token(sub="ann@example.org")

    await hold(shop, b'{"note":"private"}', Authorization=f"Bearer {bearer}")
    call = shop.calls[0]

    (line,) = lines(shop, log)
    text = str(line)
    assert line["route"] == "/v1/sales/{sale}/holds"
    assert (line["method"], line["status"], line["outcome"]) == ("POST", 409, "seat_taken")
    assert line["person"] == call.person.id.hex[:12]
    assert line["pid"] == os.getpid()
    assert line["duration_ms"] >= 0
    assert not any(private in text for private in (bearer, "ann", "private", "key-1"))


async def test_times_that_handlers_measured_are_logged(log: Path) -> None:
    """Lane and database times reach the line in milliseconds."""
    shop = logging_shop(log)
    shop.gate = asyncio.Event()
    asking = asyncio.ensure_future(hold(shop))
    await shop.arrived(1)
    shop.calls[0].record.lane_wait_s = 0.0125
    shop.calls[0].record.db_s = 0.004
    shop.gate.set()
    await asking

    (line,) = lines(shop, log)
    assert (line["lane_wait_ms"], line["db_ms"]) == (12.5, 4.0)


@pytest.mark.parametrize(
    ("headers", "request_id"),
    [
        ({"X-Request-Id": "abc-123.DEF_4"}, "abc-123.DEF_4"),
        (
            {"Traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"},
            "4bf92f3577b34da6a3ce929d0e0e4736",
        ),
        ({"X-Request-Id": 'a"b\\c{}[]'}, None),
        ({"X-Request-Id": "x" * 65}, None),
        ({"Traceparent": "00-" + "0" * 32 + "-00f067aa0ba902b7-01"}, None),
        ({}, None),
    ],
)
async def test_request_id_is_kept_or_made(headers: dict[str, str], request_id: str | None) -> None:
    """A well-formed id is echoed; anything else is replaced by a new one."""
    response = await ask(Shop().app, "GET", "/problems/overloaded", headers=headers)

    given = response.headers["x-request-id"]
    if request_id is None:
        assert len(given) == 32
        assert given not in headers.values()
    else:
        assert given == request_id


async def fill(shop: Shop, count: int) -> list[asyncio.Task[Response]]:
    """Have `count` requests wait in their handlers."""
    shop.gate = asyncio.Event()
    tasks = [asyncio.create_task(hold(shop)) for _ in range(count)]
    await shop.arrived(count)
    return tasks


async def test_polls_are_shed_before_writes() -> None:
    """At 70 % of the cap polls are refused while holds are not; at the cap everything is."""
    shop = Shop(limits=Limits(concurrency_max=10))
    waiting = await fill(shop, 7)
    assert shop.gate is not None

    poll = await ask(shop.app, "GET", "/v1/sales/1/seats", query=b"occasion=1")
    assert (poll.status, poll.json["outcome"]) == (503, "overloaded")
    assert 1 <= int(poll.headers["retry-after"]) <= 4

    waiting += [asyncio.create_task(hold(shop)) for _ in range(3)]
    await shop.arrived(3)
    assert (await hold(shop)).status == 503

    shop.gate.set()
    assert [response.status for response in await asyncio.gather(*waiting)] == [201] * 10
    assert (await hold(shop)).status == 201


def test_retry_after_is_spread() -> None:
    """Those refused together are not all told the same."""
    assert {retry_after(1, 4) for _ in range(200)} == {1, 2, 3, 4}


async def test_handler_past_its_time_is_answered_503() -> None:
    """The limiter cancels a handler that takes too long, and the answer says it is not known."""
    shop = Shop()
    (waiting,) = await fill(shop, 1)

    shop.app._limiter.sweep(time.monotonic() + 25)
    response = await waiting

    assert (response.status, response.json["outcome"]) == (503, "took_too_long")
    assert len(shop.app._limiter) == 0


async def test_body_past_its_time_is_answered_408() -> None:
    """A body that does not arrive ends with 408 and the end of the connection."""
    shop = Shop()
    asked = asyncio.Event()
    sent: list[Any] = []

    async def receive() -> Any:
        asked.set()
        await asyncio.Event().wait()

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/echo",
        "query_string": b"",
        "headers": [
            (b"host", b"a"),
            (b"content-type", b"application/json"),
            (b"content-length", b"9"),
        ],
    }
    task = asyncio.ensure_future(shop.app(scope, receive, send))
    await asked.wait()
    shop.app._limiter.sweep(time.monotonic() + 9)
    assert not sent
    shop.app._limiter.sweep(time.monotonic() + 11)
    await task

    assert sent[0]["status"] == 408
    assert (b"connection", b"close") in sent[0]["headers"]


async def test_outside_cancellation_passes_through() -> None:
    """A cancellation that is not the limiter's is not answered; the place is free again."""
    shop = Shop()
    (waiting,) = await fill(shop, 1)

    waiting.cancel()

    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert len(shop.app._limiter) == 0


async def test_client_that_leaves_is_not_answered() -> None:
    """A client gone before its body came gets no answer, and one count under 499."""
    shop = Shop()

    async def receive() -> Any:
        return {"type": "http.disconnect"}

    async def send(_: Any) -> None:
        raise AssertionError("there is nobody to answer")

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/echo",
        "query_string": b"",
        "headers": [
            (b"host", b"a"),
            (b"content-type", b"application/json"),
            (b"transfer-encoding", b"chunked"),
        ],
    }
    await shop.app(scope, receive, send)

    assert b'status="499"' in shop.metrics.render()


async def test_patrol_reports_and_rests() -> None:
    """The gauge follows the number under way, and no timer is left when nothing is."""
    seen: list[int] = []
    limiter = InFlightLimiter(Limits(), seen.append)
    record = Record("id", "GET", time.monotonic())
    limiter.enter(record, asyncio.get_running_loop().create_future())
    limiter._sweep_on_time()
    limiter.leave(record)
    limiter._sweep_on_time()

    assert seen == [1, 0]
    assert not limiter._sweep_due


async def test_every_request_is_counted() -> None:
    """Count and duration carry route, status and outcome; unknown paths and methods one label."""
    shop = Shop()
    await hold(shop)
    await ask(shop.app, "GET", "/secret/path")
    await ask(shop.app, "BREW", "/echo")

    text = shop.metrics.render().decode()
    assert (
        'sunseo_http_requests_total{method="POST",outcome="held",'
        'route="/v1/sales/{sale}/holds",status="201"} 1.0'
    ) in text
    assert (
        'sunseo_http_requests_total{method="-",outcome="no_such_path",route="-",status="404"} 1.0'
    ) in text
    assert "secret" not in text
    assert "BREW" not in text


async def test_every_problem_can_be_read() -> None:
    """`type` of any problem leads to its description, for programs and for people."""
    shop = Shop()
    codes = [problem.code for problem in WEB_PROBLEMS] + [o.code for o in HoldOutcome][1:-2]

    for code in codes:
        response = await ask(shop.app, "GET", f"/problems/{code}")
        assert response.json["code"] == code
        assert response.json["meaning"]
        assert response.json["advice"]
    page = await ask(shop.app, "GET", "/problems/seat_taken", headers={"Accept": "text/html"})
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert (await ask(shop.app, "GET", "/problems/none_such")).status == 404


async def test_openapi_document_is_valid_and_complete() -> None:
    """The document passes the validator and knows every endpoint with its refusals."""
    from openapi_spec_validator import OpenAPIV31SpecValidator

    shop = Shop()
    document = (await ask(shop.app, "GET", "/openapi.json")).json

    OpenAPIV31SpecValidator(document).validate()
    operation = document["paths"]["/v1/sales/{sale}/holds"]["post"]
    assert operation["operationId"] == "place_hold"
    assert {"200", "201", "400", "401", "403", "404", "409", "410", "422", "503"} <= set(
        operation["responses"]
    )
    assert operation["security"] == [{"personToken": []}]
    assert [p["name"] for p in operation["parameters"]] == ["sale", "Idempotency-Key"]
    taken = operation["responses"]["409"]["content"]["application/problem+json"]["examples"]
    assert taken == {"seat_taken": {"$ref": "#/components/examples/seat_taken"}}
    example = document["components"]["examples"]["seat_taken"]
    assert example["value"]["detail"] == HoldOutcome.SEAT_TAKEN.sentence
    names = {o["operationId"] for path in document["paths"].values() for o in path.values()}
    assert names == {e.name for e in shop.table()} | {"read_problem", "read_openapi"}
    assert document["components"]["schemas"]["Draw"]["description"] == "Units of one product."


async def test_lifespan_runs_around_the_service() -> None:
    """What wiring starts and stops with a worker is entered and left."""
    shop = Shop()
    events = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
    sent: list[str] = []

    async def receive() -> Any:
        return events.pop(0)

    async def send(message: Any) -> None:
        sent.append(message["type"])

    await shop.app({"type": "lifespan", "state": {}}, receive, send)

    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert shop.lives == ["started", "stopped"]


async def test_websockets_are_closed() -> None:
    """Nothing here speaks WebSocket."""
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    await Shop().app({"type": "websocket", "path": "/"}, receive, send)

    assert sent == [{"type": "websocket.close", "code": 1008}]
