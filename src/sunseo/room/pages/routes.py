"""The HTTP face of the pages."""

from random import Random
from typing import Annotated
from urllib.parse import parse_qsl

import msgspec
from msgspec import Meta

from sunseo.html.cookies import LANGUAGE, CookieJar
from sunseo.html.language import language_of
from sunseo.html.page import headers_of
from sunseo.room.admission.admission import Admission
from sunseo.room.admission.challenge import ANSWER_CHARACTERS_MAX
from sunseo.room.board.board import RoomBoard
from sunseo.room.line.service import RoomService
from sunseo.room.pages.assets import asset_endpoints, room_assets
from sunseo.room.pages.journey import Journey, is_own_form
from sunseo.room.pages.notices import ANSWERS, STALE_FORM, UNKNOWN, said_of_status
from sunseo.room.pages.render import Frame, Renderer
from sunseo.room.pages.returns import RETURN_CHARACTERS_MAX
from sunseo.room.pages.visitor import PageRequest, Reception
from sunseo.web.client_address import ClientAddresses
from sunseo.web.endpoint import Answer, Call, Endpoint, Reply, Urgency

HTML = ("text/html",)
FORM_BYTES_MAX = 16_384

Flag = Annotated[str, Meta(max_length=10)]
Address = Annotated[str, Meta(max_length=2 * RETURN_CHARACTERS_MAX)]
Token = Annotated[str, Meta(max_length=100)]
Answered = Annotated[str, Meta(max_length=ANSWER_CHARACTERS_MAX)]


class PageQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`return` is where to go afterwards; it must be on the room's list.

    The others are the page's own: `began` tells that a cookie was sent with the page before, `held`
    that nobody could be let in just now, `reset` that the line was started anew. `refused` is a
    gate's: why it did not take the pass that it was shown.
    """

    return_: Address | None = msgspec.field(default=None, name="return")
    lang: Flag | None = None
    began: Flag | None = None
    held: Flag | None = None
    reset: Flag | None = None
    refused: Flag | None = None


class EnterForm(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the page's own button sends; `sent` is how often she had been sent back in vain."""

    token: Token
    sent: Flag = ""


class JoinForm(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the page's own challenge sends, or with `again` its offer to begin anew."""

    token: Token
    challenge: Answered = ""
    turnstile: Answered = msgspec.field(default="", name="cf-turnstile-response")
    again: Flag | None = None


def page_endpoints(
    service: RoomService,
    board: RoomBoard,
    admission: Admission,
    addresses: ClientAddresses,
    reception: Reception,
    *,
    dice: Random | None = None,
) -> list[Endpoint]:
    """The pages of all rooms, with their styles and scripts."""
    assets = room_assets()
    renderer = Renderer(assets)
    journey = Journey(
        service,
        addresses,
        reception,
        admission=admission,
        renderer=renderer,
        dice=dice or Random(),  # noqa: S311 - jitter guards nothing
    )
    pages = Pages(board, journey, reception, addresses, renderer)
    return [
        Endpoint(
            name="show_waiting_page",
            method="GET",
            path="/r/{room:int}",
            summary="The waiting page",
            description="For people: it takes a number on its second request, shows the line and "
            "leads back with a pass. It works without scripts. See the guide.",
            handler=pages.show,
            query=PageQuery,
            urgency=Urgency.JOIN,
            media=HTML,
            problem_page=pages.problem,
            answers=ANSWERS,
        ),
        Endpoint(
            name="join_by_page",
            method="POST",
            path="/r/{room:int}/join",
            summary="The waiting page's form that joins",
            handler=pages.join,
            request=JoinForm,
            query=PageQuery,
            urgency=Urgency.JOIN,
            body_bytes_max=FORM_BYTES_MAX,
            media=HTML,
            problem_page=pages.problem,
            answers=ANSWERS,
        ),
        Endpoint(
            name="enter_by_page",
            method="POST",
            path="/r/{room:int}/enter",
            summary="The waiting page's form that enters",
            description="Redirects to the return address with `sunseo_pass` in its query.",
            handler=pages.enter,
            request=EnterForm,
            query=PageQuery,
            body_bytes_max=FORM_BYTES_MAX,
            media=HTML,
            problem_page=pages.problem,
            answers=ANSWERS,
        ),
        *asset_endpoints(assets),
    ]


class Pages:
    """Finds the room and the visitor of a request, and lets the journey answer."""

    def __init__(
        self,
        board: RoomBoard,
        journey: Journey,
        reception: Reception,
        addresses: ClientAddresses,
        renderer: Renderer,
    ) -> None:
        self._board = board
        self._journey = journey
        self._reception = reception
        self._addresses = addresses
        self._renderer = renderer

    async def show(self, call: Call) -> Answer:
        visitor = self._receive(call)
        return self._unknown(call) if visitor is None else await self._journey.show(visitor)

    async def join(self, call: Call) -> Answer:
        form: JoinForm = call.body
        visitor = self._receive(call)
        if visitor is None:
            return self._unknown(call)
        if not is_own_form(visitor, form.token):
            return self._journey.notice(visitor, STALE_FORM)
        if form.again is not None:
            return self._journey.start_again(visitor)
        return await self._journey.join(visitor, form.challenge or form.turnstile)

    async def enter(self, call: Call) -> Answer:
        form: EnterForm = call.body
        visitor = self._receive(call)
        if visitor is None:
            return self._unknown(call)
        if not is_own_form(visitor, form.token):
            return self._journey.notice(visitor, STALE_FORM)
        return await self._journey.enter(visitor, form.sent)

    def problem(self, call: Call, code: str, status: int) -> bytes:  # noqa: ARG002 - the status is enough for a person
        """What the web layer refuses, as a page that tries again by itself where that helps."""
        frame = self._frame(call)
        said = said_of_status(status)
        return self._renderer.notice(
            frame,
            getattr(frame.texts, said.heading),
            getattr(frame.texts, said.explanation),
            refresh_s=said.retry_s,
            reference=call.record.request_id if status >= 500 else "",
        )

    def _receive(self, call: Call) -> PageRequest | None:
        view = self._board.look(call.path["room"])
        if view is None:
            return None
        https = self._addresses.is_https(call)
        return self._reception.receive(call, view, call.query.return_, https=https)

    def _unknown(self, call: Call) -> Reply:
        frame = self._frame(call)
        page = self._renderer.notice(frame, frame.texts.unknown, frame.texts.unknown_more)
        return Reply(UNKNOWN.status, page, headers_of())

    def _frame(self, call: Call) -> Frame:
        """For a visitor of whom nothing is known but her request, which may not even be read."""
        jar = CookieJar(call, https=self._addresses.is_https(call))
        asked = dict(parse_qsl(call.scope.get("query_string", b"").decode("latin-1")))
        language = language_of(asked.get("lang"), jar.get(LANGUAGE), call.header("accept-language"))
        room = str(call.path.get("room", ""))
        path = f"/r/{room}" if room.isascii() and room.isdecimal() else "/r"
        return Frame(language, path, back=asked.get("return"))
