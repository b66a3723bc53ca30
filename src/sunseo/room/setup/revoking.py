"""Operators take passes away, one by one: in the room's lane, like everything that ends a pass.

On failure  The pass is revoked first and the audit entry written then; a retry of the same request
            finds the pass revoked, and writes the entry that is missing.
"""

from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from sunseo.core.ids import Person, effect_id, request_digest
from sunseo.core.later import LaterOutcome
from sunseo.core.outcome import Outcome
from sunseo.operators import audit
from sunseo.operators.effects import once
from sunseo.postgres.clock import read_clock
from sunseo.room.board.board import RoomBoard, RoomView
from sunseo.room.line.commands import EndPassOutcome, Revoke
from sunseo.room.line.lanes import RoomStore
from sunseo.room.setup.setup import OPERATOR_ISSUER
from sunseo.web.endpoint import Answer, Auth, Call, Endpoint, Refusal, Reply


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
        self, store: RoomStore, board: RoomBoard, engine: AsyncEngine, organisation: int
    ) -> None:
        self._store = store
        self._board = board
        self._engine = engine
        self._organisation = organisation

    async def revoke(self, operator: str, key: str, room: int, body: RevokePass) -> Outcome:
        """Take a pass of the present epoch away, in all its renewals."""
        view = self._board.look(room)
        if view is None:
            return EndPassOutcome.UNKNOWN_ROOM
        command = Revoke((self._organisation, room), view.epoch, body.pass_id)
        outcome = (await self._store.submit(command)).result.outcome
        if outcome.kind.is_success or outcome is EndPassOutcome.PASS_REVOKED:
            await self._record(operator, key, view, body)
        return outcome

    async def _record(self, operator: str, key: str, view: RoomView, body: RevokePass) -> None:
        """Write the audit entry, once a key."""
        room = view.room
        details = {"room": room, "pass_id": str(body.pass_id)}

        async def work(connection: AsyncConnection) -> dict[str, str]:
            await audit.append(
                connection,
                self._organisation,
                actor=operator,
                action="revoke_pass",
                sale=view.sale,
                details=details,
                now=await read_clock(connection),
            )
            return {}

        person = Person.named(self._organisation, OPERATOR_ISSUER, operator)
        effect = effect_id(person, 0, f"revoke_pass {room} {body.pass_id}", key)
        await once(self._engine, self._organisation, effect, request_digest(body), work)


def revoking_endpoints(revoking: Revoking) -> list[Endpoint]:
    async def handle(call: Call) -> Answer:
        outcome = await revoking.revoke(
            call.operator, call.idempotency_key, call.path["room"], call.body
        )
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
