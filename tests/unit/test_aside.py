"""What cannot be read is named at once, then ever more seldom, and counted."""

from itertools import pairwise
from typing import Any

from sunseo.telemetry.aside import FIRST_PAUSE_S, LONGEST_PAUSE_S, SetAside


class Heard:
    """Lines and counts, on a clock that a test sets."""

    def __init__(self) -> None:
        self.now = 0.0
        self.lines: list[tuple[str, dict[str, Any]]] = []
        self.counts: dict[str, int] = {}
        self.aside = SetAside(
            lambda event, **about: self.lines.append((event, about)),
            count=self.counts.__setitem__,
            monotonic=lambda: self.now,
        )


def test_it_is_said_at_once_and_then_with_growing_pauses() -> None:
    """Met every second for a day, one fault is said at once, and hourly in the end."""
    heard = Heard()
    said_at = []
    for second in range(24 * 3600):
        heard.now = float(second)
        before = len(heard.lines)
        heard.aside.put("room", 7, ValueError("no such zone"))
        if len(heard.lines) > before:
            said_at.append(heard.now)

    assert heard.lines[0] == ("set_aside", {"part": "room 7", "error": "ValueError: no such zone"})
    assert said_at[:4] == [0.0, FIRST_PAUSE_S, 3 * FIRST_PAUSE_S, 7 * FIRST_PAUSE_S]
    pauses = [later - sooner for sooner, later in pairwise(said_at)]
    assert max(pauses) == LONGEST_PAUSE_S
    assert heard.lines[1][1]["times"] == FIRST_PAUSE_S + 1


def test_parts_are_named_counted_and_taken_back() -> None:
    """A part that can be read again is said once more, and is in the list no longer."""
    heard = Heard()
    heard.aside.put("room", 7, ValueError("a"))
    heard.aside.put("room", 3, ValueError("b"))
    heard.aside.put("sale", 1, ValueError("c"))
    assert heard.aside.parts() == ["room 3", "room 7", "sale 1"]
    assert heard.counts == {"room": 2, "sale": 1}

    heard.aside.take_back("room", 7)
    heard.aside.take_back("room", 8)
    assert heard.aside.parts() == ["room 3", "sale 1"]
    assert heard.counts == {"room": 1, "sale": 1}
    assert [event for event, _ in heard.lines] == ["set_aside"] * 3 + ["read_again"]


def test_another_fault_of_the_same_part_is_news() -> None:
    """Whoever mends one setting hears of the next one at once."""
    heard = Heard()
    heard.aside.put("room", 7, ValueError("a"))
    heard.aside.put("room", 7, ValueError("b"))

    assert [about["error"] for _, about in heard.lines] == ["ValueError: a", "ValueError: b"]
    assert heard.counts == {"room": 1}
