"""What is done with the journal besides appending to it: a log of all events, if one is set."""

from sqlalchemy.ext.asyncio import AsyncEngine

from sunseo.capability import BackgroundTurn, Capability
from sunseo.journal.log_sink import LogSink
from sunseo.settings import Settings

SINK_EVERY_S = 0.5  # a turn asks every sale for news; nobody waits for the log


class JournalCapability(Capability):
    """Readers of one organisation's journal."""

    def __init__(self, settings: Settings, engine: AsyncEngine) -> None:
        self._sink: LogSink | None = None
        if settings.event_log is not None:
            self._sink = LogSink(engine, settings.organisation, settings.event_log)

    def turns(self) -> list[BackgroundTurn]:
        if self._sink is None:
            return []
        return [BackgroundTurn("log_sink", self._sink.run_once, SINK_EVERY_S)]

    async def leave(self) -> None:
        if self._sink is not None:
            await self._sink.leave()
