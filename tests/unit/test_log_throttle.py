"""Complaints in the log: what is new at once, what goes on after ever longer pauses."""

from typing import Any

from sunseo.telemetry.log_throttle import LogThrottle
from sunseo.telemetry.metrics import Metrics
from sunseo.telemetry.troubles import Troubles


class Log:
    def __init__(self) -> None:
        self.now = 0.0
        self.lines: list[tuple[str, dict[str, Any]]] = []
        self.throttle = LogThrottle(self.say, every_s=1.0, monotonic=lambda: self.now)

    def say(self, event: str, **about: Any) -> None:
        self.lines.append((event, about))


def test_the_same_is_said_after_a_second_and_counted() -> None:
    """Ten failures within a second are two lines, and the second says how many it stands for."""
    log = Log()
    for tenth in range(11):
        log.now = tenth / 10
        log.throttle.log("flush_failed", OSError("refused"))

    assert log.lines == [
        ("flush_failed", {"error": "OSError: refused"}),
        ("flush_failed", {"error": "OSError: refused", "held_back": 9}),
    ]


def test_what_is_new_is_said_at_once() -> None:
    """Another event, another error or another loop is another complaint."""
    log = Log()
    log.throttle.log("loop_failed", OSError("refused"), loop="expirer")
    log.throttle.log("loop_failed", OSError("refused"), loop="availability")
    log.throttle.log("loop_failed", ValueError("odd"), loop="expirer")
    log.throttle.log("flush_failed", OSError("refused"))

    assert len(log.lines) == 4


def test_what_goes_on_is_said_after_ever_longer_pauses() -> None:
    """Half an hour of failing ten times a second is some dozens of lines; every one is counted."""
    log = Log()
    moments = []
    for tenth in range(18_000):
        log.now = tenth / 10
        before = len(log.lines)
        log.throttle.log("loop_failed", OSError("refused"), loop="expirer")
        if len(log.lines) > before:
            moments.append(round(log.now))

    assert moments[:9] == [0, 1, 3, 7, 15, 31, 63, 123, 183]
    assert len(moments) < 40


def test_what_was_over_is_new_again() -> None:
    """Taken back, or unheard for longer than any loop's turn: the next one is said at once."""
    log = Log()
    for now, taken_back in ((0.0, False), (0.5, True), (0.6, False), (100.0, False)):
        log.now = now
        log.throttle.log("loop_failed", OSError("refused"))
        if taken_back:
            assert log.throttle.take_back("loop_failed")

    assert not log.throttle.take_back("flush_failed")
    assert [about for _, about in log.lines] == 3 * [{"error": "OSError: refused"}]


def test_a_database_that_is_away_is_one_line_whoever_misses_it() -> None:
    """It names the database and the trouble; that it answers again is said once; others stay."""
    lines: list[tuple[str, dict[str, Any]]] = []
    troubles = Troubles(
        Metrics(),
        lambda event, **about: lines.append((event, about)),
        "the database x",
    )

    for _ in range(3):
        troubles.judge(ConnectionRefusedError(111, "refused"))
        troubles.note_failure("expirer", ConnectionRefusedError(111, "refused"))
        troubles.note_failure("room_board", ConnectionResetError("reset"))
    troubles.note_failure("expirer", ValueError("odd"))
    away = troubles.is_away
    troubles.note_answer()
    troubles.note_answer()

    assert [event for event, _ in lines] == [
        "database_unavailable",
        "loop_failed",
        "database_available_again",
    ]
    assert lines[0][1] == {
        "error": "ConnectionRefusedError: [Errno 111] refused",
        "database": "the database x",
        "trouble": "PostgreSQL cannot be reached, or the connection was lost.",
    }
    assert (away, troubles.is_away) == (True, False)
