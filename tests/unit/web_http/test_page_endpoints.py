"""Endpoints that are pages for people: their queries, forms and refusals."""

from typing import Annotated

import msgspec
import pytest

from sunseo.core.outcome import Kind, Outcome, Refusal
from sunseo.identity.authenticator import Authenticator
from sunseo.identity.operator_keys import OperatorKeys
from sunseo.identity.persons import Persons
from sunseo.telemetry.lines import LineWriter
from sunseo.telemetry.logs import Logs
from sunseo.telemetry.metrics import Metrics
from sunseo.web.app import App, build_app
from sunseo.web.endpoint import Answer, Call, Endpoint, Reply
from sunseo.web.limits import Limits
from tests.asgi import ask

FORM = {"content-type": "application/x-www-form-urlencoded"}


class SlowDown(Outcome):
    TOO_OFTEN = Kind.PACED, "You ask too often."


class Look(msgspec.Struct, forbid_unknown_fields=True):
    lang: Annotated[str, msgspec.Meta(max_length=5)] | None = None


class Press(msgspec.Struct, forbid_unknown_fields=True):
    token: Annotated[str, msgspec.Meta(max_length=20)]
    back: Annotated[str, msgspec.Meta(max_length=20)] = ""


class Kiosk:
    """One page with a form, and one endpoint for machines."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.error: Exception | None = None

    async def handle(self, call: Call) -> Answer:
        self.calls.append(call)
        if self.error is not None:
            raise self.error
        return Reply(200, b"<p>fine", ((b"content-type", b"text/html; charset=utf-8"),))

    async def refuse(self, _: Call) -> Answer:
        return Refusal(SlowDown.TOO_OFTEN, retry_after_s=7)

    def problem(self, call: Call, code: str, status: int) -> bytes:
        return f"<p>{status} {code} {call.record.request_id[:0]}".encode()

    def app(self) -> App:
        async def nobody(_: str) -> bytes | None:
            return None

        page = {"handler": self.handle, "problem_page": self.problem, "summary": "A page"}
        return build_app(
            [
                Endpoint(name="look", method="GET", path="/look/{n:int}", query=Look, **page),  # type: ignore[arg-type]  # a dictionary of what all pages share
                Endpoint(name="press", method="POST", path="/press", request=Press, **page),  # type: ignore[arg-type]  # as above
                Endpoint(
                    name="often",
                    method="GET",
                    path="/often",
                    summary="Slow down",
                    handler=self.refuse,
                    outcomes=SlowDown,
                ),
            ],
            Authenticator(Persons(1, []), OperatorKeys(nobody)),
            limits=Limits(),
            metrics=Metrics(),
            logs=Logs("error", LineWriter(-1)),
        )


async def test_page_drops_what_others_append_to_its_address() -> None:
    """Unknown and repeated parameters, and those that cannot be read, do not close a page."""
    kiosk = Kiosk()
    app = kiosk.app()
    for query in (b"lang=ko&utm_source=x&lang=en", b"lang=ko&%ff=%ff&&=", b"fbclid&lang=ko"):
        answer = await ask(app, "GET", "/look/1", query=query)
        assert answer.status == 200
    assert [call.query.lang for call in kiosk.calls] == ["ko", "ko", "ko"]


@pytest.mark.parametrize(
    ("path", "query", "status"),
    [("/look/0", b"", 404), ("/look/1", b"lang=" + b"x" * 10, 400)],
)
async def test_page_refuses_with_a_page(path: str, query: bytes, status: int) -> None:
    """What the web layer refuses, people read as HTML, with the headers that protect them."""
    answer = await ask(Kiosk().app(), "GET", path, query=query)

    assert (answer.status, answer.headers["content-type"]) == (status, "text/html; charset=utf-8")
    assert answer.body.startswith(f"<p>{status} ".encode())
    assert answer.headers["cache-control"] == "no-store"
    assert "default-src 'none'" in answer.headers["content-security-policy"]


async def test_page_whose_handler_fails_is_still_a_page() -> None:
    """An error of ours tells nothing of itself, and no JSON."""
    kiosk = Kiosk()
    kiosk.error = RuntimeError("secret")
    answer = await ask(kiosk.app(), "GET", "/look/1")

    assert (answer.status, answer.body) == (500, b"<p>500 internal_error ")


async def test_form_is_decoded() -> None:
    """Fields of a form become the struct, with their characters."""
    kiosk = Kiosk()
    answer = await ask(kiosk.app(), "POST", "/press", b"token=a+b%21&back=%ED%95%9C", headers=FORM)

    assert answer.status == 200
    assert kiosk.calls[0].body == Press("a b!", "한")


@pytest.mark.parametrize(
    ("body", "media", "status"),
    [
        (b"token=a", "application/json", 415),
        (b'{"token": "a"}', "application/json", 415),
        (b"token=a", "application/x-www-form-urlencoded; charset=euc-kr", 415),
        (b"token=a", "application/x-www-form-urlencoded; charset=UTF-8", 200),
        (b"back=a", "application/x-www-form-urlencoded", 422),
        (b"", "application/x-www-form-urlencoded", 422),
        (b"token=a&token=b", "application/x-www-form-urlencoded", 422),
        (b"token=a&more=b", "application/x-www-form-urlencoded", 422),
        (b"token=%ff", "application/x-www-form-urlencoded", 422),
        (b"token=%00", "application/x-www-form-urlencoded", 422),
        (b"&".join(b"f%d=1" % n for n in range(60)), "application/x-www-form-urlencoded", 422),
    ],
)
async def test_forms_are_bounded(body: bytes, media: str, status: int) -> None:
    """What is no form, or not this one, does not reach the handler."""
    kiosk = Kiosk()
    answer = await ask(kiosk.app(), "POST", "/press", body, headers={"content-type": media})

    assert answer.status == status
    assert len(kiosk.calls) == (status == 200)


async def test_asking_too_often_is_429_with_the_time_to_wait() -> None:
    """Retry-After says what the handler says."""
    answer = await ask(Kiosk().app(), "GET", "/often")

    assert (answer.status, answer.headers["retry-after"]) == (429, "7")
    assert answer.json["outcome"] == "too_often"


async def test_pages_are_described_as_pages() -> None:
    """The API document tells HTML from JSON and forms from bodies."""
    document = (await ask(Kiosk().app(), "GET", "/openapi.json")).json
    press = document["paths"]["/press"]["post"]

    assert list(press["requestBody"]["content"]) == ["application/x-www-form-urlencoded"]
    assert press["responses"]["422"]["content"] == {"text/html": {}}
    refusal = document["paths"]["/often"]["get"]["responses"]["429"]
    assert refusal["headers"] == {"Retry-After": {"schema": {"type": "integer"}}}
