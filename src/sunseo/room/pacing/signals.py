"""Outside words on the protected site's health: from gates, from probes, from the site itself."""

from math import isfinite

from sqlalchemy.ext.asyncio import AsyncEngine

from sunseo.core.outcome import Kind, Outcome
from sunseo.room.pacing.health import ratio
from sunseo.room.postgres.cold import QUERIES
from sunseo.room.setup.setup_bodies import Signal, SignalTaken
from sunseo.web.endpoint import Answer, Auth, Call, Endpoint, Refusal, Reply

SOURCES_MAX = 32  # of one room
SILENT_S = 3600.0  # after which a source's name is free again


class SignalOutcome(Outcome):
    """What a source can be answered."""

    UNKNOWN_ROOM = Kind.ABSENT, "There is no such room."
    TOO_MANY_SOURCES = Kind.CONFLICT, "The room hears as many sources as it can."
    SIGNAL_TAKEN = Kind.DONE, "The signal counts from now on, for a while."


class Signals:
    """Takes signals; one organisation's, in one process."""

    def __init__(self, engine: AsyncEngine, organisation: int) -> None:
        self._engine = engine
        self._organisation = organisation

    async def take(self, room: int, signal: Signal) -> Outcome:
        """Keep a source's last word."""
        where = {"organisation": self._organisation, "room": room}
        async with self._engine.begin() as connection:
            # The lock lets signals of one room take turns, so that the bound on sources holds.
            if (await connection.execute(QUERIES["lock_room"], where)).first() is None:
                return SignalOutcome.UNKNOWN_ROOM
            await connection.execute(QUERIES["forget_signals"], where | {"silent_s": SILENT_S})
            taken = await connection.execute(
                QUERIES["take_signal"],
                where
                | {
                    "source": signal.source,
                    "measured": signal.measured,
                    "target": signal.target,
                    "sources_max": SOURCES_MAX,
                },
            )
            if taken.first() is None:
                return SignalOutcome.TOO_MANY_SOURCES
        return SignalOutcome.SIGNAL_TAKEN


def signal_endpoints(signals: Signals) -> list[Endpoint]:
    async def handle(call: Call) -> Answer:
        outcome = await signals.take(call.path["room"], call.body)
        if not outcome.kind.is_success:
            return Refusal(outcome)
        health = ratio(call.body.measured, call.body.target)
        body = SignalTaken(call.body.source, health if isfinite(health) else None)
        return Reply(200, body, outcome=outcome)

    return [
        Endpoint(
            name="send_room_signal",
            method="POST",
            path="/v1/rooms/{room:int}/signals",
            summary="Tell how the site behind a room fares",
            handler=handle,
            request=Signal,
            response=SignalTaken,
            outcomes=SignalOutcome,
            auth=Auth.OPERATOR,
            description="Measured above target slows the room down. A source's last word counts "
            "for 15 s; send it again every few seconds.",
        )
    ]
