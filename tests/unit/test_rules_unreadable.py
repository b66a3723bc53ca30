"""What is stored of a room or a seat and cannot be read: the rules answer for that part alone."""

import msgspec

from sunseo.booking.commands import PlaceHoldOutcome, RoomAdmission
from sunseo.booking.rules import HoldAnswer
from sunseo.core.later import LaterOutcome
from tests.paper_inventory import OPENING, PaperLane, held, make_sale, place, standing


def test_where_the_room_cannot_be_read_nobody_is_told_to_queue_up() -> None:
    """A pass cannot be judged then, and that is what is said; what was held before is replayed."""
    sale = make_sale(seats={1: (1, 1), 2: (1, 1)})
    lane = PaperLane(sale)
    hold = held(lane, place(5, seats=(1,)))
    before = standing(sale)
    blind = RoomAdmission(9, None, is_known=False)
    new, again = (
        msgspec.structs.replace(place(number, seats=seats), admission=blind)
        for number, seats in ((6, (2,)), (5, (1,)))
    )

    assert lane.ask(new, OPENING) == HoldAnswer(LaterOutcome.UNREADABLE, room=9)
    assert standing(sale) == before
    replayed = lane.ask(again, OPENING)
    assert isinstance(replayed, HoldAnswer)
    assert (replayed.outcome, replayed.hold) == (PlaceHoldOutcome.REPLAYED, hold)


def test_a_seat_whose_price_nobody_knows_is_not_held() -> None:
    """A seat of a price class that the catalogue lacks stops neither the batch nor other seats."""
    sale = make_sale(seats={1: (1, 1), 2: (1, 1)})
    sale.seats[2].price_class = 99
    lane = PaperLane(sale)
    before = standing(sale)

    answer = lane.ask(place(5, seats=(1, 2)), OPENING)

    assert answer == HoldAnswer(LaterOutcome.UNREADABLE, seats=(2,))
    assert standing(sale) == before
    held(lane, place(6, seats=(1,)))
