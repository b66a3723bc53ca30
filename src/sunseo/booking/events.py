"""What happened to holds, in the past tense, as the journal keeps it.

Every event has a `type` and its version `v`, and names all that a reader needs to follow along
without asking the database: availability is kept current from these alone.
"""

from typing import Any

from sunseo.booking.hall import Hold
from sunseo.core.clock import to_millis

Event = dict[str, Any]


def hold_placed(hold: Hold) -> Event:
    return _hold_event("HoldPlaced", hold) | {
        "person": hold.person,
        "units": hold.units,
        "amount": hold.amount,
        "expires_at": to_millis(hold.expires_at),
    }


def hold_released(hold: Hold) -> Event:
    return _hold_event("HoldReleased", hold)


def hold_expired(hold: Hold) -> Event:
    return _hold_event("HoldExpired", hold)


def hold_renewed(hold: Hold) -> Event:
    return {
        "type": "HoldRenewed",
        "v": 1,
        "hold": hold.hold,
        "expires_at": to_millis(hold.expires_at),
    }


def _hold_event(name: str, hold: Hold) -> Event:
    return {
        "type": name,
        "v": 1,
        "hold": hold.hold,
        "seats": hold.seats,
        "draws": hold.draws,
    }
