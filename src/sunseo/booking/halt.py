"""What stops all selling of a server: each reason by its own name, wherever it is told.

State       Which reasons there are now, as last told.
Guarantee   Answer, log, metric and readiness use one name for one reason. A reason that comes or
            goes is a line in the log.
"""

from collections.abc import Callable, Iterable

from sunseo.booking.commands import PlaceHoldOutcome

REASONS = (
    PlaceHoldOutcome.DISK_NEARLY_FULL,
    PlaceHoldOutcome.DISK_UNREADABLE,
    PlaceHoldOutcome.ROOMS_NOT_READ,
)
"""In the order in which they are told, where there is more than one."""


class SellingHalt:
    """That of one process.

    Args:
        reasons: what stops selling now.
        say: writes a warning: an event's name, and what else is known of it.
        count: told 1 or 0 for each reason, by its name.
    """

    def __init__(
        self,
        reasons: Callable[[], Iterable[PlaceHoldOutcome]],
        say: Callable[..., object],
        count: Callable[[str, int], object],
    ) -> None:
        self._reasons = reasons
        self._say = say
        self._count = count
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
            self._count(name, int(reason in reasons))
            if reason in reasons - self._told:
                self._say("selling_stopped", reason=name)
            elif reason in self._told - reasons:
                self._say("selling_goes_on", reason=name)
        self._told = reasons

    def check(self, *reasons: PlaceHoldOutcome) -> bool | str:
        """For readiness: true, or the name and sentence of the first of these reasons."""
        found = set(self._reasons())
        said = (f"{one.code}: {one.sentence}" for one in reasons if one in found)
        return next(said, True)
