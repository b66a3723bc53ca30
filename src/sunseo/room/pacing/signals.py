"""Outside words on the protected site's health: from gates, from probes, from the site itself."""

from math import isfinite

from sunseo.core.outcome import Refusal
from sunseo.room.pacing.health import ratio
from sunseo.room.setup.setup_bodies import Signal, SignalTaken
from sunseo.room.store import SignalOutcome, SignalStore, SourceSignal
from sunseo.web.endpoint import Answer, Auth, Call, Endpoint, Reply

SOURCES_MAX = 32  # of one room
SILENT_S = 3600.0  # after which a source's name is free again


class Signals:
    """Takes signals; one organisation's, in one process."""

    def __init__(self, store: SignalStore) -> None:
        self._store = store

    async def take(self, room: int, signal: Signal) -> SignalOutcome:
        """Keep a source's last word."""
        heard = SourceSignal(room, signal.source, signal.measured, signal.target)
        return await self._store.take(heard, sources_max=SOURCES_MAX, silent_s=SILENT_S)


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
