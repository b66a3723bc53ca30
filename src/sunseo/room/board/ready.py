"""State documents as HTTP answers: ready before anybody asks, signed when somebody does."""

import msgspec
from starlette.types import Scope

from sunseo.passes.keys import KeyRing
from sunseo.room.board.board import RoomView
from sunseo.room.board.state import BoardReading, StateDocument, seal_state
from sunseo.web.endpoint import Header
from sunseo.web.raw import RawAnswer, ReadyAnswer

STATE_HEADERS: list[Header] = [
    (b"content-type", b"application/json"),
    (
        b"cache-control",
        b"public, max-age=0, s-maxage=1, stale-while-revalidate=5, stale-if-error=30",
    ),
    (b"access-control-allow-origin", b"*"),
    (b"access-control-expose-headers", b"etag"),
]


class StateAnswer(ReadyAnswer):
    """The document as it goes out: signed when it is asked for, once a reading.

    Args:
        state: what holds for as long as the room does not change, whatever the time in it.
        last: the board's; the document tells its time.
    """

    __slots__ = ("_ed25519", "_keys", "_last", "_number", "_state")

    def __init__(
        self, state: StateDocument, keys: KeyRing, last: BoardReading, *, ed25519: bool, served: int
    ) -> None:
        self.served = served
        self._state = state
        self._keys = keys
        self._last = last
        self._ed25519 = ed25519
        self._number = -1

    def answer(self, scope: Scope) -> tuple[int, list[Header], bytes]:
        self.renew()
        return super().answer(scope)

    def renew(self) -> bytes:
        """The document of now."""
        if self._number != self._last.number:
            state = msgspec.structs.replace(self._state, now=self._last.now_ms)
            body, signature = seal_state(state, self._keys, ed25519=self._ed25519)
            super().__init__(body, signature.encode(), STATE_HEADERS, self.served)
            self._number = self._last.number
        return self.body


class ReadyStates:
    """The documents of all rooms on a board.

    Args:
        answers: where they are put by their path, for the app to serve.
    """

    def __init__(self, answers: dict[str, RawAnswer], keys: KeyRing) -> None:
        self._answers = answers
        self._keys = keys
        self._states: dict[int, StateAnswer] = {}
        self._served_before = 0  # polls of rooms that were set aside since

    def show(self, view: RoomView, last: BoardReading) -> None:
        """Have a room answered as it was read; `last` tells the time, now and later."""
        before = self._states.get(view.room)
        ed25519 = view.settings.pass_signature == "ed25519"  # noqa: S105 - an algorithm's name
        served = before.served if before is not None else 0
        answer = StateAnswer(view.state, self._keys, last, ed25519=ed25519, served=served)
        self._states[view.room] = self._answers[state_path(view.room)] = answer

    def drop(self, room: int) -> None:
        """Show nothing of a room any more."""
        self._answers.pop(state_path(room), None)
        if (answer := self._states.pop(room, None)) is not None:
            self._served_before += answer.served

    def document_of(self, room: int) -> bytes:
        """The signed document of now.

        Raises:
            KeyError: the room is not shown.
        """
        return self._states[room].renew()

    @property
    def served(self) -> int:
        """How many polls have been answered, ever; counted without a call to anybody."""
        return self._served_before + sum(answer.served for answer in self._states.values())


def state_path(room: int) -> str:
    return f"/v1/rooms/{room}/state"
