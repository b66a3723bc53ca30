"""Complaints in the log: what is new at once, what goes on once a second."""

from typing import Any

from sunseo.telemetry.complaints import Complaints


class Log:
    def __init__(self) -> None:
        self.now = 0.0
        self.lines: list[tuple[str, dict[str, Any]]] = []
        self.complaints = Complaints(self.say, every_s=1.0, monotonic=lambda: self.now)

    def say(self, event: str, **about: Any) -> None:
        self.lines.append((event, about))


def test_the_same_is_said_once_a_second_and_counted() -> None:
    """Ten failures within a second are two lines, and the second says how many it stands for."""
    log = Log()
    for tenth in range(11):
        log.now = tenth / 10
        log.complaints.complain("flush_failed", OSError("refused"))

    assert log.lines == [
        ("flush_failed", {"error": "OSError: refused"}),
        ("flush_failed", {"error": "OSError: refused", "held_back": 9}),
    ]


def test_what_is_new_is_said_at_once() -> None:
    """Another event, another error or another loop is another complaint."""
    log = Log()
    log.complaints.complain("loop_failed", OSError("refused"), loop="expirer")
    log.complaints.complain("loop_failed", OSError("refused"), loop="availability")
    log.complaints.complain("loop_failed", ValueError("odd"), loop="expirer")
    log.complaints.complain("flush_failed", OSError("refused"))

    assert len(log.lines) == 4
