"""Compare what buyers were told with what is in the database.

Everything that was acknowledged must be there, with the same content; everything that is there
must have been acknowledged, since buyers ask until they are answered; and nothing is there twice.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from chaos.asking import Answered

HOLDS = """
SELECT sale, hold, state, seats, products, product_quantities, renewals, expires_at, ended_at
FROM holds
WHERE sale = ANY($1::bigint[])
"""
ORDERS = "SELECT order_id, hold, amount, confirmed_at FROM orders WHERE sale = ANY($1::bigint[])"
OWNERS = "SELECT seat, hold FROM seats WHERE hold IS NOT NULL AND sale = ANY($1::bigint[])"
EVENTS = """
SELECT event ->> 'type' AS type, event ->> 'hold' AS hold, count(*) AS times
FROM journal, jsonb_array_elements(events) AS event
WHERE event ? 'hold' AND kind = 'sale' AND stream = ANY($1::bigint[])
GROUP BY 1, 2
"""

ONCE = ("HoldPlaced", "HoldReleased", "HoldExpired", "OrderConfirmed")


@dataclass(frozen=True)
class Findings:
    """What the comparison found; sentences, one a finding."""

    acknowledged: int
    """Effects that buyers were told of: holds, renewals, releases and orders."""

    lost: list[str]
    duplicated: list[str]
    units_owned: int


async def audit(dsn: str, answered: Sequence[Answered], sales: Sequence[int]) -> Findings:
    """Compare all answers of a crowd with these sales, in which nobody else has bought."""
    connection = await asyncpg.connect(dsn)
    try:
        # As of one moment: holds go on expiring while we look.
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            holds = {row["hold"]: row for row in await connection.fetch(HOLDS, sales)}
            orders = {row["order_id"]: row for row in await connection.fetch(ORDERS, sales)}
            owners = await connection.fetch(OWNERS, sales)
            events = await connection.fetch(EVENTS, sales)
    finally:
        await connection.close()

    told = _Told(answered)
    lost = [
        *_lost_holds(told, holds),
        *_lost_orders(told, orders),
        *_lost_seats(told, holds, owners),
    ]
    duplicated = [
        *_unasked(told, holds, orders),
        *_twice_in_journal(events),
        *_twice_owned(holds),
    ]
    return Findings(told.effects, lost, duplicated, len(owners))


class _Told:
    """What buyers know, by hold and by order."""

    def __init__(self, answered: Iterable[Answered]) -> None:
        self.held: dict[UUID, Answered] = {}
        self.ordered: dict[UUID, Answered] = {}
        self.last: dict[UUID, str] = {}
        self.renewed: Counter[UUID] = Counter()
        self.same_id: list[str] = []
        self.effects = 0
        for answer in answered:
            if answer.is_success:
                self.effects += 1
                self._note(answer)

    def _note(self, answer: Answered) -> None:
        hold = UUID(answer.body["hold"])
        verb = answer.intent.verb
        if verb == "holds":
            if hold in self.held:
                self.same_id.append(f"two intents were given the same hold {hold}")
            self.held[hold] = answer
        elif verb == "orders":
            order = UUID(answer.body["order"])
            if order in self.ordered:
                self.same_id.append(f"two intents were given the same order {order}")
            self.ordered[order] = answer
        elif verb == "renew":
            self.renewed[hold] += 1
        if verb != "renew":
            self.last[hold] = verb


STATES = {"holds": {"open", "expired"}, "orders": {"ordered"}, "release": {"released"}}


def _lost_holds(told: _Told, holds: dict[UUID, Any]) -> Iterable[str]:
    for hold, answer in told.held.items():
        row = holds.get(hold)
        if row is None:
            yield f"hold {hold} was acknowledged and is not there"
            continue
        products = [
            {"product": product, "quantity": quantity}
            for product, quantity in zip(row["products"], row["product_quantities"], strict=True)
        ]
        if (row["seats"], products) != (answer.body["seats"], answer.body["products"]):
            yield f"hold {hold} claims other units than was acknowledged"
        if row["state"] not in STATES[told.last[hold]]:
            yield f"hold {hold} is {row['state']} after {told.last[hold]} was acknowledged"
        if row["state"] == "expired" and row["ended_at"] < row["expires_at"]:
            yield f"hold {hold} expired before its time"
        if len(row["renewals"]) < told.renewed[hold]:
            yield f"hold {hold} lacks a renewal that was acknowledged"


def _lost_orders(told: _Told, orders: dict[UUID, Any]) -> Iterable[str]:
    for order, answer in told.ordered.items():
        row = orders.get(order)
        if row is None:
            yield f"order {order} was acknowledged and is not there"
            continue
        kept = (str(row["hold"]), row["amount"], row["confirmed_at"])
        body = answer.body
        if kept != (body["hold"], body["amount"], datetime.fromisoformat(body["confirmed_at"])):
            yield f"order {order} is not as it was acknowledged"


def _lost_seats(
    told: _Told, holds: dict[UUID, Any], owners: Sequence[asyncpg.Record]
) -> Iterable[str]:
    """Whoever owns a hold that lives owns its seats, and nobody else does."""
    seats_of: dict[UUID, list[int]] = {}
    for owner in owners:
        seats_of.setdefault(owner["hold"], []).append(owner["seat"])
    for hold in told.held:
        row = holds.get(hold)
        owned = sorted(seats_of.get(hold, []))
        if (
            row is not None
            and row["state"] in ("open", "ordered")
            and owned != sorted(row["seats"])
        ):
            yield f"hold {hold} is {row['state']} and owns {owned} instead of {row['seats']}"
        if row is not None and row["state"] in ("released", "expired") and owned:
            yield f"hold {hold} is {row['state']} and still owns {owned}"


def _unasked(told: _Told, holds: dict[UUID, Any], orders: dict[UUID, Any]) -> Iterable[str]:
    """An effect that nobody was told of: somebody's intent took effect a second time."""
    yield from told.same_id
    for hold in holds.keys() - told.held.keys():
        yield f"hold {hold} is there, but was never acknowledged"
    for order in orders.keys() - told.ordered.keys():
        yield f"order {order} is there, but was never acknowledged"
    for hold, row in holds.items():
        if len(row["renewals"]) > told.renewed[hold]:
            yield f"hold {hold} was renewed more often than was acknowledged"


def _twice_in_journal(events: Iterable[asyncpg.Record]) -> Iterable[str]:
    for event in events:
        if event["type"] in ONCE and event["times"] != 1:
            yield f"{event['type']} of {event['hold']} is in the journal {event['times']} times"


def _twice_owned(holds: dict[UUID, Any]) -> Iterable[str]:
    """No seat may be claimed by two holds that live."""
    claims: dict[tuple[int, int], UUID] = {}
    for hold, row in holds.items():
        if row["state"] not in ("open", "ordered"):
            continue
        for seat in row["seats"]:
            other = claims.setdefault((row["sale"], seat), hold)
            if other != hold:
                yield f"seat {seat} of sale {row['sale']} has two owners, {other} and {hold}"
