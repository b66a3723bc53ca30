"""The moment of opening, the moment after the network came back, and the last pass."""

from tests.attacks.attacker import (
    Crowd,
    Serving,
    Visitor,
    Wire,
    binding_of,
    call_up_to,
    create_room,
    line_of,
    request,
)

AT_ONCE = 1000


def joins_of(visitors: list[Visitor]) -> list[bytes]:
    return [
        request("PUT", f"{one.path}/places/{one.nonce}", {"binding": binding_of(one.secret or "")})
        for one in visitors
    ]


def entries_of(visitors: list[Visitor]) -> list[bytes]:
    return [
        request("POST", f"{one.path}/enter", {"place": one.place, "secret": one.secret})
        for one in visitors
    ]


def test_a_thousand_at_t0_then_all_again_then_all_for_the_last_pass(
    server: Serving, operator: str, wire: Wire
) -> None:
    """One number each without a gap, the same after everybody reconnects, and one pass for 1,000.

    Two workers of a real server, over HTTP, each visitor on a connection of her own.
    """
    room = create_room(server, operator, capacity=1, rate_max=0.001)
    visitors = [Visitor(wire, room) for _ in range(AT_ONCE)]
    for one in visitors:
        one.fetch_nonce()
    crowd = Crowd(server.port)

    joined = crowd.storm(joins_of(visitors))
    assert {answer.status for answer in joined} == {201}
    numbers = [answer.json["number"] for answer in joined]
    assert sorted(numbers) == list(range(1, AT_ONCE + 1))

    again = crowd.storm(joins_of(visitors))
    assert {answer.status for answer in again} == {200}
    assert [answer.json["place"] for answer in again] == [a.json["place"] for a in joined]
    assert line_of(server, room)["issued"] == AT_ONCE

    for one, answer in zip(visitors, joined, strict=True):
        one.place = answer.json["place"]
    call_up_to(server, room, AT_ONCE)
    entered = crowd.storm(entries_of(visitors))

    statuses = [answer.status for answer in entered]
    assert statuses.count(201) == 1
    assert statuses.count(202) == AT_ONCE - 1
    assert line_of(server, room)["live"] == 1
    (winner,) = [one for one, status in zip(visitors, statuses, strict=True) if status == 201]
    (leaver,) = crowd.storm(entries_of([winner]))
    winner.ticket = leaver.json["pass"]
    assert winner.say("leave").status == 200
    losers = [one for one in visitors if one is not winner]
    second = [answer.status for answer in crowd.storm(entries_of(losers))]
    assert (second.count(201), second.count(202)) == (1, AT_ONCE - 2)
    assert line_of(server, room)["live"] == 1
