"""The rooms' pages on a real database, and browsers that visit them, all in this process."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from html.parser import HTMLParser
from random import Random
from typing import Any
from urllib.parse import urlencode, urlsplit

from sunseo.core.later import Later
from sunseo.core.networks import TrustedProxies
from sunseo.engine.lane import Lane
from sunseo.identity.authenticator import Authenticator
from sunseo.identity.operator_keys import OperatorKeys
from sunseo.identity.persons import GuestIssuer, Persons
from sunseo.passes.keys import KeyRing
from sunseo.passes.tokens import Pass
from sunseo.postgres.errors import fault_of
from sunseo.postgres.pool import create_cold_engine
from sunseo.room.admission.admission import Admission
from sunseo.room.admission.altcha import Altcha
from sunseo.room.admission.challenge import Challenge
from sunseo.room.admission.routes import challenge_endpoints
from sunseo.room.board.board import RoomBoard
from sunseo.room.board.ready import ReadyStates
from sunseo.room.line.lanes import RoomLanes
from sunseo.room.line.routes import room_endpoints
from sunseo.room.line.service import RoomService
from sunseo.room.pages.routes import page_endpoints
from sunseo.room.pages.visitor import Reception
from sunseo.room.postgres.board import PostgresBoard
from sunseo.room.setup.settings import RoomSettings
from sunseo.telemetry.lines import LineWriter
from sunseo.telemetry.logs import Logs
from sunseo.telemetry.metrics import Metrics
from sunseo.web.app import App, build_app
from sunseo.web.client_address import ClientAddresses
from sunseo.web.limits import Limits
from tests.asgi import Response, ask
from tests.store.lobby import ORGANISATION, Lobby

SECRET = b"a secret of at least 32 bytes!!!"
SHOP = "https://shop.example"
COMMITMENT = bytes.fromhex("630dcd2966c4336691125448bbb25b4ff412a49c732db2c8abc1b8581bd710dd")


class Foyer:
    """One worker's rooms, as wiring puts them together."""

    def __init__(self, dsn: str, challenges: dict[str, Challenge] | None = None) -> None:
        self.lobby = Lobby(dsn)
        self.engine = create_cold_engine(dsn)
        self.keys = KeyRing(ORGANISATION, {0: SECRET}, 0)
        self.answers: dict[str, Any] = {}
        self.board = RoomBoard(
            PostgresBoard(self.engine, ORGANISATION), ReadyStates(self.answers, self.keys)
        )
        self.lanes = RoomLanes([Lane(self.lobby.flush, later=Later, fault_of=fault_of)])
        self.admission = Admission(
            {"altcha": Altcha(partial(self.keys.keys_for, b"challenge")), **(challenges or {})},
        )
        self.addresses = ClientAddresses(TrustedProxies.named("10.0.0.0/8"))
        self.guests = GuestIssuer(SECRET)
        self.persons = Persons(ORGANISATION, [self.guests])
        self.app = self._app()

    def _app(self) -> App:
        service = RoomService(self.lanes, self.board, self.keys, self.admission, ORGANISATION)
        reception = Reception(self.keys, self.persons, self.guests, 86_400)
        endpoints = [
            *room_endpoints(service, self.addresses),
            *challenge_endpoints(self.board, self.keys, self.admission),
            *page_endpoints(
                service, self.board, self.admission, self.addresses, reception, dice=Random(1)
            ),
        ]
        return build_app(
            endpoints,
            Authenticator(self.persons, OperatorKeys(_nobody)),
            limits=Limits(),
            metrics=Metrics(),
            logs=Logs("error", LineWriter(-1)),
        )

    async def open_room(self, *, serving: int = 0, name: str = "Room", **settings: Any) -> int:
        """A room with these settings; `serving` numbers are given and called already."""
        given = {"holders": "anyone", "return_hosts": (SHOP,), **settings}
        key = await self.lobby.open_room(RoomSettings(**given), serving=serving)
        await self.lobby.rows("UPDATE rooms SET name = $1 WHERE room = $2", name, key[1])
        await self.board.run_once()
        return key[1]

    async def change(self, room: int, **settings: Any) -> None:
        given = {"holders": "anyone", "return_hosts": (SHOP,), **settings}
        await self.lobby.change((ORGANISATION, room), RoomSettings(**given))
        await self.board.run_once()

    async def call_up_to(self, room: int, number: int) -> None:
        await self.lobby.call_up_to((ORGANISATION, room), number)
        await self.board.run_once()

    async def reset(self, room: int) -> None:
        """Start the line anew."""
        await self.lobby.rows(
            "UPDATE room_lines SET epoch = epoch + 1, issued = 0, serving = 0 WHERE room = $1", room
        )
        await self.board.run_once()

    async def draw_all(self, room: int) -> None:
        """Give all who registered their numbers, as a draw does."""
        await self.lobby.rows(
            "INSERT INTO room_places (organisation, room, epoch, holder, number, binding,"
            " issued_at) SELECT organisation, room, epoch, holder, row_number() OVER (), binding,"
            " registered_at FROM room_entrants WHERE room = $1",
            room,
        )
        await self.lobby.rows(
            "UPDATE room_lines SET sealed = true, issued = entrants WHERE room = $1", room
        )
        await self.promise(room, state="revealed")

    async def promise(
        self, room: int, *, state: str = "committed", kept: bool = False, independent: bool = False
    ) -> None:
        """Give the room a draw that stands so."""
        await self.lobby.rows(
            "INSERT INTO room_draws (organisation, room, epoch, state, commitment, committer,"
            " independent, kept, committed_at)"
            " SELECT organisation, room, epoch, $2, $3, 'A notary', $4, $5, clock_timestamp()"
            " FROM room_lines WHERE room = $1"
            " ON CONFLICT (organisation, room, epoch) DO UPDATE SET state = excluded.state",
            room,
            state,
            COMMITMENT,
            independent,
            kept,
        )
        await self.board.run_once()

    async def sell_out(self, room: int) -> None:
        """Have the controller say that nothing is left."""
        await self.lobby.rows(
            "INSERT INTO room_pacings (organisation, room, epoch, state, ticked_at)"
            " SELECT organisation, room, epoch, $2::text::jsonb, clock_timestamp()"
            " FROM room_lines WHERE room = $1",
            room,
            '{"shown": {"sold_out": true, "units_left": 0}}',
        )
        await self.board.run_once()

    async def places(self, room: int) -> int:
        """How many numbers the database has given."""
        ((count,),) = await self.lobby.rows(
            "SELECT count(*) FROM room_places WHERE room = $1", room
        )
        return int(count)

    def pass_in(self, location: str, room: int) -> Pass:
        found = re.search(r"sunseo_pass=([\w-]+)", location)
        assert found is not None, location
        return self.keys.open_pass(found[1], room)


