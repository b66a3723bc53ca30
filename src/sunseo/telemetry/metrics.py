"""The metrics catalogue: everything that Sunseo counts and measures, in one class.

State       Each process writes into its own memory-mapped files in one shared directory; whichever
            process answers `/metrics` adds them up.
Guarantee   Counters and histograms never fall while the server runs: a worker that dies leaves its
            files, and the worker that takes over its slot (`slots.py`) counts on in them. Gauges
            of dead workers vanish from the next scrape.
Clock       None; callers measure.
On failure  A worker killed in mid-write loses at most that one increment.

How wiring uses it: the supervisor calls `prepare(directory)` once, before any worker exists. Each
worker then opens `Metrics.open(directory)` after the fork, once. Nothing else sets
`PROMETHEUS_MULTIPROC_DIR`; the order of imports does not matter.
"""

import os
from collections.abc import Callable
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest, values
from prometheus_client.multiprocess import MultiProcessCollector

from sunseo.core.later import Reason
from sunseo.telemetry.cells import cells_in
from sunseo.telemetry.slots import Slot, claim_slot, forget_dead_gauges

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

REQUEST_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
LANE_BUCKETS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
BATCH_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)


def prepare(directory: Path) -> None:
    """Make the directory and empty it of what an earlier run of the server left."""
    directory.mkdir(parents=True, exist_ok=True)
    for leftover in directory.glob("*.db"):
        leftover.unlink(missing_ok=True)


class LaneMetrics:
    """What one lane reports: a `engine.lane.LaneMeter`."""

    def __init__(self, metrics: "Metrics", lane: str) -> None:
        self.flushed_batch = metrics.lane_batch_size.labels(lane).observe
        self.flushed_s = metrics.lane_flush_seconds.labels(lane).observe
        self.waited = metrics.lane_wait_seconds.labels(lane).observe
        self.retried = metrics.lane_retries.labels(lane).inc
        self.bisected = metrics.lane_bisections.labels(lane).inc
        self.deferred = metrics.lane_deferrals.labels(lane).inc
        self.depth = metrics.lane_queue_depth.labels(lane).set
        self._refused: dict[Reason, Callable[[], None]] = {
            reason: metrics.lane_refusals.labels(lane, reason.value).inc for reason in Reason
        }

    def flushed(self, batch: int, flush_s: float) -> None:
        self.flushed_batch(batch)
        self.flushed_s(flush_s)

    def refused(self, reason: Reason) -> None:
        self._refused[reason]()


class RouteMetrics:
    """What one route reports. Children are bound on first use and kept: both labels are closed."""

    __slots__ = ("_bound", "_duration", "_method", "_requests", "_route")

    def __init__(self, metrics: "Metrics", method: str, route: str) -> None:
        self._requests = metrics.http_requests
        self._duration = metrics.http_request_seconds.labels(method, route).observe
        self._method = method
        self._route = route
        self._bound: dict[tuple[int, str], Callable[[], None]] = {}

    def answered(self, status: int, outcome: str, duration_s: float) -> None:
        count = self._bound.get((status, outcome))
        if count is None:
            child = self._requests.labels(self._method, self._route, str(status), outcome)
            count = self._bound[(status, outcome)] = child.inc
        count()
        self._duration(duration_s)


