"""Where waiting room and sale meet: a pass lets its holder book, and ends with her order.

State       The releases under way; none of them is waited for by a buyer.
Guarantee   Booking hears of a pass only if it is genuine, of the sale's own room and living epoch,
            not revoked, and the person's own. Whether it is still live, the rules of booking say
            by the database's clock.
On failure  A worker that has not read the rooms yet admits nobody to any sale. A sale of which the
            room cannot be read admits nobody, and no other sale minds. A slot whose release gets
            lost comes back when its pass expires.
"""

import asyncio
from datetime import UTC, datetime

from sunseo.booking.commands import RoomAdmission
from sunseo.core.ids import Person
from sunseo.passes.tokens import Pass, TokenError
from sunseo.room.board.board import RoomBoard, RoomUnreadableError, RoomView
from sunseo.room.line.service import RoomService


class RoomAccess:
    """The passes that sales with a room ask for. One object serves one worker."""

    def __init__(self, board: RoomBoard, service: RoomService) -> None:
        self._board = board
        self._service = service
        self._releases: set[asyncio.Task[object]] = set()

    def admission_of(self, person: Person, sale: int, shown: str | None) -> RoomAdmission | None:
        """What a pass says for this person, or none where the sale has no waiting room."""
        try:
            view = self._board.of_sale(sale)
        except RoomUnreadableError as error:
            return RoomAdmission(error.room, None, is_known=False)
        if view is None or view.settings.mode == "passthrough":
            return None
        held = None if shown is None else self._own_pass(view, person, shown)
        if held is None:
            return RoomAdmission(view.room, None)
        return RoomAdmission(view.room, datetime.fromtimestamp(held.expires_at_ms / 1000, UTC))

    def release(self, person: Person, sale: int, shown: str) -> None:
        """Give the slot of a person's pass back; nobody waits for it."""
        try:
            view = self._board.of_sale(sale)
        except RoomUnreadableError:
            return  # her order stands, and the slot comes back when the pass expires
        held = None if view is None else self._own_pass(view, person, shown)
        if held is not None:
            release = asyncio.get_running_loop().create_task(self._service.complete(held))
            self._releases.add(release)
            release.add_done_callback(self._releases.discard)

    def _own_pass(self, view: RoomView, person: Person, shown: str) -> Pass | None:
        try:
            held = self._service.admission_of(shown, view.room)
        except TokenError:
            return None
        return held if held.account and held.holder == person.id else None