class Browser:
    """A visitor without scripts: keeps cookies, follows refreshes, presses buttons."""

    def __init__(self, foyer: Foyer, room: int, *, https: bool = False, back: str = "") -> None:
        self.foyer = foyer
        self.room = room
        self.cookies: dict[str, str] = {}
        self.set_cookies: list[str] = []
        self.back = back
        self.headers = {"accept-language": "en"}
        self.https = https
        self.page = Page("")
        self.answer = Response(0, {}, b"")

    @property
    def here(self) -> str:
        query = f"?{urlencode({'return': self.back})}" if self.back else ""
        return f"/r/{self.room}{query}"

    async def open(self, address: str | None = None, method: str = "GET", **headers: str) -> "Page":
        return await self._send(method, address or self.here, None, headers)

    async def refresh(self) -> "Page":
        """Do what the page asks a browser without scripts to do."""
        assert self.page.refresh is not None, self.page.text
        return await self._send("GET", self.page.refresh[1], None, {})

    async def press(self, fields: dict[str, str] | None = None, **headers: str) -> "Page":
        """Send the page's form; `fields` replace its own."""
        assert self.page.form is not None, self.page.text
        sent = {**self.page.fields, **(fields or {})}
        headers = {"content-type": "application/x-www-form-urlencoded", **headers}
        return await self._send("POST", self.page.form, urlencode(sent).encode(), headers)

    async def arrive(self) -> "Page":
        """Come for the first time and wait for a number, as everybody does."""
        await self.open()
        return await self.refresh()

    async def follow(self) -> "Page":
        """Go where the answer sends us."""
        assert self.answer.status == 303, self.answer
        return await self.open(self.answer.headers["location"])

    async def _send(
        self, method: str, address: str, body: bytes | None, headers: dict[str, str]
    ) -> "Page":
        parts = urlsplit(address)
        cookie = {"cookie": "; ".join(f"{n}={v}" for n, v in self.cookies.items())}
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        secure = {"x-forwarded-proto": "https"} if self.https else {}
        self.answer, self.set_cookies = await visit(
            self.foyer.app,
            method,
            parts.path,
            body,
            {**self.headers, **secure, **(cookie if self.cookies else {}), **named},
            parts.query.encode(),
        )
        for line in self.set_cookies:
            name, _, value = line.partition(";")[0].partition("=")
            if "Max-Age=0" in line:
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = value
        self.page = Page(self.answer.body.decode())
        return self.page


