"""Who comes back at once from where she was sent with a pass: her browser did not keep it there.

    the page she comes back to ──► its form ──► the cookie sunseo_sent_<room> ──► the next page

State       In her cookie: how often in a row, and when last.
Guarantee   Nobody is led back and forth without end. Tabs that were opened together, and are sent
            back one by one, do not count for each other: each goes on from what its own page knew.
            What she sends by her own hand from the page that tells her begins anew.
Clock       The board's, which is PostgreSQL's. A count of a time that is yet to come is none.
On failure  A cookie or a form that is lost or not ours counts as none: she is sent on.
"""

import msgspec

from sunseo.core.clock import Instant
from sunseo.html.cookies import CookieJar
from sunseo.room.pages.cookies import number_of

IN_VAIN = 2  # times that she came back at once
AT_ONCE_S = 15
TOLD_S = 600  # for so long no page sends her on by itself, with Back or a new look either


class SentBack(msgspec.Struct, frozen=True):
    """How often in a row she was sent back, each time after she had come back at once."""

    times: int = 0
    at_s: int = 0

    @classmethod
    def read(cls, jar: CookieJar, room: int) -> "SentBack":
        times, _, at_s = (jar.get(_cookie_of(room)) or "").partition(".")
        return cls(number_of(times), number_of(at_s))

    def times_at(self, now: Instant) -> int:
        """How often, for a page that is shown now; none where the last time was a while ago."""
        kept_s = TOLD_S if self.times > IN_VAIN else AT_ONCE_S
        return self.times if 0 <= int(now.timestamp()) - self.at_s <= kept_s else 0


def note_sent(jar: CookieJar, room: int, now: Instant, known: str) -> None:
    """She is sent back; `known` is what the page knew that she comes from."""
    _keep(jar, room, number_of(known) + 1, now)


def note_told(jar: CookieJar, room: int, now: Instant) -> None:
    """She has been told that it is in vain."""
    _keep(jar, room, IN_VAIN + 1, now)


def _keep(jar: CookieJar, room: int, times: int, now: Instant) -> None:
    jar.set(_cookie_of(room), f"{times}.{int(now.timestamp())}", TOLD_S)


def _cookie_of(room: int) -> str:
    return f"sunseo_sent_{room}"
