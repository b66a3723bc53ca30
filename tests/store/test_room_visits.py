"""A room over HTTP: the visitor's way, and whoever tries another."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest

from sunseo.core.ids import Person
from sunseo.passes.keys import KeyRing
from sunseo.passes.tokens import TokenError
from sunseo.room.admission.admission import ACCOUNT_JOINS_MAX
from sunseo.room.setup.settings import RoomSettings
from tests.asgi import Response
from tests.store.visitors import KEYS, START_MS, Entrance, Visitor, b64, open_entrance, said
from tests.unit.web_http.shop import ISSUER, OPERATOR, token

OTHER_KEYS = KeyRing(1, {0: b"another secret of 32 or more bytes"}, 0)
VALID_FOR_EVER = 4_000_000_000


@pytest.fixture
async def entrance(database_dsn: str) -> AsyncIterator[Entrance]:
    async with open_entrance(database_dsn) as opened:
        yield opened


def account(name: str) -> str:
    return token(sub=name, exp=VALID_FOR_EVER)


async def inside(entrance: Entrance, room: int, bearer: str | None = None) -> Visitor:
    """Somebody who has joined, was called and has entered."""
    visitor = Visitor(entrance, room, bearer)
    number = (await visitor.join()).json["number"]
    await entrance.call_up_to(room, number)
    assert (await visitor.enter()).status == 201
    return visitor


async def test_the_whole_way(entrance: Entrance) -> None:
    """Nonce, place, turn, pass, renewal and leaving; each step repeatable, nothing cached."""
    room = await entrance.open_room()
    kim = Visitor(entrance, room)

    nonce = await kim.fetch_nonce()
    joined, again = await kim.join(), await kim.join()
    too_early = await kim.enter()
    await entrance.call_up_to(room, 1)
    entered = await kim.enter()
    entrance.let_time_pass(30)
    reentered = await kim.enter()
    renewed = await kim.renew()
    left, gone = await kim.leave(), await kim.leave()

    assert (nonce.status, nonce.json["minute"]) == (201, START_MS // 60_000)
    assert (joined.status, again.status) == (201, 200)
    assert joined.json == again.json
    assert joined.json == {
        "epoch": 1, "serving": 0, "poll_after_s": 2, "place": kim.place, "number": 1,
    }  # fmt: skip
    assert said(too_early) == (409, "not_served")
    assert {name: too_early.json[name] for name in ("ahead", "serving", "poll_after_s")} == {
        "ahead": 1, "serving": 0, "poll_after_s": 2,
    }  # fmt: skip
    assert (entered.status, entered.json) == (
        201,
        {
            "pass": entered.json["pass"],
            "expires_at": at(60),
            "renew_after_s": 40,
            "session_until": at(900),
        },
    )
    assert (reentered.status, reentered.json) == (200, entered.json | {"renew_after_s": 10})
    assert (renewed.status, renewed.json["expires_at"]) == (200, at(90))
    assert renewed.json["pass"] != entered.json["pass"]
    assert (left.json, gone.json) == ({"outcome": "left"}, {"outcome": "replayed"})
    answers = (nonce, joined, again, too_early, entered, reentered, renewed, left)
    assert {answer.headers["cache-control"] for answer in answers} == {"no-store"}
    assert {answer.headers["access-control-allow-origin"] for answer in answers} == {"*"}


def at(seconds: int) -> str:
    moment = datetime.fromtimestamp(START_MS / 1000 + seconds, UTC)
    return moment.isoformat().replace("+00:00", "Z")


async def test_how_soon_to_ask_again_follows_the_line(entrance: Entrance) -> None:
    """A tenth of the time to wait, at 10 numbers a second, between floor and ceiling."""
    room = await entrance.open_room(serving=1)
    for issued, expected in ((1, 2), (1000, 10), (50_000, 60)):
        await entrance.lobby.rows("UPDATE room_lines SET issued = $1", issued)
        assert (await Visitor(entrance, room).join()).json["poll_after_s"] == expected


async def test_a_full_room_says_when_to_come_back(entrance: Entrance) -> None:
    """202, the place is kept, and it is good as soon as somebody leaves."""
    room = await entrance.open_room(RoomSettings(capacity=1))
    first = await inside(entrance, room)
    second = Visitor(entrance, room)
    await second.join()
    await entrance.call_up_to(room, 2)

    full = await second.enter()
    await first.complete()
    entered = await second.enter()

    assert (full.status, full.json) == (202, {"poll_after_s": 2})
    assert entered.status == 201


async def test_a_session_ends_with_a_pass_that_is_not_to_be_renewed(entrance: Entrance) -> None:
    """The last pass of a session says to renew it when it is over, and then it is over."""
    room = await entrance.open_room(RoomSettings(session_max_s=100))
    kim = await inside(entrance, room)
    entrance.let_time_pass(50)

    last = await kim.renew()
    entrance.let_time_pass(50)

    assert (last.json["renew_after_s"], last.json["expires_at"]) == (50, at(100))
    assert said(await kim.renew()) == (410, "session_over")
    assert said(await kim.enter()) == (410, "session_over")


async def test_a_nonce_has_its_time(entrance: Entrance) -> None:
    """After its window it gives no place; the place that it gave before, it gives for ever."""
    room = await entrance.open_room()
    early, late = Visitor(entrance, room), Visitor(entrance, room)
    await late.fetch_nonce()
    first = await early.join()

    entrance.let_time_pass(960)

    assert said(await late.join()) == (410, "nonce_expired")
    again = await early.join()
    assert (again.status, again.json["number"]) == (200, first.json["number"])


async def test_an_account_has_one_place_on_every_device(entrance: Entrance) -> None:
    """Another nonce, another device, at the same moment: the same number; nobody else enters."""
    room = await entrance.open_room(RoomSettings(holders="accounts"))
    devices = [Visitor(entrance, room, account("kim")) for _ in range(5)]

    numbers = {a.json["number"] for a in await asyncio.gather(*(d.join() for d in devices))}
    thief = Visitor(entrance, room, account("lee"))
    thief.place = devices[0].place
    nobody = Visitor(entrance, room)
    nobody.place = devices[0].place
    await entrance.call_up_to(room, 1)

    assert numbers == {1}
    assert KEYS.open_place(devices[3].place, room).account
    assert KEYS.open_place(devices[3].place, room).holder == Person.named(1, ISSUER, "kim").id
    assert said(await thief.enter()) == (403, "wrong_holder")
    assert said(await nobody.enter()) == (403, "wrong_holder")
    assert (await devices[4].enter()).status == 201
    assert (await devices[1].enter()).status == 200


async def test_joins_that_were_put_off_use_up_no_limit(database_dsn: str) -> None:
    """An impatient person who was answered 503 again and again joins when we are there."""
    async with open_entrance(database_dsn, started=False) as entrance:
        room = await entrance.open_room(RoomSettings(holders="accounts"))
        impatient = Visitor(entrance, room, account("kim"))
        answers = {said(await impatient.join()) for _ in range(2 * ACCOUNT_JOINS_MAX)}
        entrance.lanes.start()

        assert answers == {(503, "busy")}
        assert (await impatient.join()).status == 201


@pytest.mark.parametrize(
    ("holders", "who", "expected"),
    [
        ("accounts", "account", (201, None)),
        ("accounts", "guest", (403, "account_required")),
        ("accounts", "secret", (403, "person_required")),
        ("persons", "guest", (201, None)),
        ("persons", "secret", (403, "person_required")),
        ("anyone", "account", (201, None)),
        ("anyone", "secret", (201, None)),
        ("anyone", "nobody", (403, "binding_required")),
    ],
)
async def test_who_may_hold_a_place(
    entrance: Entrance, holders: Any, who: str, expected: tuple[int, str | None]
) -> None:
    """Rooms for accounts take no sessions, those for persons no secrets; no refusal counts."""
    room = await entrance.open_room(RoomSettings(holders=holders))
    bearer = {"account": account("kim"), "guest": entrance.guests.issue().token}.get(who)
    visitor = Visitor(entrance, room, bearer)
    if who == "nobody":
        visitor.secret = None

    answer = await visitor.join()

    assert (answer.status, answer.json.get("outcome")) == expected
    issued = (await entrance.lobby.line((1, room)))["issued"]
    assert issued == (1 if answer.status == 201 else 0)


async def test_a_stolen_place_is_worth_nothing_without_its_secret(entrance: Entrance) -> None:
    """A place without the secret, or with another one, or with somebody's account, is refused."""
    room = await entrance.open_room()
    kim = Visitor(entrance, room)
    await kim.join()
    await entrance.call_up_to(room, 1)

    for secret, bearer in ((None, None), (b64(bytes(32)), None), (None, account("lee"))):
        thief = Visitor(entrance, room, bearer)
        thief.place, thief.secret = kim.place, secret
        assert said(await thief.enter()) == (403, "wrong_holder")
    assert (await kim.enter()).status == 201


