"""What stops all selling of a server: each reason by its own name, wherever it is told.

State       Which reasons there are now, as last told.
Guarantee   Answer, log, metric and readiness use one name for one reason. A reason that comes or
            goes is a line in the log.
"""

from collections.abc import Awaitable, Callable, Iterable

from prometheus_client import Gauge

from sunseo.booking.commands import PlaceHoldOutcome
from sunseo.postgres.disk import DiskState

REASONS = (
    PlaceHoldOutcome.DISK_NEARLY_FULL,
    PlaceHoldOutcome.DISK_UNREADABLE,
    PlaceHoldOutcome.ROOMS_NOT_READ,
)
"""In the order in which they are told, where there is more than one."""

OF_DISK = {
    DiskState.LOW: PlaceHoldOutcome.DISK_NEARLY_FULL,
    DiskState.UNREADABLE: PlaceHoldOutcome.DISK_UNREADABLE,
}


class SellingHalt:
    """That of one process.

    Args:
        reasons: what stops selling now.
        say: writes a warning: an event's name, and what else is known of it.
        gauge: set to 1 or 0 for each reason, by its name.
    """

    def __init__(
        self,
        reasons: Callable[[], Iterable[PlaceHoldOutcome]],
        say: Callable[..., object],
        gauge: Gauge,
    ) -> None:
        self._reasons = reasons
        self._say = say
        self._gauge = gauge
        self._told: set[PlaceHoldOutcome] = set()

    def first(self) -> PlaceHoldOutcome | None:
        """What a buyer is told, if anything stops selling now."""
        reasons = set(self._reasons())
        return next((reason for reason in REASONS if reason in reasons), None)

    def note(self) -> None:
        """Set the metric, and log what has come or gone since the last time."""
        reasons = set(self._reasons())
        for reason in REASONS:
            name = reason.code
            self._gauge.labels(name).set(reason in reasons)
            if reason in reasons - self._told:
                self._say("selling_stopped", reason=name)
            elif reason in self._told - reasons:
                self._say("selling_goes_on", reason=name)
        self._told = reasons

    def checking(self, *reasons: PlaceHoldOutcome) -> Callable[[], Awaitable[bool | str]]:
        """A check of readiness: true, or name and sentence of the first of these reasons."""

        async def check() -> bool | str:
            found = set(self._reasons())
            said = (f"{one.code}: {one.sentence}" for one in reasons if one in found)
            return next(said, True)

        return check
