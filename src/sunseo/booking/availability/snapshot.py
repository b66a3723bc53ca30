"""How much of a sale is free, in memory: pure, kept current from the journal's events alone.

A seat's state takes two bits: 0 free, 1 held, 2 sold. The bitmap of an occasion is its seats in
ascending order of their numbers, four to a byte, the first in the lowest bits: 50,000 seats are
12,500 bytes.
"""

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Sequence

import msgspec

from sunseo.core.clock import Instant
from sunseo.journal.events import (
    Event,
    HoldExpired,
    HoldPlaced,
    HoldReleased,
    HoldRenewed,
    OrderConfirmed,
    SalePaused,
    SaleResumed,
)

FREE, HELD, SOLD = 0, 1, 2
SEATS_PER_BYTE = 4

_DIGITS = [
    "".join(str((byte >> (2 * place)) & 3) for place in range(SEATS_PER_BYTE))
    for byte in range(256)
]


class SeatMap:
    """The seats of one occasion."""

    def __init__(self, occasion: int, seats: Sequence[int], states: str) -> None:
        """Take seat numbers ascending, and one digit of state for each."""
        self.occasion = occasion
        self._counts = [states.count("0"), states.count("1"), states.count("2")]
        self._seats = array("i", seats)
        # The digits of one number to the base of four, which Python reads at once.
        packed = int(states[::-1] or "0", 4)
        self._bitmap = bytearray(packed.to_bytes(-(-len(states) // SEATS_PER_BYTE), "little"))

    def __len__(self) -> int:
        return len(self._seats)

    @property
    def counts(self) -> tuple[int, int, int]:
        """How many are free, held and sold."""
        free, held, sold = self._counts
        return free, held, sold

    @property
    def bitmap(self) -> bytes:
        return bytes(self._bitmap)

    @property
    def digits(self) -> str:
        """One digit a seat, in the same order as the bitmap."""
        return "".join([_DIGITS[byte] for byte in self._bitmap])[: len(self)]

    def set(self, seat: int, state: int) -> bool:
        """Note a seat's state; returns whether the seat belongs to this occasion."""
        at = bisect_left(self._seats, seat)
        if at == len(self._seats) or self._seats[at] != seat:
            return False
        byte, shift = at // SEATS_PER_BYTE, 2 * (at % SEATS_PER_BYTE)
        before = (self._bitmap[byte] >> shift) & 3
        self._bitmap[byte] = self._bitmap[byte] & ~(3 << shift) | state << shift
        self._counts[before] -= 1
        self._counts[state] += 1
        return True


class StockLevel(msgspec.Struct):
    stock: int
    occasion: int
    name: str
    capacity: int
    held: int
    sold: int
    starts_at: Instant | None = None
    ends_at: Instant | None = None

    @property
    def free(self) -> int:
        return self.capacity - self.held - self.sold


class ReloadError(Exception):
    """The events do not tell enough: the snapshot has to be read from the tables again."""


class Snapshot:
    """One sale's availability at one version."""

    def __init__(
        self,
        version: int,
        seat_maps: Iterable[SeatMap],
        stocks: Iterable[StockLevel],
        *,
        paused: bool,
        catalogue_version: int = 0,
    ) -> None:
        self.version = version
        self.catalogue_version = catalogue_version  # no event changes it without a reload
        self.paused = paused
        self.seat_maps = {seat_map.occasion: seat_map for seat_map in seat_maps}
        self.stocks = {level.stock: level for level in stocks}
        self.stocks_of: dict[int, list[StockLevel]] = {}
        for level in self.stocks.values():
            self.stocks_of.setdefault(level.occasion, []).append(level)

    def advance(self, version: int, events: Sequence[Event] | None) -> None:
        """Apply the journal's next row.

        Raises:
            ReloadError: a row is missing in between, or an event changed what is on offer, or is
                of a kind that this version does not know.
        """
        if version != self.version + 1 or events is None:
            raise ReloadError
        for event in events:
            self._apply(event)
        self.version = version

    def _apply(self, event: Event) -> None:
        match event:
            case HoldPlaced(seats=seats, draws=draws):
                self._move(seats, draws, HELD, held=1, sold=0)
            case HoldReleased(seats=seats, draws=draws) | HoldExpired(seats=seats, draws=draws):
                self._move(seats, draws, FREE, held=-1, sold=0)
            case OrderConfirmed(seats=seats, draws=draws):
                self._move(seats, draws, SOLD, held=-1, sold=1)
            case HoldRenewed():
                pass
            case SalePaused():
                self.paused = True
            case SaleResumed():
                self.paused = False
            case _:
                raise ReloadError

    def _move(
        self,
        seats: Iterable[int],
        draws: Iterable[tuple[int, int]],
        state: int,
        *,
        held: int,
        sold: int,
    ) -> None:
        for seat in seats:
            if not any(seat_map.set(seat, state) for seat_map in self.seat_maps.values()):
                raise ReloadError
        for stock, units in draws:
            level = self.stocks.get(stock)
            if level is None:
                raise ReloadError
            level.held += held * units
            level.sold += sold * units
