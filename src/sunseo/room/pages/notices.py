"""Which page answers which outcome: texts of the catalogue, by name, and what one can do then."""

from collections.abc import Mapping

import msgspec

from sunseo.core.later import LaterOutcome
from sunseo.core.outcome import Kind, Outcome
from sunseo.room.admission.admission import AdmissionOutcome
from sunseo.room.line.commands import EnterOutcome, JoinOutcome
from sunseo.room.line.service import HolderOutcome


class Notice(msgspec.Struct, frozen=True):
    """A page that says one thing; `heading` also names its explanation, `<heading>_more`.

    Attributes:
        more: the explanation's name where it is another one.
        again: whether it offers to join anew.
        retry_s: after so long it tries again by itself, if at all.
    """

    heading: str
    status: int = 200
    again: bool = False
    retry_s: int | None = None
    more: str = ""

    @property
    def explanation(self) -> str:
        return self.more or f"{self.heading}_more"


UNKNOWN = Notice("unknown", 404)
BAD_RETURN = Notice("bad_return", 400)
STALE_FORM = Notice("stale_form", 403)
NOT_HERS = Notice(
    "stale_form", 403, again=True
)  # a place whose guest session is lost, for instance
WRONG = Notice("wrong", 500, retry_s=15)
BUSY = Notice("busy", 503, retry_s=5)
TOO_MANY = Notice("too_many", 429, retry_s=10)
CLOSED = Notice("closed")
SOLD_OUT = Notice("sold_out")
COOKIES_OFF = Notice("cookies_off")
SITE_COOKIES_OFF = Notice("site_cookies_off")
ACCOUNTS_ONLY = Notice("accounts_only")
JOINING = Notice("joining")
JOINING_DRAW = Notice("joining_draw")
JOINING_OVER = Notice("joining_over")
PAUSED = Notice("paused_title", more="paused_out")
INSIDE = Notice("inside")
REVOKED = Notice("revoked", 410, again=True)
DONE = Notice("done", 410, again=True)
SESSION_OVER = Notice("session_over", 410, again=True)
AWAY = Notice("challenge", 503)

NOTICES: Mapping[Outcome, Notice] = {
    JoinOutcome.UNKNOWN_ROOM: UNKNOWN,
    JoinOutcome.ROOM_CLOSED: CLOSED,
    EnterOutcome.UNKNOWN_ROOM: UNKNOWN,
    EnterOutcome.ROOM_CLOSED: CLOSED,
    EnterOutcome.PASS_REVOKED: REVOKED,
    EnterOutcome.PASS_DONE: DONE,
    EnterOutcome.SESSION_OVER: SESSION_OVER,
    AdmissionOutcome.TOO_MANY_JOINS: TOO_MANY,
    HolderOutcome.INVALID_TOKEN: NOT_HERS,
    HolderOutcome.WRONG_HOLDER: NOT_HERS,
    LaterOutcome.BUSY: BUSY,
    LaterOutcome.OUTCOME_UNKNOWN: BUSY,
}

ANSWERS: Mapping[int, str] = {
    303: "Goes on: to the page, or back to the site with a pass.",
    400: "The return address is not one that the room allows.",
    403: "The form is not this visitor's, or its challenge is not solved.",
    404: "There is no such room.",
    410: "Her visit is over; she may join anew.",
    429: "Too many join from her network; the page tries again.",
    503: "Not at the moment; the page tries again.",
}
"""What the pages answer with beside 200: each status is some `Notice`'s, but for the way on."""

_BY_STATUS: Mapping[int, Notice] = {
    400: msgspec.structs.replace(STALE_FORM, status=400),
    403: STALE_FORM,
    404: UNKNOWN,
    422: msgspec.structs.replace(STALE_FORM, status=422),
    429: TOO_MANY,
    500: WRONG,
    503: BUSY,
}


def said_of(outcome: Outcome) -> Notice:
    """The page of an outcome; of what a browser of ours does not bring about, that of a retry."""
    known = NOTICES.get(outcome)
    if known is not None:
        return known
    return BUSY if outcome.kind is Kind.LATER else STALE_FORM


def said_of_status(status: int) -> Notice:
    """The page of what the web layer refuses."""
    return _BY_STATUS.get(status, msgspec.structs.replace(STALE_FORM, status=status))
