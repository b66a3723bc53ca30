"""Booking in a sale with a waiting room: without a pass, with somebody else's, with a dead one."""

import time
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from tests.attacks.attacker import (
    RING,
    Answer,
    Serving,
    Visitor,
    Wire,
    call_up_to,
    create_room,
    line_of,
    rows,
    seen_by_all,
    token,
    until,
)


class Buyer:
    """Somebody with an account who books, with or without a pass."""

    def __init__(self, wire: Wire, sale: int, name: str) -> None:
        self.wire = wire
        self.sale = sale
        self.name = name
        self.bearer = token(name)

    def hold(self, seat: int, ticket: str | None, key: str, *more: dict[str, str]) -> Answer:
        headers = {"idempotency-key": key}
        if ticket is not None:
            headers["sunseo-pass"] = ticket
        for one in more:
            headers |= one
        target = f"/v1/sales/{self.sale}/holds"
        return self.wire.ask("POST", target, {"seats": [seat]}, self.bearer, headers)

    def order(self, hold: str, ticket: str | None, key: str) -> Answer:
        headers = {"idempotency-key": key}
        if ticket is not None:
            headers["sunseo-pass"] = ticket
        target = f"/v1/sales/{self.sale}/orders"
        return self.wire.ask("POST", target, {"hold": hold}, self.bearer, headers)

    def read(self, what: str) -> Answer:
        return self.wire.ask("GET", f"/v1/sales/{self.sale}/{what}", None, self.bearer)


class House:
    """Two sales, each with a room, and passes for whoever is named."""

    def __init__(self, server: Serving, operator: str) -> None:
        self.server, self.operator = server, operator
        self.wire = Wire(server.port)
        self.sale = server.create_concert(operator)
        self.room = create_room(server, operator, sale=self.sale, capacity=1000)
        self.other_sale = server.create_concert(operator)
        self.other_room = create_room(server, operator, sale=self.other_sale, capacity=1000)

    def visitor(self, name: str, room: int | None = None) -> Visitor:
        """Inside, with an account."""
        visitor = Visitor(self.wire, room or self.room, token(name))
        assert visitor.join().status in (200, 201)
        call_up_to(self.server, room or self.room, visitor.number)
        assert visitor.enter().status == 201
        return visitor

    def buyer(self, name: str) -> Buyer:
        return Buyer(self.wire, self.sale, name)

    def holds(self) -> int:
        ((count,),) = rows(self.server, "SELECT count(*) FROM holds WHERE sale = $1", self.sale)
        return int(count)


@pytest.fixture(scope="module")
def house(server: Serving, operator: str) -> Iterator[House]:
    made = House(server, operator)
    yield made
    made.wire.close()


def refused(answer: Answer) -> bool:
    return (answer.status, answer.json["outcome"]) == (403, "pass_required")


def test_booking_without_a_pass(house: House) -> None:
    """Not by leaving it out, not by an empty one, not by one in another place of the request."""
    visitor = house.visitor("careless")
    buyer, before = house.buyer("careless"), house.holds()
    assert refused(buyer.hold(1, None, "k1"))
    assert refused(buyer.hold(1, "", "k2"))
    assert refused(buyer.hold(1, "null", "k3"))
    assert refused(buyer.hold(1, None, "k4", {"cookie": f"sunseo_pass={visitor.ticket}"}))
    assert refused(buyer.hold(1, None, "k5", {"sunseo-pass-id": "any", "x-sunseo-pass": "any"}))
    assert refused(buyer.hold(1, visitor.place, "k6"))
    assert refused(buyer.hold(1, visitor.nonce, "k7"))
    assert house.holds() == before


def test_booking_with_somebody_elses_pass(house: House) -> None:
    """A pass is its person's; bought, stolen or lent it books nothing for anybody else."""
    visitor = house.visitor("seller")
    before = house.holds()
    assert refused(house.buyer("customer").hold(1, visitor.ticket, "k1"))
    assert house.holds() == before
    assert house.buyer("seller").hold(1, visitor.ticket, "k1").status == 201


def test_booking_with_a_pass_of_another_sales_room(house: House) -> None:
    """A quiet sale next door gives passes to everybody, and they count next door only."""
    visitor = house.visitor("neighbour", house.other_room)
    before = house.holds()
    assert refused(house.buyer("neighbour").hold(2, visitor.ticket, "k1"))
    assert house.holds() == before
    assert (
        Buyer(house.wire, house.other_sale, "neighbour").hold(2, visitor.ticket, "k1").status == 201
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"expires_at_ms": -1_000},
        {"expires_at_ms": -60_000},
        {"epoch": 2},
        {"epoch": 0},
        {"account": False},
    ],
)
def test_booking_with_a_pass_that_is_over(house: House, changes: dict[str, Any]) -> None:
    """Genuinely signed, but expired, of another epoch, or of no account."""
    name = f"late {changes}"
    visitor = house.visitor(name)
    held = RING.open_pass(visitor.ticket, house.room)
    if "expires_at_ms" in changes:
        changes = {"expires_at_ms": round(time.time() * 1000) + changes["expires_at_ms"]}
    before = house.holds()
    ticket = RING.seal(msgspec.structs.replace(held, **changes))
    assert refused(house.buyer(name).hold(3, ticket, "late"))
    assert house.holds() == before