async def test_a_retry_with_another_secret_does_not_move_the_place(entrance: Entrance) -> None:
    """Who sees a nonce go by cannot bind its place to a secret of her own."""
    room = await entrance.open_room()
    kim, eve = Visitor(entrance, room), Visitor(entrance, room)
    await kim.join()
    eve.nonce = kim.nonce
    await eve.join()
    await entrance.call_up_to(room, 1)

    assert eve.place == kim.place
    assert said(await eve.enter()) == (403, "wrong_holder")
    assert (await kim.enter()).status == 201


async def test_tokens_serve_for_one_purpose_in_one_room(entrance: Entrance) -> None:
    """Forged, of another kind, room or secret: refused by name before the line hears of them."""
    room, other = await entrance.open_room(), await entrance.open_room()
    kim, there = await inside(entrance, room), await inside(entrance, other)
    foreign = OTHER_KEYS.seal(KEYS.open_pass(kim.pass_, room))
    before = await entrance.lobby.snapshot((1, room))

    def enter(place: str) -> Any:
        return entrance.post(room, "enter", {"place": place, "secret": kim.secret})

    tried: list[tuple[Response, str]] = [
        (await enter(kim.pass_), "kind"),
        (await enter(kim.nonce), "kind"),
        (await enter(there.place), "room"),
        (await enter(kim.place[:-1] + "B"), "malformed"),
        (await enter(kim.place[:-9] + "AAAAAAAA" + kim.place[-1]), "signature"),
        (await entrance.post(room, "renew", {"pass": kim.place}), "kind"),
        (await entrance.post(room, "renew", {"pass": there.pass_}), "room"),
        (await entrance.post(room, "leave", {"pass": foreign}), "signature"),
        (await entrance.post(room, "complete", {"pass": kim.place}), "kind"),
        (await entrance.ask("PUT", f"/v1/rooms/{room}/places/{there.nonce}", {}), "room"),
        (await entrance.ask("PUT", f"/v1/rooms/{room}/places/{kim.place[:88]}", {}), "kind"),
    ]

    assert [(said(answer), answer.json["reason"]) for answer, _ in tried] == [
        ((403, "invalid_token"), reason) for _, reason in tried
    ]
    assert await entrance.lobby.snapshot((1, room)) == before


