"""What visitors see, parsed once for all who see the same bytes."""

from typing import TypeVar

import msgspec

from sunseo.passes.polling import Poll
from sunseo.rehearsal.crowd.picking import AvailabilityBody, FreeItems, Goods

KEPT_MAX, KEPT_A_SALE = 256, 8

K = TypeVar("K")
T = TypeVar("T")


class CallingSpeed(msgspec.Struct, frozen=True):
    """People called a second: in the slow case, the middle one."""

    v50: float
    v10: float = 0.0


class RoomDocument(msgspec.Struct, frozen=True):
    """Of a room's state document, what a visitor needs."""

    epoch: int
    phase: str
    issued: int
    serving: int
    speed: CallingSpeed | None
    sold_out: bool
    opens_at: int | None
    now: int
    poll: Poll
    halted: str | None = None


_state_of = msgspec.json.Decoder(RoomDocument).decode
_document_of = msgspec.json.Decoder(AvailabilityBody).decode


def wait_s(state: RoomDocument, number: int, speed: float) -> float | None:
    """Seconds until a number's turn at a speed, as the pages tell it; none where nobody can say."""
    ahead = max(0, number - state.serving)
    if ahead and speed <= 0:
        return None
    until_open_s = 0.0
    if state.phase == "before":
        if state.opens_at is None:
            return None
        until_open_s = max(0.0, (state.opens_at - state.now) / 1000)
    return until_open_s + (ahead / speed if ahead else 0.0)


class DocumentCache:
    """Documents by their ETags, the latest ones; those of sales by sale and ETag.

    Args:
        goods: that are on sale.
    """

    def __init__(self, goods: Goods, sales: int = 1) -> None:
        self._goods = goods
        self._views_max = max(KEPT_MAX, KEPT_A_SALE * sales)
        self._states: dict[str, RoomDocument] = {}
        self._views: dict[tuple[str, str], FreeItems] = {}
        self.state: RoomDocument | None = None
        self.view: FreeItems | None = None

    def read_state(self, etag: str, body: bytes) -> RoomDocument:
        """The state that this ETag names; a body may be empty where the ETag was seen before.

        Raises:
            LookupError: it was not.
        """
        self.state = self._states.get(etag) or self._keep_state(etag, body)
        return self.state

    def read_view(self, sale: str, etag: str, body: bytes) -> FreeItems:
        """What is free in a sale, as `read_state`."""
        self.view = self._views.get((sale, etag)) or self._keep_view(sale, etag, body)
        return self.view

    def _keep_state(self, etag: str, body: bytes) -> RoomDocument:
        state = _state_of(_not_empty(body))
        if etag:
            _keep(self._states, etag, state, KEPT_MAX)
        return state

    def _keep_view(self, sale: str, etag: str, body: bytes) -> FreeItems:
        view = self._goods.read(_document_of(_not_empty(body)))
        if etag:
            _keep(self._views, (sale, etag), view, self._views_max)
        return view


def _keep(kept: dict[K, T], key: K, what: T, most: int) -> None:
    if len(kept) >= most:
        del kept[next(iter(kept))]
    kept[key] = what


def _not_empty(body: bytes) -> bytes:
    if not body:
        raise LookupError("an unchanged document that is not known any more")
    return body