def test_booking_with_a_revoked_pass(house: House) -> None:
    """An operator takes it away: within a tick it books nothing, on either worker."""
    visitor = house.visitor("cheater")
    pass_id = str(RING.open_pass(visitor.ticket, house.room).pass_id)
    target = f"/v1/rooms/{house.room}/revoke"
    answer = house.server.ask("POST", target, {"pass_id": pass_id}, bearer=house.operator)
    assert answer.status == 200, answer
    seen_by_all(house.server, house.room, lambda state: pass_id in state["revoked"])
    before = house.holds()
    for number in range(4):
        buyer = Buyer(Wire(house.server.port), house.sale, "cheater")
        assert refused(buyer.hold(4, visitor.ticket, f"k{number}"))
        buyer.wire.close()
    assert house.holds() == before


def test_reading_and_replaying_need_no_pass(house: House) -> None:
    """Whose pass is over may read her own holds and orders, and repeat what was carried out."""
    visitor, buyer = house.visitor("reader"), house.buyer("reader")
    held = buyer.hold(5, visitor.ticket, "hold-once")
    assert held.status == 201
    hold = held.json["hold"]
    visitor.say("leave")

    replayed = buyer.hold(5, None, "hold-once")
    assert (replayed.status, replayed.json["hold"]) == (200, held.json["hold"])
    ordered = buyer.order(hold, None, "order-once")
    assert ordered.status == 201
    assert buyer.order(hold, None, "order-once").status == 200
    assert buyer.read("holds").status == buyer.read("orders").status == 200
    assert refused(buyer.hold(6, None, "another"))
    stranger = house.buyer("stranger")
    assert stranger.read("orders").json.get("orders", []) == []


def test_completed_order_frees_the_slot_at_once(house: House) -> None:
    """The order ends its pass; somebody else's pass sent along with an order ends nothing."""
    visitor, victim = house.visitor("quick"), house.visitor("bystander")
    buyer = house.buyer("quick")
    held = buyer.hold(7, visitor.ticket, "hold")
    hold = held.json["hold"]
    live = line_of(house.server, house.room)["live"]

    assert buyer.order(hold, victim.ticket, "order").status == 201
    assert buyer.order(hold, visitor.ticket, "order").status == 200
    until(lambda: line_of(house.server, house.room)["live"] == live - 1, "the slot is free")
    assert victim.say("renew").status == 200
    assert visitor.say("renew").json["outcome"] == "pass_done"


def test_who_has_ordered_may_queue_again(house: House) -> None:
    """Behind everybody who waits, and with a new pass, with which she books again."""
    visitor, buyer = house.visitor("regular"), house.buyer("regular")
    spent, first = visitor.ticket, visitor.number
    waiting = Visitor(house.wire, house.room, token("patient"))
    waiting.join()
    hold = buyer.hold(9, spent, "regular-hold").json["hold"]
    assert visitor.join().json["number"] == first
    assert buyer.order(hold, spent, "regular-order").status == 201
    until(lambda: visitor.say("renew").json["outcome"] == "pass_done", "the order ends the pass")

    assert visitor.join().status == 201
    assert visitor.number == waiting.number + 1
    call_up_to(house.server, house.room, visitor.number)
    assert visitor.enter().status == 201
    assert buyer.hold(10, visitor.ticket, "new-pass").status == 201


def test_pass_that_was_given_back_books_nothing(house: House) -> None:
    """Enter, leave, and go on booking with the token: a slot for the next one, and still inside."""
    visitor, buyer = house.visitor("has left"), house.buyer("has left")
    visitor.say("leave")
    expires_at_s = RING.open_pass(visitor.ticket, house.room).expires_at_ms / 1000
    answers: list[Answer] = []

    def is_refused() -> bool:
        answers.append(buyer.hold(8, visitor.ticket, f"k{len(answers)}"))
        return all(refused(buyer.hold(8, visitor.ticket, f"r{n}{len(answers)}")) for n in range(6))

    until(is_refused, "it is refused on every worker")
    assert time.time() < expires_at_s - 20, "it was the token's own end that ended it"


def test_sales_room_for_anyone_admits_no_stranger(server: Serving, operator: str) -> None:
    """A pass without an account books nothing; so such a room is refused, or does no harm."""
    sale = server.create_concert(operator)
    body = {"name": "Room", "sale": sale, "settings": {"holders": "anyone"}}
    made = server.ask("POST", "/v1/rooms", body, bearer=operator)
    assert made.status == 422, made