class Metrics:
    """All metrics of one process. Created once by wiring and handed to those who measure."""

    def __init__(self, directory: Path | None = None, slot: Slot | None = None) -> None:
        self._directory = directory
        self._slot = slot  # held for as long as this object lives
        self._registry = CollectorRegistry()
        self._define_http()
        self._define_lanes()
        self._define_database()
        self._define_house()
        self._define_rooms()

    @classmethod
    def open(cls, directory: Path) -> "Metrics":
        """Join the shared directory as one more process; call it after the fork."""
        slot = claim_slot(directory)
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(directory)
        # The library chooses its value class when it is first imported. Setting it here instead
        # frees wiring from an import order that nobody would remember.
        values.ValueClass = cells_in(directory, slot.number)
        return cls(directory, slot)

    def lane(self, lane: str) -> LaneMetrics:
        return LaneMetrics(self, lane)

    def route(self, method: str, route: str) -> RouteMetrics:
        return RouteMetrics(self, method, route)

    def render(self) -> bytes:
        """The text for Prometheus, over all processes. Reads files: call it off the event loop."""
        if self._directory is None:
            return generate_latest(self._registry)
        forget_dead_gauges(self._directory)
        return generate_latest(_Directory(self._directory))

    def describe(self) -> dict[str, str]:
        """Every metric's exposed name and its help sentence."""
        return {
            family.name + ("_total" if family.type == "counter" else ""): family.documentation
            for family in self._registry.collect()
        }

    def _define_http(self) -> None:
        self.http_requests = self._counter(
            "http_requests",
            "Requests answered, by method, route, status and outcome.",
            "method",
            "route",
            "status",
            "outcome",
        )
        self.http_request_seconds = self._histogram(
            "http_request_seconds",
            "Seconds from a request's head to its answer, by method and route.",
            REQUEST_BUCKETS_S,
            "method",
            "route",
        )
        self.http_in_flight = self._gauge(
            "http_requests_in_flight", "Requests being worked on at this moment.", "livesum"
        )
        self.http_shed = self._counter(
            "http_requests_shed",
            "Requests refused at once because too many were under way, by urgency.",
            "urgency",
        )

    def _define_lanes(self) -> None:
        self.lane_batch_size = self._histogram(
            "lane_batch_size", "Commands applied in one flush.", BATCH_BUCKETS, "lane"
        )
        self.lane_wait_seconds = self._histogram(
            "lane_wait_seconds",
            "Seconds the longest waiting command of a batch waited before its flush began.",
            LANE_BUCKETS_S,
            "lane",
        )
        self.lane_flush_seconds = self._histogram(
            "lane_flush_seconds",
            "Seconds one flush took, from loading to commit.",
            LANE_BUCKETS_S,
            "lane",
        )
        self.lane_refusals = self._counter(
            "lane_refusals",
            "Commands that a lane answered LATER without applying them, by reason;"
            " locked: somebody keeps a sale's row locked.",
            "lane",
            "reason",
        )
        self.lane_queue_depth = self._gauge(
            "lane_queue_depth", "Commands waiting in a lane at this moment.", "livesum", "lane"
        )
        self.lane_retries = self._counter(
            "lane_retries", "Flushes tried once more after an infrastructure failure.", "lane"
        )
        self.lane_bisections = self._counter(
            "lane_bisections", "Batches split to find the command at fault.", "lane"
        )
        self.lane_deferrals = self._counter(
            "lane_deferrals",
            "Commands put off to the next batch because what they concern had changed.",
            "lane",
        )

    def _define_database(self) -> None:
        self.database_connections = self._gauge(
            "database_connections", "Open connections to PostgreSQL, by use.", "livesum", "use"
        )
        self.database_errors = self._counter(
            "database_errors", "Errors from PostgreSQL, by SQLSTATE class.", "sqlstate_class"
        )
        self.journal_tail_lag_seconds = self._gauge(
            "journal_tail_lag_seconds",
            "Seconds from a change until the availability of the slowest worker showed it, lately.",
            "livemax",
        )

    def _define_house(self) -> None:
        self.holds_expired = self._counter(
            "holds_expired", "Holds returned to stock because their time was over."
        )
        self.expirer_lag_seconds = self._gauge(
            "expirer_lag_seconds",
            "Seconds by which the oldest open hold is past due at the expirer's last turn.",
            "livemax",
        )
        self.loop_failures = self._counter(
            "loop_failures", "Turns of a background loop that ended in an error.", "loop"
        )
        self.set_aside = self._gauge(
            "set_aside",
            "Parts that cannot be read and are set aside, by kind: rooms, sales and so on.",
            "livemax",
            "kind",
        )
        self.selling_stopped = self._gauge(
            "selling_stopped",
            "1 while a worker takes no new holds for this reason, which answers and log name, too.",
            "livemax",
            "reason",
        )
        self.clock_stepped_back = self._counter(
            "clock_stepped_back", "Times that PostgreSQL's clock was seen to go backwards."
        )
        self.log_lines_dropped = self._counter(
            "log_lines_dropped", "Log lines lost because nothing took them off our hands in time."
        )

    def _define_rooms(self) -> None:
        self.room_commands = self._counter(
            "room_commands",
            "What rooms' lanes answered, by command and outcome: joined are places issued.",
            "command",
            "outcome",
        )
        self.room_challenges_unverified = self._counter(
            "room_challenges_unverified",
            "Joins whose challenge could not be verified, by kind: its service is away.",
            "kind",
        )
        self.room_polls = self._counter("room_polls", "State documents served from memory.")
        self.room_called = self._counter("room_called", "Numbers called by this process as leader.")
        self.room_streams = self._gauge(
            "room_streams", "Streams of room events that are open.", "livesum"
        )
        self.room_issued = self._gauge(
            "room_issued",
            "The highest number given in the present epoch, by room.",
            "livemax",
            "room",
        )
        self.room_serving = self._gauge(
            "room_serving", "Numbers up to this one may enter, by room.", "livemax", "room"
        )
        self.room_waiting = self._gauge(
            "room_waiting",
            "Length of the line: numbers given and not called, by room.",
            "livemax",
            "room",
        )
        self.room_live = self._gauge(
            "room_live", "Passes that occupy a slot, by room.", "livemax", "room"
        )
        self.room_capacity = self._gauge(
            "room_capacity", "Slots there are at the moment, by room.", "livemax", "room"
        )
        self.room_health = self._gauge(
            "room_health",
            "Target over measured, the worst of all sources, by room.",
            "livemin",
            "room",
        )
        self.room_halted = self._gauge(
            "room_halted",
            "1 for the reason why a room admits nobody at the moment, 0 for all others.",
            "livemax",
            "room",
            "reason",
        )
        self.room_leads = self._gauge(
            "room_leads", "1 in the one process that calls the next in line.", "livesum"
        )
        self.room_step_lag_seconds = self._gauge(
            "room_step_lag_seconds", "Seconds between the leader's last two steps.", "livemax"
        )

    def _counter(self, name: str, sentence: str, *labels: str) -> Counter:
        return Counter(f"sunseo_{name}", sentence, labels, registry=self._registry)

    def _gauge(self, name: str, sentence: str, across: str, *labels: str) -> Gauge:
        """Define a gauge; `across` says how several processes' values become one."""
        return Gauge(
            f"sunseo_{name}",
            sentence,
            labels,
            registry=self._registry,
            multiprocess_mode=across,  # type: ignore[arg-type]  # the library's literal type is private
        )

    def _histogram(
        self, name: str, sentence: str, buckets: tuple[float, ...], *labels: str
    ) -> Histogram:
        return Histogram(
            f"sunseo_{name}", sentence, labels, buckets=buckets, registry=self._registry
        )


class _Directory(CollectorRegistry):
    """A registry of nothing but the shared files."""

    def __init__(self, directory: Path) -> None:
        super().__init__()
        MultiProcessCollector(self, str(directory))  # type: ignore[no-untyped-call]  # untyped library
