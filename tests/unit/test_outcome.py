"""Outcomes: closed sets of answers, each with a kind, a sentence and a name on the wire."""

from enum import unique

import pytest

from sunseo.booking.commands import PlaceHoldOutcome
from sunseo.core.outcome import Kind, Outcome


def test_a_member_has_kind_sentence_and_code() -> None:
    """What the outer layers need is in the member itself."""
    taken = PlaceHoldOutcome.SEAT_TAKEN

    assert taken.kind is Kind.CONFLICT
    assert taken.sentence == "Somebody else has at least one of these seats."
    assert taken.code == "seat_taken"


def test_two_members_may_not_say_the_same() -> None:
    """A second name for one answer would be an alias that nobody notices."""
    with pytest.raises(ValueError, match="duplicate"):

        @unique
        class Twice(Outcome):
            ONE = Kind.DONE, "Done."
            TWO = Kind.DONE, "Done."


@pytest.mark.parametrize("kind", Kind)
def test_success_is_done_replayed_or_waiting(kind: Kind) -> None:
    """A replay is as good as the first time, and who only has to wait is not refused."""
    assert kind.is_success == (kind in {Kind.DONE, Kind.REPLAYED, Kind.WAITING})
