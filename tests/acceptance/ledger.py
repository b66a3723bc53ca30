"""What the journal says happened, replayed one event after the other, and what that explains.

Written apart from the engine's rules. A point is a moment between two events; point 0 is before
the first one. A call is explained if what it was told was true at one of the points between its
beginning and its end.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

import msgspec

ROUNDING_MS = 2  # times travel through floats and whole milliseconds


class Story(msgspec.Struct):
    """One hold's life."""

    person: UUID
    seats: list[int]
    draws: dict[int, int]
    units: int
    amount: int
    placed: int  # point
    expiries: list[tuple[int, int]]  # from which point on, until when
    ended: int | None = None
    end: str = ""

    def state(self, point: int) -> str | None:
        if point < self.placed:
            return None
        return "open" if self.ended is None or point < self.ended else self.end

    def expires_ms(self, point: int) -> int:
        return [until for since, until in self.expiries if since <= point][-1]

    def renewals(self, point: int) -> int:
        return sum(since <= point for since, _ in self.expiries) - 1

    def may_stand(self, point: int, earliest_ms: int) -> bool:
        """Whether it may have counted for somebody who decided then or later."""
        state = self.state(point)
        if state == "open":
            return self.expires_ms(point) > earliest_ms - ROUNDING_MS
        return state == "ordered"


class Rules(msgspec.Struct, frozen=True):
    ttl_ms: int
    renewals_max: int
    person_limit: int
    capacities: Mapping[int, int]
    products: Mapping[int, Mapping[int, int]]


class Ledger:
    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.holds: dict[UUID, Story] = {}
        self.orders: dict[UUID, UUID] = {}
        self.point = 0
        self.end_of: dict[int, int] = {}  # version: the point after its last event
        self.standing: list[frozenset[UUID]] = [frozenset()]
        self.renewed: Counter[UUID] = Counter()

    def replay(self, rows: Iterable[tuple[int, int, list[dict[str, Any]]]]) -> None:
        """Take rows of version, time and events; each event must have been possible then."""
        for version, recorded_ms, events in rows:
            assert version == len(self.end_of) + 1, "versions have a gap"
            for event in events:
                self.point += 1
                now = set(self.standing[-1])
                self._apply(event, recorded_ms, now)
                self.standing.append(frozenset(now))
            self.end_of[version] = self.point

    def points(self, first_version: int, last_version: int) -> range:
        return range(self.end_of[first_version], self.end_of[last_version] + 1)

    def owners(self, point: int) -> dict[int, UUID]:
        return {seat: hold for hold in self.standing[point] for seat in self.holds[hold].seats}

    def _apply(self, event: dict[str, Any], now_ms: int, standing: set[UUID]) -> None:
        match event["type"]:
            case "HoldPlaced":
                self._place(event, now_ms, standing)
            case "HoldRenewed":
                self._renew(event, now_ms)
            case "HoldReleased":
                standing.remove(self._end(event, "released", now_ms))
            case "HoldExpired":
                standing.remove(self._end(event, "expired", now_ms))
            case "OrderConfirmed":
                hold = self._end(event, "ordered", now_ms)
                order = UUID(event["order"])
                assert order not in self.orders, "one order was confirmed twice"
                assert self.holds[hold].amount == event["amount"] == 0, "sold without payment"
                self.orders[order] = hold

    def _place(self, event: dict[str, Any], now_ms: int, standing: set[UUID]) -> None:
        hold = UUID(event["hold"])
        assert hold not in self.holds, "one hold was placed twice"
        story = Story(
            person=UUID(event["person"]),
            seats=event["seats"],
            draws=dict(event["draws"]),
            units=event["units"],
            amount=event["amount"],
            placed=self.point,
            expiries=[(self.point, event["expires_at"])],
        )
        taken = {seat for other in standing for seat in self.holds[other].seats}
        assert not taken & set(story.seats), "a seat has two owners"
        assert story.seats or story.draws
        for stock, units in story.draws.items():
            assert self.drawn(standing, stock) + units <= self.rules.capacities[stock], "oversold"
        used = self.used(standing, story.person)
        assert used + story.units <= self.rules.person_limit, "a person has more than the limit"
        assert abs(event["expires_at"] - now_ms - self.rules.ttl_ms) <= ROUNDING_MS
        self.holds[hold] = story
        standing.add(hold)

    def _renew(self, event: dict[str, Any], now_ms: int) -> None:
        hold = UUID(event["hold"])
        story = self.holds[hold]
        assert story.state(self.point - 1) == "open"
        assert now_ms <= story.expires_ms(self.point) + ROUNDING_MS, "renewed when it was over"
        assert story.renewals(self.point) < self.rules.renewals_max
        assert abs(event["expires_at"] - now_ms - self.rules.ttl_ms) <= ROUNDING_MS
        story.expiries.append((self.point, event["expires_at"]))
        self.renewed[hold] += 1

    def _end(self, event: dict[str, Any], end: str, now_ms: int) -> UUID:
        hold = UUID(event["hold"])
        story = self.holds[hold]
        assert story.ended is None, f"{hold} has ended twice"
        assert event["seats"] == story.seats
        assert dict(map(tuple, event["draws"])) == story.draws
        over = story.expires_ms(self.point)
        if end == "expired":
            assert now_ms >= over - ROUNDING_MS, "expired before its time"
        else:
            assert now_ms <= over + ROUNDING_MS, f"{end} when it was over"
        story.ended, story.end = self.point, end
        return hold

    def drawn(self, standing: Iterable[UUID], stock: int) -> int:
        return sum(self.holds[hold].draws.get(stock, 0) for hold in standing)

    def used(self, standing: Iterable[UUID], person: UUID) -> int:
        return sum(self.holds[hold].units for hold in standing if self.holds[hold].person == person)
