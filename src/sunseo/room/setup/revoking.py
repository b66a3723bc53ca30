"""Operators take passes away, one by one: in the room's lane, like everything that ends a pass.

On failure  The pass is revoked first and the audit entry written then; a retry of the same request
            finds the pass revoked, and writes the entry that is missing.
"""

from uuid import UUID

import msgspec

from sunseo.core.later import LaterOutcome
from sunseo.core.outcome import Outcome, Refusal
from sunseo.operators.command import By
from sunseo.operators.replies import by_of
from sunseo.room.board.board import RoomBoard
from sunseo.room.line.commands import EndPassOutcome, Revoke
from sunseo.room.store import LineStore, SetupStore
from sunseo.web.endpoint import Answer, Auth, Call, Endpoint, Reply


class RevokePass(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which pass: its id, as gates forward and log it."""

    pass_id: UUID


class PassRevoked(msgspec.Struct, frozen=True):
    """The pass, and what became of it: `revoked`, or `replayed` if it had ended before."""

    pass_id: UUID
    outcome: str


class Revoking:
    """Revokes passes; one organisation's, in one process."""

    def __init__(
        self, lines: LineStore, board: RoomBoard, setup: SetupStore, organisation: int
    ) -> None:
        self._lines = lines
        self._board = board
        self._setup = setup
        self._organisation = organisation

    async def revoke(self, by: By, room: int, body: RevokePass) -> Outcome:
        """Take a pass of the present epoch away, in all its renewals."""
        view = self._board.look(room)
        if view is None:
            return EndPassOutcome.UNKNOWN_ROOM
        command = Revoke((self._organisation, room), view.epoch, body.pass_id)
        outcome = (await self._lines.submit(command)).result.outcome
        if outcome.kind.is_success or outcome is EndPassOutcome.PASS_REVOKED:
            await self._setup.note_revoked(by.sent(body), room, view.sale, body.pass_id)
        return outcome


def revoking_endpoints(revoking: Revoking) -> list[Endpoint]:
    async def handle(call: Call) -> Answer:
        outcome = await revoking.revoke(by_of(call), call.path["room"], call.body)
        if not outcome.kind.is_success:
            return Refusal(outcome)
        return Reply(200, PassRevoked(call.body.pass_id, outcome.code), outcome=outcome)

    return [
        Endpoint(
            name="revoke_pass",
            method="POST",
            path="/v1/rooms/{room:int}/revoke",
            summary="Take a pass away, in all its renewals",
            handler=handle,
            request=RevokePass,
            response=PassRevoked,
            outcomes=(
                EndPassOutcome.UNKNOWN_ROOM,
                EndPassOutcome.UNKNOWN_PASS,
                EndPassOutcome.PASS_REVOKED,
                EndPassOutcome.REPLAYED,
                EndPassOutcome.REVOKED,
                *LaterOutcome,
            ),
            auth=Auth.OPERATOR,
            idempotent_key=True,
        )
    ]
