"""A visitor's way through the page: nonce, number, waiting, turn, pass.

    first request ──► nonce in a cookie ──► second request carries it ──► a number
    ──► looks again by `Refresh` or script ──► her turn ──► a form enters ──► back with a pass

State       In her cookies; nothing here.
Guarantee   HEAD and prefetching take no number and no nonce. Only a POST with her own form's token
            enters or solves a challenge. She is sent nowhere but to the room's return addresses.
Clock       The board's, which is PostgreSQL's.
On failure  A page in her language says so and tries again by itself; what her cookies hold stays.
"""

from datetime import timedelta
from random import Random

import msgspec

from sunseo.core.outcome import Refusal
from sunseo.core.signing import encode_base64url
from sunseo.html.page import Form, Link, headers_of
from sunseo.room.admission.admission import Admission, AdmissionOutcome
from sunseo.room.admission.challenge import ChallengeBody
from sunseo.room.line.answers import Entered, EnterLater, JoinAnswer, Joined, Registered
from sunseo.room.line.commands import EnterOutcome, JoinOutcome
from sunseo.room.line.routes import noted
from sunseo.room.line.service import Caller, RoomService
from sunseo.room.pages.cookies import BrowserVisit, cookie_of
from sunseo.room.pages.drawn import UNSEALED, DrawSection, section_of
from sunseo.room.pages.notices import (
    ACCOUNTS_ONLY,
    BAD_RETURN,
    CLOSED,
    COOKIES_OFF,
    INSIDE,
    JOINING,
    JOINING_DRAW,
    JOINING_OVER,
    PAUSED,
    SITE_COOKIES_OFF,
    SOLD_OUT,
    Notice,
    said_of,
)
from sunseo.room.pages.render import Renderer
from sunseo.room.pages.returns import site_of, with_pass
from sunseo.room.pages.screen import (
    Standing,
    clock_text,
    is_turn,
    line_of,
    percent_of,
    position_of,
    refresh_after_s,
    serving_shown,
    time_text,
    wait_text,
    words_in_line,
)
from sunseo.room.pages.sent_back import IN_VAIN, SentBack, note_sent, note_told
from sunseo.room.pages.sentences import facts_of, words_of
from sunseo.room.pages.visitor import PageRequest, Reception
from sunseo.room.setup.schedule import takes_joins
from sunseo.web.client_address import ClientAddresses
from sunseo.web.endpoint import Header, Reply

SECOND_REQUEST_S = 1  # after which the page carries the nonce back
RETRY_SPREAD = 0.5  # those who were refused together come back apart

_encode = msgspec.json.Encoder().encode


