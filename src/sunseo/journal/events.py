"""All that the journal can tell, in the past tense: one type an event.

What is stored is this, as JSON: an object with its `type`, its version `v`, and all that a reader
needs to follow along without asking the database; availability is kept current from these alone.
Moments are whole milliseconds since 1970, money is in minor units of the sale's currency.

A field may be added to an event if it has a default, under the same version. Whatever else changes
is a new type with a new `v`, beside the old one: rows that were written once are never written
again, and have to be read as long as they are kept.
"""

from collections.abc import Sequence
from typing import Literal
from uuid import UUID

import msgspec


class _Told(msgspec.Struct, frozen=True, gc=False, kw_only=True, tag_field="type", tag=True):
    v: Literal[1] = 1


class SaleCreated(_Told, frozen=True):
    name: str


class SaleChanged(_Told, frozen=True):
    changed: tuple[str, ...]  # fields by their paths, for instance `stocks[3].capacity`


class SeatsAdded(_Told, frozen=True):
    first_seat: int
    last_seat: int


class StocksAdded(_Told, frozen=True):
    stocks: tuple[int, ...]
    products: tuple[int, ...]


class SalePaused(_Told, frozen=True):
    pass


class SaleResumed(_Told, frozen=True):
    pass


class _Claim(_Told, frozen=True):
    """What a hold claims: seats, and pairs of stock and units."""

    hold: UUID
    seats: tuple[int, ...]
    draws: tuple[tuple[int, int], ...]


class HoldPlaced(_Claim, frozen=True):
    person: UUID
    units: int
    amount: int
    expires_at: int


class HoldReleased(_Claim, frozen=True):
    pass


class HoldExpired(_Claim, frozen=True):
    pass


class HoldRenewed(_Told, frozen=True):
    hold: UUID
    expires_at: int


class OrderConfirmed(_Claim, frozen=True):
    order: UUID
    person: UUID
    amount: int
    confirmed_at: int


Event = (
    SaleCreated
    | SaleChanged
    | SeatsAdded
    | StocksAdded
    | SalePaused
    | SaleResumed
    | HoldPlaced
    | HoldReleased
    | HoldExpired
    | HoldRenewed
    | OrderConfirmed
)

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(list[Event]).decode


def encode(events: Sequence[Event]) -> str:
    return _encode(events).decode()


def decode(stored: str) -> list[Event] | None:
    """Read a row's events; none where a newer version wrote one that this one does not know."""
    try:
        return _decode(stored)
    except msgspec.ValidationError:
        return None