async def test_a_gate_renews_many_at_once(entrance: Entrance) -> None:
    """Each pass has its own answer, in the order asked, whatever becomes of its neighbours."""
    room = await entrance.open_room()
    visitors = [await inside(entrance, room) for _ in range(4)]
    await visitors[1].leave()
    await entrance.post(room, "renew", {"pass": visitors[2].pass_})
    passes = [visitor.pass_ for visitor in visitors]

    answer = await entrance.post(room, "renew", {"passes": [*passes, "nonsense"]})

    results = answer.json["results"]
    assert [result["outcome"] for result in results] == [
        "renewed", "pass_done", "replayed", "renewed", "invalid_token",
    ]  # fmt: skip
    assert [sorted(result) for result in results[1:3]] == [
        ["outcome"],
        ["expires_at", "outcome", "pass", "renew_after_s", "session_until"],
    ]
    assert KEYS.open_pass(results[3]["pass"], room).renewal == 1


@pytest.mark.parametrize(
    "body", [{}, {"pass": "abcd", "passes": ["abcd"]}, {"passes": ["abcd"] * 201}, {"passes": []}]
)
async def test_a_renewal_names_one_or_many(entrance: Entrance, body: dict[str, Any]) -> None:
    """Not both, not none, and not more than a batch of a gate."""
    room = await entrance.open_room()

    assert (await entrance.post(room, "renew", body)).status == 422


async def test_a_shared_pass_ends_for_both(entrance: Entrance) -> None:
    """Two devices renew one pass by turns: after the grace the second is told, and so the first."""
    room = await entrance.open_room(RoomSettings(renewal_grace_s=10))
    kim = await inside(entrance, room)
    copy = Visitor(entrance, room)
    copy.pass_ = kim.pass_

    assert (await kim.renew()).status == 200
    entrance.let_time_pass(11)
    assert said(await copy.renew()) == (410, "pass_revoked")
    assert said(await kim.renew()) == (410, "pass_revoked")
    assert said(await kim.enter()) == (410, "pass_revoked")


async def test_a_place_of_an_earlier_line_is_void(entrance: Entrance) -> None:
    """After a reset one is told to join again, and the pass of before is good for nothing."""
    room = await entrance.open_room()
    kim = await inside(entrance, room)
    await entrance.lobby.rows("UPDATE room_lines SET epoch = 2, issued = 0, serving = 0, live = 0")

    assert said(await kim.enter()) == (410, "other_epoch")
    assert said(await kim.renew()) == (410, "other_epoch")
    assert said(await kim.leave()) == (410, "other_epoch")
    again = await kim.join()
    assert (again.status, again.json["epoch"], again.json["number"]) == (201, 2, 1)


