"""What rooms do, counted in plain integers on the hot path and told to the metrics by a loop."""

from collections import Counter
from math import isfinite

from sunseo.engine.entry import Answer
from sunseo.room.board.board import RoomBoard, RoomView
from sunseo.room.board.halted import HALTED
from sunseo.room.board.ready import ReadyStates
from sunseo.room.board.streams import Streams
from sunseo.room.line.commands import RoomCommand
from sunseo.room.line.lanes import StoreAnswer
from sunseo.room.pacing.controller import StepReport
from sunseo.room.pacing.health import SiteHealth
from sunseo.room.store import LineStore
from sunseo.telemetry.metrics import Metrics

HEALTH_SHOWN_MAX = 10.0  # ten times better than needed, or nobody measures: it is all the same


class CountingLines:
    """A line store that counts its answers by command and outcome."""

    def __init__(self, lines: LineStore) -> None:
        self._lines = lines
        self._counts: Counter[tuple[str, str]] = Counter()

    async def submit(self, command: RoomCommand) -> Answer[StoreAnswer]:
        answer = await self._lines.submit(command)
        self._counts[type(command).__name__, answer.result.outcome.name] += 1
        return answer

    def take(self) -> Counter[tuple[str, str]]:
        """What was counted since the last time."""
        counts, self._counts = self._counts, Counter()
        return counts


class RoomReporter:
    """Tells one process's metrics how its rooms are."""

    def __init__(
        self,
        metrics: Metrics,
        board: RoomBoard,
        *,
        lines: CountingLines,
        ready: ReadyStates,
        streams: Streams,
        health: SiteHealth,
    ) -> None:
        self._metrics = metrics
        self._board = board
        self._lines = lines
        self._ready = ready
        self._streams = streams
        self._health = health
        self._polls = 0
        self._leads = False
        self._seen: dict[int, RoomView] = {}
        self._told: dict[int, tuple[int | str | None, ...]] = {}
        self._told_health: dict[int, float] = {}

    def note_step(self, report: StepReport) -> None:
        """Told by the controller after each step."""
        self._leads = report.leads
        self._metrics.room_called.inc(report.called)
        self._metrics.room_leads.set(report.leads)
        self._metrics.room_step_lag_seconds.set(report.lag_s)

    async def run_once(self) -> bool:
        for (command, outcome), count in self._lines.take().items():
            self._metrics.room_commands.labels(snake(command), outcome.lower()).inc(count)
        polls = self._ready.served
        self._metrics.room_polls.inc(polls - self._polls)
        self._polls = polls
        self._metrics.room_streams.set(self._streams.open)
        if not self._leads:
            self._told_health.clear()  # another one tells it now
        for view in self._board.views():
            self._tell(view)
        return False

    def _tell(self, view: RoomView) -> None:
        """Tell what has changed of a room since it was told last: of thousands hardly any have."""
        if self._seen.get(view.room) is not view:
            self._seen[view.room] = view
            self._tell_figures(view)
        if self._leads:
            health = self._health.of(view)
            shown = min(health, HEALTH_SHOWN_MAX) if isfinite(health) else HEALTH_SHOWN_MAX
            if self._told_health.get(view.room) != shown:
                self._told_health[view.room] = shown
                self._metrics.room_health.labels(str(view.room)).set(shown)

    def _tell_figures(self, view: RoomView) -> None:
        figures = (view.issued, view.serving, view.live, view.capacity, view.state.halted)
        if self._told.get(view.room) == figures:
            return
        self._told[view.room] = figures
        room = str(view.room)
        self._metrics.room_issued.labels(room).set(view.issued)
        self._metrics.room_serving.labels(room).set(view.serving)
        self._metrics.room_waiting.labels(room).set(view.issued - view.serving)
        self._metrics.room_live.labels(room).set(view.live)
        self._metrics.room_capacity.labels(room).set(view.capacity)
        for reason in HALTED:
            is_why = view.state.halted == reason
            self._metrics.room_halted.labels(room, reason).set(is_why)


def snake(name: str) -> str:
    """ExpirePasses: expire_passes."""
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name).lstrip("_")
