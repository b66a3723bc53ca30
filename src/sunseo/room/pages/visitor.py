"""Who is at the page: what her request says, and what her cookies prove.

Guarantee   Nothing in a cookie counts unless its signature says so; a token that is forged, of
            another room or of an epoch that is over is as if it were not there.
"""

from dataclasses import dataclass
from uuid import UUID

import msgspec

from sunseo.core.ids import Person
from sunseo.html.cookies import LANGUAGE, LANGUAGE_KEPT_S, CookieJar
from sunseo.html.language import language_of
from sunseo.identity.persons import GuestIssuer, InvalidTokenError, Persons
from sunseo.passes.keys import KeyRing
from sunseo.passes.tokens import Nonce, Place, TokenError
from sunseo.room.board.board import RoomView
from sunseo.room.pages.cookies import GUEST, BrowserVisit, cookie_of
from sunseo.room.pages.render import Frame
from sunseo.room.pages.returns import allowed_return
from sunseo.room.pages.screen import Standing
from sunseo.web.endpoint import Call

# What a gate says of a pass that it will refuse again, however often we send it another one.
FAULTS_OF_OURS = frozenset({"malformed", "version", "kind", "room", "key", "signature"})
PREFETCHES = (("sec-purpose", "prefetch"), ("purpose", "prefetch"), ("x-moz", "prefetch"))


@dataclass(slots=True)
class PageRequest:
    """One request for a room's page.

    Attributes:
        wanted: the return address as it was asked for; `frame.back` is the allowed one.
        place: her place in the present line, if her cookie proves one.
        was_reset: her cookie proves one in a line that was started anew since.
    """

    call: Call
    room: int
    view: RoomView
    frame: Frame
    jar: CookieJar
    visit: BrowserVisit | None
    wanted: str | None
    place: Place | None = None
    was_reset: bool = False

    @property
    def is_prefetched(self) -> bool:
        """Whether a browser loads the page in advance, perhaps for nobody."""
        return any(word in (self.call.header(name) or "").lower() for name, word in PREFETCHES)

    @property
    def is_quiet(self) -> bool:
        """Whether nobody is looking, so that no number may be taken and no cookie set."""
        return self.call.record.method == "HEAD" or self.is_prefetched

    @property
    def has_bad_return(self) -> bool:
        """Whether the link leads to where this room sends nobody."""
        return bool(self.wanted) and self.frame.back is None

    @property
    def leads_to(self) -> str | None:
        """Where she goes on: to where she came from, or else to the room's first site."""
        origins = self.view.settings.return_hosts
        return self.frame.back or (f"{origins[0]}/" if origins else None)

    @property
    def is_registered(self) -> bool:
        """Whether she takes part in the draw of the present line."""
        return self.visit is not None and self.visit.is_registered_in(self.view.epoch)

    @property
    def awaits_draw(self) -> bool:
        """Whether there is nothing to ask for: she has her receipt, and no number was drawn."""
        has_receipt = self.visit is not None and self.visit.receipt != ""
        return self.is_registered and has_receipt and self.view.awaits_draw

    @property
    def keeps_no_cookies(self) -> bool:
        """Whether her browser came back without the cookie that it was given a moment ago."""
        return self.query_says("began") and self.jar.get(cookie_of(self.room)) is None

    @property
    def is_held(self) -> bool:
        return self.query_says("held")

    @property
    def is_after_reset(self) -> bool:
        return self.query_says("reset")

    @property
    def goes_in_circles(self) -> bool:
        """Whether a gate sent her back with a pass of ours that it does not understand."""
        return getattr(self.call.query, "refused", None) in FAULTS_OF_OURS

    @property
    def message(self) -> str:
        """What the operator says, in her language or else in the other one."""
        message = self.view.settings.message
        if message is None:
            return ""
        own, other = (
            (message.ko, message.en) if self.frame.language == "ko" else (message.en, message.ko)
        )
        return own or other

    def query_says(self, name: str) -> bool:
        return getattr(self.call.query, name, None) == "1"

    def standing(self, held_s: int = 0) -> Standing:
        if self.place is None or self.visit is None:
            return Standing(is_registered=self.is_registered)
        return Standing(self.place.number, self.visit.began, self.visit.served, held_s)

    def keep(self, visit: BrowserVisit) -> BrowserVisit:
        """Remember a visit in the answer's cookies."""
        self.visit = visit
        self.jar.set(cookie_of(self.room), visit.write())
        return visit

    def has_seen(self, serving: int) -> None:
        """Remember the highest number called that she was shown, without a cookie for each look."""
        if self.visit is not None and serving > self.visit.served:
            self.keep(msgspec.structs.replace(self.visit, served=serving))