async def test_before_a_draw_one_gets_a_receipt(entrance: Entrance) -> None:
    """202, the same for a retry; when the draw is over the same nonce gives the drawn number."""
    room = await entrance.open_room(RoomSettings(mode="random"))
    kim = Visitor(entrance, room)

    registered, again = await kim.join(), await kim.join()
    entrance.let_time_pass(3600)
    entrant = KEYS.open_receipt(registered.json["receipt"], room)
    await entrance.lobby.rows("UPDATE room_lines SET sealed = true, issued = 7")
    waiting = await kim.join()
    await entrance.lobby.rows(
        "INSERT INTO room_places (organisation, room, epoch, holder, number, binding, issued_at)"
        " SELECT organisation, room, epoch, holder, 5, binding,"
        " registered_at FROM room_entrants"
    )
    drawn = await kim.join()

    assert [answer.status for answer in (registered, again, waiting)] == [202] * 3
    assert registered.json == again.json
    assert registered.json["receipt"] == waiting.json["receipt"]
    assert sorted(registered.json) == ["epoch", "poll_after_s", "receipt", "serving"]
    assert str(entrant.holder) == str(KEYS.open_nonce(kim.nonce, room).id)
    assert (drawn.status, drawn.json["number"]) == (200, 5)
    await entrance.call_up_to(room, 5)
    assert (await kim.enter()).status == 201


async def test_joining_too_early_tells_when(entrance: Entrance) -> None:
    """Before the door opens, and after it has closed, one is told so and gets no number."""
    opens_at = datetime.fromtimestamp(START_MS / 1000 + 7200, UTC)
    room = await entrance.open_room(RoomSettings(opens_at=opens_at, join_early_s=1800))
    kim = Visitor(entrance, room)

    early = await kim.join()
    entrance.let_time_pass(5400)
    kim.nonce = ""
    in_time = await kim.join()

    assert said(early) == (403, "not_yet")
    assert early.json["opens_at"] == opens_at.isoformat().replace("+00:00", "Z")
    assert in_time.status == 201
    closed = await entrance.open_room(RoomSettings(mode="closed"))
    assert said(await Visitor(entrance, closed).join()) == (403, "room_closed")


async def test_a_room_that_is_not_there(entrance: Entrance) -> None:
    """Neither nonce nor place, and nothing is said of other rooms."""
    room = await entrance.open_room()
    kim = Visitor(entrance, room)
    await kim.fetch_nonce()

    assert said(await entrance.ask("POST", "/v1/rooms/999/nonces")) == (404, "unknown_room")
    path = f"/v1/rooms/999/places/{kim.nonce}"
    assert said(await entrance.ask("PUT", path, {})) == (404, "unknown_room")


async def test_an_operator_is_no_visitor(entrance: Entrance) -> None:
    """A key of another kind is refused, not ignored."""
    room = await entrance.open_room()

    refused = await Visitor(entrance, room, OPERATOR.text).join()

    assert said(refused) == (403, "wrong_credential")


async def test_a_verified_pass_admits_where_it_is_shown(entrance: Entrance) -> None:
    """Who sells behind the room verifies a pass without asking the database, and completes it."""
    room = await entrance.open_room()
    kim = await inside(entrance, room, account("kim"))
    view = entrance.views[room]

    shown = entrance.service.admission_of(kim.pass_, room)
    assert (shown.number, shown.holder) == (1, Person.named(1, ISSUER, "kim").id)
    view.revoked = (shown.pass_id,)
    assert refused_because(entrance, kim.pass_, room) == "expired"
    view.revoked, view.epoch = (), 2
    assert refused_because(entrance, kim.pass_, room) == "epoch"
    view.epoch = 1
    entrance.let_time_pass(64.999)
    assert entrance.service.admission_of(kim.pass_, room) == shown
    entrance.let_time_pass(0.001)
    assert refused_because(entrance, kim.pass_, room) == "expired"
    assert (await entrance.service.complete(shown)).result.outcome.code == "completed"
    assert said(await kim.enter()) == (410, "pass_done")


def refused_because(entrance: Entrance, shown: str, room: int) -> str:
    with pytest.raises(TokenError) as refusal:
        entrance.service.admission_of(shown, room)
    return refusal.value.reason


async def test_a_room_that_signs_with_ed25519(entrance: Entrance) -> None:
    """Passes are signed so that gates can verify and not mint; all else goes on as before."""
    room = await entrance.open_room(RoomSettings(pass_signature="ed25519"))
    kim = await inside(entrance, room)

    assert len(kim.pass_) > 200
    assert (await kim.renew()).status == 200
    assert (await kim.leave()).json == {"outcome": "left"}
