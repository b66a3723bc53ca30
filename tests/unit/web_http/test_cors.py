"""Requests from pages of other sites, and answers that go ahead of the table."""

import pytest

from sunseo.core.outcome import Kind, Outcome, Refusal
from sunseo.identity.authenticator import Authenticator
from sunseo.identity.operator_keys import OperatorKeys
from sunseo.identity.persons import Persons
from sunseo.telemetry.logs import Logs
from sunseo.telemetry.metrics import Metrics
from sunseo.web.app import App, build_app
from sunseo.web.endpoint import Answer, Auth, Call, Endpoint, Reply
from sunseo.web.limits import Limits
from sunseo.web.raw import RawAnswer, ReadyAnswer
from tests.asgi import ask


class DoorOutcome(Outcome):
    SHUT = Kind.LATER, "The door is shut."
    OPEN = Kind.DONE, "The door is open."


class Doors:
    """An app with one door for pages of other sites and one that is not, both of one path."""

    def __init__(self) -> None:
        self.outcome = DoorOutcome.OPEN
        self.answers: dict[str, RawAnswer] = {}
        self.written: list[int] = []

    async def handle(self, _call: Call) -> Answer:
        if self.outcome is DoorOutcome.SHUT:
            return Refusal(self.outcome)
        return Reply(200, b'{"table":true}', outcome=self.outcome)

    def app(self) -> App:
        return build_app(
            [
                self._door("knock", "POST", cross_origin=True, auth=Auth.PUBLIC),
                self._door("look", "GET", cross_origin=True, auth=Auth.PUBLIC),
                self._door("lock", "DELETE", cross_origin=False, auth=Auth.OPERATOR),
            ],
            Authenticator(Persons(1, []), OperatorKeys(self._no_key)),
            limits=Limits(),
            metrics=Metrics(),
            logs=Logs("error"),
            raw=self.answers,
            on_write=self.written.append,
        )

    def _door(self, name: str, method: str, *, cross_origin: bool, auth: Auth) -> Endpoint:
        return Endpoint(
            name=name,
            method=method,
            path="/door",
            summary=name,
            handler=self.handle,
            response=dict[str, bool],
            outcomes=DoorOutcome,
            cross_origin=cross_origin,
            auth=auth,
        )

    async def _no_key(self, _key_id: str) -> bytes | None:
        return None


@pytest.fixture
def doors() -> Doors:
    return Doors()


async def test_a_preflight_names_the_methods_for_other_sites(doors: Doors) -> None:
    """Only what pages of other sites may use is named; nothing is asked of the handler."""
    answer = await ask(doors.app(), "OPTIONS", "/door", headers={"Origin": "https://shop.example"})

    assert (answer.status, answer.body) == (204, b"")
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["access-control-allow-methods"] == "GET, HEAD, POST"
    assert "authorization" in answer.headers["access-control-allow-headers"]


async def test_answers_and_refusals_may_be_read_there(doors: Doors) -> None:
    """A page of another site reads why it was refused, and when to come back."""
    app = doors.app()
    good = await ask(app, "POST", "/door")
    doors.outcome = DoorOutcome.SHUT
    shut = await ask(app, "POST", "/door")
    malformed = await ask(app, "POST", "/door", b"{")
    operators = await ask(app, "DELETE", "/door")

    assert [answer.status for answer in (good, shut, malformed, operators)] == [200, 503, 415, 401]
    for answer in (good, shut, malformed):
        assert answer.headers["access-control-allow-origin"] == "*"
        assert answer.headers["access-control-expose-headers"] == "retry-after, etag"
    assert "access-control-allow-origin" not in operators.headers


async def test_ready_answers_go_ahead_for_their_methods_only(doors: Doors) -> None:
    """GET and HEAD are answered from the bytes, anything else by the table; then none is left."""
    app = doors.app()
    ready = ReadyAnswer(b"ready", b"1", [(b"content-type", b"text/plain")])
    doors.answers["/door"] = ready

    got = await ask(app, "GET", "/door", query=b"?" * 5000)
    head = await ask(app, "HEAD", "/door")
    posted = await ask(app, "POST", "/door")
    del doors.answers["/door"]
    after = await ask(app, "GET", "/door")

    assert (got.body, head.body, head.headers["content-length"]) == (b"ready", b"", "5")
    assert (posted.json, after.json) == ({"table": True}, {"table": True})
    assert ready.served == 2


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ('"1"', 304),
        ('W/"1"', 304),
        ('"0", "1"', 304),
        ("*", 304),
        ('"11"', 200),
        ("1", 200),
        ("", 200),
    ],
)
async def test_a_known_etag_gets_no_body(doors: Doors, sent: str, status: int) -> None:
    """Weak ones and lists count too; an ETag is known only with its quotation marks."""
    doors.answers["/door"] = ReadyAnswer(b"ready", b"1", [])

    answer = await ask(doors.app(), "GET", "/door", headers={"If-None-Match": sent})

    assert answer.status == status
    assert answer.body == (b"" if status == 304 else b"ready")
    assert answer.headers["etag"] == '"1"'


async def test_writes_are_told_with_their_status(doors: Doors) -> None:
    """What writes is counted for health; reads, preflights and paths unknown are not."""
    app = doors.app()
    await ask(app, "POST", "/door")
    doors.outcome = DoorOutcome.SHUT
    await ask(app, "POST", "/door")
    await ask(app, "GET", "/door")
    await ask(app, "OPTIONS", "/door")
    await ask(app, "POST", "/nowhere")

    assert doors.written == [200, 503]
