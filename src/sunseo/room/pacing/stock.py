"""What a room's sale has left, as far as it concerns how many are called."""

from collections.abc import Awaitable, Callable

import msgspec

from sunseo.room.board.board import RoomView
from sunseo.room.pacing.pacing import buy_share


class RemainingStock(msgspec.Struct, frozen=True):
    """What a room's sale has: units not yet sold, those on hold included, and units sold."""

    units_left: int
    sold: int


StockOf = Callable[[int], Awaitable[RemainingStock | None]]


async def no_stock(_sale: int) -> RemainingStock | None:
    return None


def share_of_buyers(view: RoomView, stock: RemainingStock | None, sold_before: int | None) -> float:
    """Of those who have left, how many bought, as far as the units sold since can tell."""
    if stock is None or sold_before is None:
        return 1.0
    bought = max(0, stock.sold - sold_before) / view.settings.units_per_buyer
    buyers = int(min(bought, view.departed + 1))  # a tiny divisor makes it infinite
    return buy_share(buyers, view.departed)
