"""What a worker runs into: counted, and said so that a person sees what it comes to.

State       Whether the database was last heard to be away.
Guarantee   A database that is away is one line, whoever has missed it, and then a line after ever
            longer pauses; that it answers again is a line, too. What else fails is said by whom.
"""

from collections.abc import Callable

from sunseo.core.later import Fault
from sunseo.postgres.errors import fault_of, sqlstate_class_of, trouble_of
from sunseo.telemetry.log_throttle import LogThrottle
from sunseo.telemetry.metrics import Metrics

UNAVAILABLE, AGAIN = "database_unavailable", "database_available_again"


class Troubles:
    """Those of one process.

    Args:
        metrics: count them.
        say: writes a warning: an event's name, and what else is known of it.
        place: what people call the database; it holds no password.
    """

    def __init__(self, metrics: Metrics, say: Callable[..., object], place: str) -> None:
        self._metrics = metrics
        self._say = say
        self._place = place
        self._throttle = LogThrottle(say)

    def judge(self, error: Exception) -> Fault:
        """Note what a flush ran into, and say whose fault it is."""
        self._metrics.database_errors.labels(sqlstate_class_of(error)).inc()
        self._log("flush_failed", error)
        return fault_of(error)

    def note_failure(self, loop: str, error: Exception) -> None:
        """Note what a background loop ran into."""
        self._metrics.loop_failures.labels(loop).inc()
        if trouble_of(error) is not None:
            self._metrics.database_errors.labels(sqlstate_class_of(error)).inc()
        self._log("loop_failed", error, loop=loop)

    @property
    def is_away(self) -> bool:
        """Whether that is what was last said of the database."""
        return self._throttle.has(UNAVAILABLE)

    def note_answer(self) -> None:
        """Note that the database takes our work, and say so where it did not."""
        if self._throttle.take_back(UNAVAILABLE):
            self._say(AGAIN, database=self._place)

    def _log(self, event: str, error: Exception, **about: str) -> None:
        trouble = trouble_of(error)
        if trouble is None or not trouble.goes_with_connection:
            self._throttle.log(event, error, **about)
            return
        self._throttle.log(
            UNAVAILABLE, error, same=trouble.name, database=self._place, trouble=trouble.value
        )