class Reception:
    """Recognises visitors.

    Args:
        keys: open the tokens in their cookies.
        persons: verifies guest sessions.
        guests: opens new ones.
        guest_session_s: how long those last.
    """

    def __init__(
        self, keys: KeyRing, persons: Persons, guests: GuestIssuer, guest_session_s: int
    ) -> None:
        self._keys = keys
        self._persons = persons
        self._guests = guests
        self._guest_session_s = guest_session_s

    def receive(
        self, call: Call, view: RoomView, wanted: str | None, *, https: bool
    ) -> PageRequest:
        """Read a request for a room that there is."""
        jar = CookieJar(call, https=https)
        settings = view.settings
        asked = getattr(call.query, "lang", None)
        frame = Frame(
            language_of(
                asked, jar.get(LANGUAGE), call.header("accept-language"), settings.languages
            ),
            path=f"/r/{view.room}",
            languages=settings.languages,
            room_name=view.name,
            back=allowed_return(wanted, settings.return_hosts),
        )
        visit = BrowserVisit.read(jar.get(cookie_of(view.room)))
        visitor = PageRequest(call, view.room, view, frame, jar, visit, wanted)
        if asked == frame.language and not visitor.is_quiet:
            jar.set(LANGUAGE, frame.language, LANGUAGE_KEPT_S)
        self._look_at_place(visitor)
        return visitor

    async def person_of(self, visitor: PageRequest) -> Person | None:
        """The person of a guest session, in a room that asks for persons; a new one if needed."""
        if visitor.view.settings.holders != "persons":
            return None
        token = visitor.jar.get(GUEST)
        if token:
            try:
                person, visitor.call.record.person = self._persons.person_of(token.encode())
            except InvalidTokenError:
                pass
            else:
                return person
        session = self._guests.issue()
        visitor.jar.set(GUEST, session.token, self._guest_session_s)
        person, visitor.call.record.person = self._persons.person_of(session.token.encode())
        return person

    def entrant_of(self, visitor: PageRequest) -> UUID | None:
        """Her id in the list of the draw, if her cookie has a receipt of ours from this line."""
        sealed = visitor.visit.receipt if visitor.visit is not None else ""
        try:
            receipt = self._keys.open_receipt(sealed, visitor.room)
        except TokenError:
            return None
        return receipt.entrant if receipt.epoch == visitor.view.epoch else None

    def nonce_of(self, visitor: PageRequest) -> Nonce | None:
        """The nonce in her cookie, if it is one of ours."""
        try:
            return self._keys.open_nonce(visitor.visit.nonce if visitor.visit else "", visitor.room)
        except TokenError:
            return None

    def _look_at_place(self, visitor: PageRequest) -> None:
        visit = visitor.visit
        if visit is None or not visit.place or visit.is_registered_in(visitor.view.epoch):
            return
        try:
            place = self._keys.open_place(visit.place, visitor.room)
        except TokenError:
            visitor.visit = None
            return
        if place.epoch == visitor.view.epoch:
            visitor.place = place
        else:  # the board may also be a moment behind a reset; she then keeps what is newer
            visitor.was_reset = place.epoch < visitor.view.epoch
            visitor.visit = None if visitor.was_reset else visit
            visitor.place = None if visitor.was_reset else place
