"""What visitors see, parsed once for all who see the same bytes."""

from typing import TypeVar

import msgspec

from sunseo.rehearsal.picking import Hall, View, view_of

KEPT_MAX = 256

T = TypeVar("T")


class Speed(msgspec.Struct, frozen=True):
    v50: float


class PollTerms(msgspec.Struct, frozen=True):
    floor: int
    ceiling: int
    divisor: int


class State(msgspec.Struct, frozen=True):
    """Of a room's state document, what a visitor needs."""

    epoch: int
    phase: str
    issued: int
    serving: int
    speed: Speed | None
    sold_out: bool
    opens_at: int | None
    now: int
    poll: PollTerms


class _Occasion(msgspec.Struct):
    states: str


class _Availability(msgspec.Struct):
    occasions: list[_Occasion]


_state_of = msgspec.json.Decoder(State).decode
_availability_of = msgspec.json.Decoder(_Availability).decode


def poll_after_s(state: State, number: int) -> float:
    """As the protocol asks: a part of the time still to wait, between floor and ceiling.

    The client multiplies it by chance, 1 to 1.3, so that visitors do not come in step.
    """
    terms = state.poll
    if state.phase == "before" and state.opens_at is not None:
        wait_s = (state.opens_at - state.now) / 1000
        return min(max(terms.floor, wait_s / terms.divisor), terms.ceiling)
    ahead = number - state.serving
    if ahead <= 0:
        return terms.floor
    if state.speed is None:  # nobody can say yet: now and then
        return max(terms.floor, terms.ceiling / 4)
    if state.speed.v50 <= 0:
        return terms.ceiling
    return min(max(terms.floor, ahead / state.speed.v50 / terms.divisor), terms.ceiling)


class Sights:
    """Documents by their ETags, the latest ones."""

    def __init__(self, hall: Hall) -> None:
        self._hall = hall
        self._states: dict[str, State] = {}
        self._views: dict[str, View] = {}
        self.state: State | None = None
        self.view: View | None = None

    def read_state(self, etag: str, body: bytes) -> State:
        """The state that this ETag names; a body may be empty where the ETag was seen before.

        Raises:
            LookupError: it was not.
        """
        self.state = self._states.get(etag) or self._keep_state(etag, body)
        return self.state

    def read_view(self, etag: str, body: bytes) -> View:
        """What is free, as `read_state`."""
        self.view = self._views.get(etag) or self._keep_view(etag, body)
        return self.view

    def _keep_state(self, etag: str, body: bytes) -> State:
        return _keep(self._states, etag, _state_of(_not_empty(body)))

    def _keep_view(self, etag: str, body: bytes) -> View:
        states = _availability_of(_not_empty(body)).occasions[0].states
        return _keep(self._views, etag, view_of(self._hall, states))


def _keep(kept: dict[str, T], etag: str, what: T) -> T:
    if etag:
        if len(kept) >= KEPT_MAX:
            del kept[next(iter(kept))]
        kept[etag] = what
    return what


def _not_empty(body: bytes) -> bytes:
    if not body:
        raise LookupError("an unchanged document that is not known any more")
    return body
