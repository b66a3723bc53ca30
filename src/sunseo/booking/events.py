"""What the journal is told of holds: see `journal.events`."""

from sunseo.booking.inventory import Hold
from sunseo.core.clock import to_millis
from sunseo.journal.events import HoldExpired, HoldPlaced, HoldReleased, HoldRenewed


def hold_placed(hold: Hold) -> HoldPlaced:
    return HoldPlaced(
        hold=hold.hold,
        seats=hold.seats,
        draws=hold.draws,
        person=hold.person,
        units=hold.units,
        amount=hold.amount,
        expires_at=to_millis(hold.expires_at),
    )


def hold_released(hold: Hold) -> HoldReleased:
    return HoldReleased(hold=hold.hold, seats=hold.seats, draws=hold.draws)


def hold_expired(hold: Hold) -> HoldExpired:
    return HoldExpired(hold=hold.hold, seats=hold.seats, draws=hold.draws)


def hold_renewed(hold: Hold) -> HoldRenewed:
    return HoldRenewed(hold=hold.hold, expires_at=to_millis(hold.expires_at))
