"""Whether anything was sold twice, beyond the stock, or beyond what one person may have: pure."""

from collections import Counter, defaultdict

from sunseo.rehearsal.observe.ledger import Ledger
from sunseo.rehearsal.observe.stored import Stored

Fact = dict[str, object]
"""One fault, as names and values."""


def sold_twice(orders: dict[str, tuple[int, ...]], where: str) -> list[Fact]:
    owners: dict[int, list[str]] = defaultdict(list)
    for order, seats in orders.items():
        for seat in seats:
            owners[seat].append(order)
    return [{"seat": seat, where: sorted(own)} for seat, own in owners.items() if len(own) > 1]


def within_stock(ledger: Ledger, stored: Stored | None, units: int) -> tuple[int, list[Fact]]:
    """No stock was sold beyond what there was: neither by what was told nor by what is stored."""
    told = sum(quantity for order in ledger.ordered for _, quantity in order.products)
    faults: list[Fact] = []
    if told > units:
        faults.append({"told": told, "there were": units})
    if stored is None:
        return told, faults
    drawn: Counter[tuple[int, int]] = Counter()
    for order in stored.orders.values():
        for product, quantity in order.products:
            drawn[order.sale, product] += quantity
    for stock in stored.stocks:
        ordered = drawn[stock.sale, stock.stock]
        if ordered > stock.capacity or ordered != stock.sold:
            faults.append(
                {
                    "sale": stock.sale,
                    "stock": stock.stock,
                    "ordered": ordered,
                    "sold": stock.sold,
                    "there were": stock.capacity,
                }
            )
    return sum(drawn.values()), faults


def within_limit(ledger: Ledger, stored: Stored | None, limit: int) -> tuple[int, list[Fact]]:
    """Nobody has ordered more in a sale than one person may have."""
    told: Counter[int] = Counter()
    for order in {order.order: order for order in ledger.ordered}.values():
        told[order.visitor] += len(order.seats) + sum(quantity for _, quantity in order.products)
    faults: list[Fact] = [
        {"visitor": visitor, "units told": units}
        for visitor, units in told.items()
        if units > limit
    ]
    if stored is None:
        return len(told), faults
    owned: Counter[tuple[int, str]] = Counter()
    for found in stored.orders.values():
        owned[found.sale, found.person] += found.units
    faults += [
        {"person": person, "units stored": units}
        for (_, person), units in owned.items()
        if units > limit
    ]
    return len(owned), faults
