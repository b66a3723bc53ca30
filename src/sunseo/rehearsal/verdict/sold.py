"""Whether anything was sold twice, beyond the stock, or beyond what one person may have: pure."""

from collections import Counter, defaultdict

from sunseo.rehearsal.verdict.evidence import Evidence, Fact, Findings


def _sold_twice(orders: dict[str, tuple[int, ...]], where: str) -> list[Fact]:
    owners: dict[int, list[str]] = defaultdict(list)
    for order, seats in orders.items():
        for seat in seats:
            owners[seat].append(order)
    return [{"seat": seat, where: sorted(own)} for seat, own in owners.items() if len(own) > 1]


def one_owner(evidence: Evidence) -> Findings:
    """No seat is in two orders, neither of those told nor of those stored."""
    told = {order.order: order.seats for order in evidence.ledger.ordered}
    faults = _sold_twice(told, "told")
    looked_at = sum(map(len, told.values()))
    if evidence.stored is not None:
        stored = {order: found.seats for order, found in evidence.stored.orders.items()}
        faults += _sold_twice(stored, "stored")
        looked_at += sum(map(len, stored.values()))
    return looked_at, faults


def within_stock(evidence: Evidence) -> Findings:
    """No stock was sold beyond what there was: neither by what was told nor by what is stored."""
    ledger, stored, units = evidence.ledger, evidence.stored, evidence.units
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


def within_limit(evidence: Evidence) -> Findings:
    """Nobody has ordered more in a sale than one person may have."""
    ledger, stored, limit = evidence.ledger, evidence.stored, evidence.person_limit
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


def orders_told(evidence: Evidence) -> Findings:
    """Every stored order was told to its buyer, at once or when she asked again with her key."""
    if evidence.stored is None or not evidence.whole:
        return None
    told = {order.order for order in evidence.ledger.ordered}
    return len(evidence.stored.orders), [
        {"order": order, "person": found.person}
        for order, found in evidence.stored.orders.items()
        if order not in told
    ]