async def visit(  # noqa: PLR0917 - all that a request has
    app: App, method: str, path: str, body: bytes | None, headers: dict[str, str], query: bytes
) -> tuple[Response, list[str]]:
    """Send a request through our own proxy, and give the answer with each of its cookies."""
    cookies: list[str] = []

    async def through_proxy(scope: Any, receive: Any, send: Any) -> None:
        async def noting(message: Any) -> None:
            pairs = message.get("headers", ())
            cookies.extend(value.decode() for name, value in pairs if name == b"set-cookie")
            await send(message)

        await app({**scope, "client": ("10.0.0.1", 1), "scheme": "http"}, receive, noting)

    return await ask(through_proxy, method, path, body, headers=headers, query=query), cookies


class Page(HTMLParser):
    """What a browser reads in a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.html = html
        self.heading = ""
        self.language = ""
        self.refresh: tuple[int, str] | None = None
        self.form: str | None = None
        self.fields: dict[str, str] = {}
        self.data: dict[str, str] = {}
        self.links: list[str] = []
        self.scripts: list[str] = []
        self.tags: list[str] = []
        self.texts: dict[str, str] = {}
        self._in: list[str] = []
        self.feed(html)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", self.html))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.tags.append(tag)
        self._in = [tag, given.get("id", "")]
        if tag == "html":
            self.language = given["lang"]
        elif tag == "meta" and given.get("http-equiv") == "refresh":
            seconds, _, url = given["content"].partition("; url=")
            self.refresh = int(seconds), url
        elif tag == "form":
            self.form = given["action"]
        elif tag == "input":
            self.fields[given["name"]] = given["value"]
        elif tag == "main":
            self.data = given
        elif tag == "a":
            self.links.append(given["href"])
        elif tag == "script":
            self.scripts.append(given.get("src", "inline"))

    def handle_data(self, data: str) -> None:
        if not data.strip() or not self._in:
            return
        if self._in[0] == "h1":
            self.heading += data.strip()
        if self._in[1]:
            self.texts[self._in[1]] = data.strip()
        self._in = []


async def _nobody(_key_id: str) -> bytes | None:
    return None


@asynccontextmanager
async def open_foyer(
    dsn: str, challenges: dict[str, Challenge] | None = None
) -> AsyncIterator[Foyer]:
    foyer = Foyer(dsn, challenges)
    foyer.lanes.start()
    try:
        yield foyer
    finally:
        await foyer.lanes.stop()
        await foyer.lobby.close()
        await foyer.engine.dispose()
