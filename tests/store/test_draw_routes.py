"""A draw over HTTP, in front of a real database."""

import gzip
import io
import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from sunseo.drawcheck.verifier import verify
from sunseo.identity.authenticator import Authenticator
from sunseo.identity.operator_keys import OperatorKeys, new_operator_key
from sunseo.identity.persons import Persons
from sunseo.operators.command import OperatorCommands
from sunseo.postgres.pool import create_cold_engine
from sunseo.room.draw.routes import draw_endpoints
from sunseo.room.draw.rules import commitment_of
from sunseo.room.postgres.draws import PostgresDraws
from sunseo.room.setup.settings import RoomSettings
from sunseo.telemetry.lines import LineWriter
from sunseo.telemetry.logs import Logs
from sunseo.telemetry.metrics import Metrics
from sunseo.web.app import App, build_app
from sunseo.web.limits import Limits
from tests.asgi import Response, ask
from tests.store.lobby import ORGANISATION, Lobby, open_lobby

SECRET = bytes(range(32))
KEY = new_operator_key()
COMMITMENT = {
    "commitment": commitment_of(SECRET).hex(),
    "committer": "A notary",
    "independent": True,
}


class DrawSite:
    """A room in random mode, and the app in front of its draw."""

    def __init__(self, app: App, lobby: Lobby, room: int) -> None:
        self.app = app
        self.lobby = lobby
        self.room = room
        self.path = f"/v1/rooms/{room}/draw"

    async def step(self, verb: str, body: Any = None, key: str | None = None) -> Response:
        headers = {
            "Authorization": f"Bearer {KEY.text}",
            "Idempotency-Key": key or verb,
            "Content-Type": "application/json",
        }
        encoded = None if body is None else json.dumps(body).encode()
        return await ask(self.app, "POST", f"{self.path}/{verb}", encoded, headers=headers)

    async def get(self, path: str = "", **rest: Any) -> Response:
        return await ask(self.app, "GET", self.path + path, **rest)


@pytest.fixture
async def site(database_dsn: str) -> AsyncIterator[DrawSite]:
    engine = create_cold_engine(database_dsn)

    async def look_up(key_id: str) -> bytes | None:
        return KEY.digest if key_id == KEY.key_id else None

    app = build_app(
        draw_endpoints(PostgresDraws(engine, OperatorCommands(engine, ORGANISATION))),
        Authenticator(Persons(ORGANISATION, []), OperatorKeys(look_up)),
        limits=Limits(),
        metrics=Metrics(),
        logs=Logs("info", LineWriter(-1)),
    )
    async with open_lobby(database_dsn) as lobby:
        _, room = await lobby.open_room(RoomSettings(mode="random"))
        yield DrawSite(app, lobby, room)
    await engine.dispose()


async def statuses(site: DrawSite, steps: Sequence[tuple[str, Any]]) -> list[tuple[int, Any]]:
    answers = [await site.step(verb, body) for verb, body in steps]
    return [
        (answer.status, answer.json.get("outcome", answer.json.get("state"))) for answer in answers
    ]


async def test_a_draw_over_http(site: DrawSite) -> None:
    """Commit, register, seal, reveal, download: and the downloaded file is valid."""
    room = (ORGANISATION, site.room)
    heard = await statuses(site, [("seal", None), ("commit", COMMITMENT), ("commit", COMMITMENT)])
    await site.lobby.join(room, "Kim", "Lee", "Park")
    before = (await site.get()).json
    wrong = {"secret": "00" * 32}
    heard += await statuses(site, [("seal", None), ("reveal", wrong)])
    right = await site.step("reveal", {"secret": SECRET.hex()}, key="another-key")
    file = await site.get("/file")

    assert heard == [
        (409, "not_committed"),
        (200, "committed"),
        (200, "committed"),
        (200, "sealed"),
        (403, "wrong_secret"),
    ]
    assert (before["state"], before["registered"], before["secret"]) == ("committed", 3, None)
    assert (right.status, right.json["state"], right.json["entrants"]) == (200, "revealed", 3)
    assert file.headers["content-type"] == "application/gzip"
    assert file.headers["content-length"] == str(len(file.body))
    assert verify(io.BytesIO(gzip.decompress(file.body))).exit_code == 0


async def test_the_public_may_read_and_only_read(site: DrawSite) -> None:
    """Status and file need no credential and may be asked for by other sites; steps need a key."""
    await site.step("commit", COMMITMENT)
    status = await site.get()
    refused = await ask(site.app, "POST", f"{site.path}/seal")

    assert status.status == 200
    assert status.headers["cache-control"] == "public, max-age=2"
    assert status.headers["access-control-allow-origin"] == "*"
    assert refused.status == 401
    assert (await site.get()).json["state"] == "committed"


async def test_file_is_cached_by_its_hash(site: DrawSite) -> None:
    """The same file is not sent again, a HEAD tells its size, and an absent one is a problem."""
    missing = await site.get("/file")
    await site.step("commit", COMMITMENT)
    early = await site.get("/file")
    await site.step("seal")
    file = await site.get("/file")
    head = await ask(site.app, "HEAD", f"{site.path}/file")
    again = await site.get("/file", headers={"If-None-Match": file.headers["etag"]})
    other = await site.get("/file", query=b"epoch=9")

    assert [answer.json["outcome"] for answer in (missing, early, other)] == [
        "no_draw",
        "not_sealed",
        "no_draw",
    ]
    assert (head.status, head.body) == (200, b"")
    assert head.headers["content-length"] == file.headers["content-length"]
    assert (again.status, again.body) == (304, b"")


@pytest.mark.parametrize(
    ("verb", "body", "field"),
    [
        ("commit", COMMITMENT | {"commitment": "AB" * 32}, "commitment"),
        ("commit", COMMITMENT | {"commitment": "ab" * 31}, "commitment"),
        ("commit", COMMITMENT | {"committer": ""}, "committer"),
        ("commit", {"commitment": "ab" * 32, "committer": "A notary"}, "independent"),
        ("reveal", {"secret": "ab" * 31}, "secret"),
        ("reveal", {"secret": "a" * 65}, "secret"),
        ("reveal", {"secret": "zz" * 32}, "secret"),
        ("withhold", {"reason": ""}, "reason"),
    ],
)
async def test_what_is_no_step_names_its_field(
    site: DrawSite, verb: str, body: Any, field: str
) -> None:
    """Digests, secrets and names are checked before anything is asked of the database."""
    answer = await site.step(verb, body)

    assert (answer.status, answer.json["field"]) == (422, field)