class Journey:
    """Answers visitors of rooms that there are.

    Args:
        service: joins and enters.
        addresses: knows visitors' addresses, where a room counts them.
        reception: knows visitors by their cookies.
        admission: issues challenges.
        renderer: makes the HTML.
        dice: spreads those out who came together.
    """

    def __init__(
        self,
        service: RoomService,
        addresses: ClientAddresses,
        reception: Reception,
        *,
        admission: Admission,
        renderer: Renderer,
        dice: Random,
    ) -> None:
        self._service = service
        self._addresses = addresses
        self._reception = reception
        self._admission = admission
        self._renderer = renderer
        self._dice = dice

    async def show(self, visitor: PageRequest) -> Reply:
        """Whatever comes next for her."""
        view = visitor.view
        if visitor.has_bad_return:
            return self.notice(visitor, BAD_RETURN)
        if visitor.is_prefetched:  # anything but a success makes the browser drop what it has
            return self.notice(visitor, msgspec.structs.replace(JOINING, status=503))
        if view.shown.sold_out:
            return self.notice(visitor, SOLD_OUT)
        if view.situation.phase == "closed":
            return self.notice(visitor, CLOSED)
        if visitor.place is not None:
            return self._line(visitor, visitor.standing())
        if visitor.awaits_draw:
            return self._line(visitor, visitor.standing())
        if view.settings.holders == "accounts":
            return self._accounts_only(visitor)
        if not takes_joins(view.settings, view.now) and not visitor.is_registered:
            is_early = view.situation.phase == "before"
            return self._line(visitor, Standing()) if is_early else self._not_now(visitor)
        if visitor.is_quiet:
            return self.notice(visitor, self._joining(visitor))
        return await self._come_in(visitor)

    async def join(self, visitor: PageRequest, challenge: str) -> Reply:
        """Join with a solved challenge, from the form."""
        if visitor.visit is None or not visitor.visit.nonce:
            return self._see_other(visitor, visitor.frame.href())
        answer = await self._join(visitor, challenge)
        if isinstance(answer, Refusal):
            return await self._not_joined(visitor, answer)
        return self._see_other(visitor, visitor.frame.href())

    def start_again(self, visitor: PageRequest) -> Reply:
        """Forget a place that has been used, and begin anew."""
        visitor.jar.drop(cookie_of(visitor.room))
        return self._see_other(visitor, visitor.frame.href())

    async def enter(self, visitor: PageRequest, sent: str) -> Reply:
        """Take her turn, and lead her back with the pass; `sent` is what the form says of it."""
        visit = visitor.visit
        if visit is None or visitor.place is None:
            return self._see_other(visitor, visitor.frame.href())
        person = await self._reception.person_of(visitor) if visitor.place.account else None
        secret = None if visitor.place.account else visit.secret
        asked = self._service.enter(visitor.room, visit.place, person, secret)
        answer = noted(visitor.call, await asked)
        if isinstance(answer, Entered):
            return self._inside(visitor, answer, sent)
        if isinstance(answer, EnterLater):
            return self._see_other(visitor, visitor.frame.href(held="1"))
        if answer.outcome in (EnterOutcome.NOT_SERVED, EnterOutcome.OTHER_EPOCH):
            return self._see_other(visitor, visitor.frame.href())
        return self.notice(visitor, said_of(answer.outcome), retry_after_s=answer.retry_after_s)

    def notice(
        self,
        visitor: PageRequest,
        said: Notice,
        *,
        link: Link | None = None,
        form: Form | None = None,
        here: str | None = None,
        refresh_s: int | None = None,
        retry_after_s: int | None = None,
    ) -> Reply:
        """A page that says one thing."""
        texts = visitor.frame.texts
        retry_s = retry_after_s or said.retry_s
        if retry_s is not None:
            refresh_s = retry_s + round(retry_s * RETRY_SPREAD * self._dice.random())
        if said.again and visitor.visit is not None:
            form = self._form(visitor, "join", texts.again, again="1")
        page = self._renderer.notice(
            visitor.frame,
            getattr(texts, said.heading),
            getattr(texts, said.explanation),
            link=link,
            form=form,
            here=here,
            refresh_s=refresh_s,
            message=visitor.message if said in (CLOSED, SOLD_OUT) else "",
            busy=said in (JOINING, JOINING_DRAW),
        )
        retry: tuple[Header, ...] = ()
        if said.status in (429, 503) and refresh_s is not None:
            retry = ((b"retry-after", str(refresh_s).encode()),)
        return self._page(visitor, page, said.status, retry)

    # Getting a number

    async def _come_in(self, visitor: PageRequest) -> Reply:
        """Nonce first; the request that carries it gets a number, after the room's challenge."""
        if visitor.visit is None or not visitor.visit.nonce:
            return await self._begin(visitor)
        if visitor.view.settings.challenge != "none":
            return await self._challenge(visitor)
        answer = await self._join(visitor, None)
        if isinstance(answer, Refusal):
            return await self._not_joined(visitor, answer)
        if isinstance(answer, Registered):
            return self._line(visitor, Standing(is_registered=True))
        return self._line(visitor, Standing(answer.number, answer.number - answer.serving))

    async def _begin(self, visitor: PageRequest) -> Reply:
        if visitor.keeps_no_cookies:
            return self.notice(visitor, COOKIES_OFF)
        given = self._service.give_nonce(visitor.room, self._client_of(visitor))
        if isinstance(given, Refusal):
            said = said_of(given.outcome)
            return self.notice(visitor, said, retry_after_s=given.retry_after_s)
        visitor.keep(BrowserVisit.fresh(given[1]))
        await self._reception.person_of(visitor)
        here = visitor.frame.href(began="1", reset="1" if visitor.was_reset else None)
        said = self._joining(visitor)
        return self.notice(visitor, said, here=here, refresh_s=SECOND_REQUEST_S)

    async def _join(self, visitor: PageRequest, challenge: str | None) -> JoinAnswer:
        visit = visitor.visit
        if visit is None:
            raise ValueError("only a visitor with a nonce joins")
        person = await self._reception.person_of(visitor)
        binding = encode_base64url(visit.binding) if person is None else None
        client = self._client_of(visitor)
        asked = self._service.join(
            visitor.room,
            visit.nonce,
            Caller(person or visitor.call.known_person, client),
            binding=binding,
            challenge=challenge,
        )
        answer = noted(visitor.call, await asked)
        if isinstance(answer, Joined):
            began = max(0, answer.number - answer.serving)
            visitor.keep(
                BrowserVisit(
                    visit.secret,
                    "",
                    answer.place,
                    began,
                    min(answer.serving, answer.number),
                    visit.receipt,
                )
            )
        elif isinstance(answer, Registered):
            visitor.keep(visit.registered(answer.epoch, answer.receipt))
        return answer

    def _client_of(self, visitor: PageRequest) -> str | None:
        if not self._service.counts_networks(visitor.room):
            return None
        return self._addresses.client_of(visitor.call)

    async def _not_joined(self, visitor: PageRequest, answer: Refusal) -> Reply:
        match answer.outcome:
            case JoinOutcome.NONCE_EXPIRED:
                return await self._begin(visitor)
            case JoinOutcome.NOT_YET:
                return self._line(visitor, Standing())
            case (
                AdmissionOutcome.CHALLENGE_REQUIRED
                | AdmissionOutcome.CHALLENGE_FAILED
                | AdmissionOutcome.CHALLENGE_UNAVAILABLE
            ):
                return await self._challenge(visitor, answer)
        said = said_of(answer.outcome)
        return self.notice(visitor, said, retry_after_s=answer.retry_after_s)

    async def _challenge(self, visitor: PageRequest, answer: Refusal | None = None) -> Reply:
        nonce = self._reception.nonce_of(visitor)
        if nonce is None:
            visitor.visit = None
            return await self._begin(visitor)
        texts = visitor.frame.texts
        challenge = self._admission.issue(visitor.room, visitor.view.settings, nonce.id)
        warning, status = "", 200
        if answer is not None:
            away = answer.outcome is AdmissionOutcome.CHALLENGE_UNAVAILABLE
            warning = texts.challenge_away if away else texts.challenge_failed
            status = 503 if away else 403
        page = self._renderer.page(
            "challenge.html",
            visitor.frame,
            heading=texts.challenge,
            challenge=challenge,
            challenge_json=_encode(challenge).decode(),
            form=self._form(visitor, "join", texts.challenge_done),
            warning=warning,
            refresh_s=None,
        )
        return self._page(visitor, page, status, challenge=challenge)

    # In line

    def _line(self, visitor: PageRequest, standing: Standing) -> Reply:
        view, texts = visitor.view, visitor.frame.texts
        if visitor.is_held and is_turn(view, standing):
            standing = msgspec.structs.replace(standing, held_s=view.settings.poll_floor_s)
        sent = SentBack.read(visitor.jar, visitor.room).times_at(view.now)
        if sent >= IN_VAIN and is_turn(view, standing) and not standing.held_s:
            return self._in_vain(visitor)
        if visitor.goes_in_circles:
            standing = msgspec.structs.replace(standing, enters_alone=False)
        if standing.number and not visitor.is_quiet:
            visitor.has_seen(min(serving_shown(view, standing), standing.number))
        words = words_in_line(view, standing)
        language = visitor.frame.language
        opens_at = view.situation.opens_at if view.situation.phase == "before" else None
        left = view.shown.units_left
        page = self._renderer.page(
            "line.html",
            visitor.frame,
            heading=getattr(texts, words.heading),
            more=getattr(texts, words.more, ""),
            joins=self._join_from(visitor, standing),
            warning=getattr(texts, "started_anew" if visitor.is_after_reset else words.notice, ""),
            draw=self._drawn(visitor),
            message=visitor.message,
            refresh_s=self._refresh_s(visitor, standing),
            form=self._form(visitor, "enter", texts.enter, sent=str(sent)),
            updated=texts.updated.format(time=clock_text(view.now, view.settings.time_zone)),
            line_json=_encode(line_of(view, standing, texts)).decode(),
            line={
                "number": standing.number,
                "number_text": f"{standing.number:,}",
                "ahead": f"{max(0, position_of(view, standing) - 1):,}",
                "percent": percent_of(view, standing),
                "wait": wait_text(view.shown.speed, position_of(view, standing), texts),
                "units_left": None if left is None else f"{left:,}",
                "turn": is_turn(view, standing),
                "before": view.situation.phase == "before",
                "opens_at": opens_at and time_text(opens_at, view.settings.time_zone, language),
                "opens_at_iso": opens_at and opens_at.isoformat(),
            },
        )
        return self._page(visitor, page)

    def _join_from(self, visitor: PageRequest, standing: Standing) -> str:
        """When she who has nothing yet may come; nothing where she has, or time alone tells."""
        settings, situation = visitor.view.settings, visitor.view.situation
        opens_at = situation.opens_at
        if standing.has != "nothing" or situation.phase != "before" or opens_at is None:
            return ""
        time = time_text(
            opens_at - timedelta(seconds=settings.join_early_s),
            settings.time_zone,
            visitor.frame.language,
        )
        return visitor.frame.texts.join_from.format(time=time)

    def _drawn(self, visitor: PageRequest) -> DrawSection | None:
        receipt = visitor.visit.receipt if visitor.visit is not None else ""
        entrant = self._reception.entrant_of(visitor)
        return section_of(visitor.view, receipt, entrant, visitor.frame.texts)

    def _joining(self, visitor: PageRequest) -> Notice:
        """She is about to get a number, or to be registered where numbers are still to be drawn."""
        draw = visitor.view.draw
        return JOINING_DRAW if draw is not None and draw.state in UNSEALED else JOINING

    def _not_now(self, visitor: PageRequest) -> Reply:
        """Nobody can join, though the line may well move."""
        words = words_of(facts_of(visitor.view.state, "nothing"))
        said = {JOINING_OVER.heading: JOINING_OVER, PAUSED.heading: PAUSED}
        return self.notice(visitor, said.get(words.heading, CLOSED))

    def _refresh_s(self, visitor: PageRequest, standing: Standing) -> int:
        return max(standing.held_s, refresh_after_s(visitor.view, standing, self._dice))

    # Being sent on

    def _inside(self, visitor: PageRequest, entered: Entered, sent: str) -> Reply:
        if visitor.leads_to is None:
            return self.notice(visitor, INSIDE)
        note_sent(visitor.jar, visitor.room, visitor.view.now, sent)
        return self._see_other(visitor, with_pass(visitor.leads_to, entered.sealed))

    def _in_vain(self, visitor: PageRequest) -> Reply:
        """It is her turn, and where she was sent no pass is kept: only she can go on."""
        note_told(visitor.jar, visitor.room, visitor.view.now)
        text = visitor.frame.texts.accounts_link.format(site=site_of(visitor.leads_to or ""))
        return self.notice(visitor, SITE_COOKIES_OFF, form=self._form(visitor, "enter", text))

    def _accounts_only(self, visitor: PageRequest) -> Reply:
        link = None
        if visitor.leads_to is not None:
            text = visitor.frame.texts.accounts_link.format(site=site_of(visitor.leads_to))
            link = Link(visitor.leads_to, text)
        return self.notice(visitor, ACCOUNTS_ONLY, link=link)

    def _form(self, visitor: PageRequest, action: str, text: str, **fields: str) -> Form:
        token = visitor.visit.form_token if visitor.visit is not None else ""
        return Form(visitor.frame.href(action), {"token": token, **fields}, text)

    def _see_other(self, visitor: PageRequest, location: str) -> Reply:
        headers: list[Header] = [*headers_of(), (b"location", location.encode())]
        return Reply(303, b"", [*headers, *visitor.jar.headers])

    def _page(
        self,
        visitor: PageRequest,
        page: bytes,
        status: int = 200,
        headers: tuple[Header, ...] = (),
        challenge: ChallengeBody | None = None,
    ) -> Reply:
        origins = visitor.view.settings.return_hosts
        turnstile = challenge is not None and challenge.kind == "turnstile"
        cookies = [] if visitor.is_quiet else visitor.jar.headers
        return Reply(status, page, [*headers_of(origins, turnstile=turnstile), *headers, *cookies])


def is_own_form(visitor: PageRequest, token: str) -> bool:
    """Whether a POST comes from a form that we gave to this browser."""
    site = visitor.call.header("sec-fetch-site")
    if site is not None and site != "same-origin":
        return False
    return visitor.visit is not None and visitor.visit.is_own_form(token)
