"""Clocks that are ten minutes wrong: of visitors, of gates, of one of several servers."""

import time
from typing import Any

import jwt
import pytest

from sunseo.core.networks import TrustedProxies
from sunseo.gate.decision import GateCore
from sunseo.gate.options import GateOptions
from sunseo.gate.policy import GateRequest
from sunseo.gate.verifier import RoomClock
from sunseo.identity.authenticator import Authenticator
from sunseo.identity.operator_keys import OperatorKeys
from sunseo.identity.persons import GuestIssuer, InvalidTokenError, Persons, SharedSecretVerifier
from sunseo.room.admission.admission import Admission
from sunseo.room.line.routes import room_endpoints
from sunseo.room.line.service import RoomService
from sunseo.room.setup.settings import RoomSettings
from sunseo.telemetry.lines import LineWriter
from sunseo.telemetry.logs import Logs
from sunseo.telemetry.metrics import Metrics
from sunseo.web.app import build_app
from sunseo.web.client_address import ClientAddresses
from sunseo.web.limits import Limits
from tests.acceptance.serving import ISSUER, JWT_SECRET
from tests.attacks.attacker import Serving, Visitor, Wire, create_room, inside
from tests.gate_room import ROOM, serving, watched
from tests.store.visitors import KEYS, Entrance, open_entrance
from tests.store.visitors import Visitor as Caller

SKEW_S = 600
WAYS = pytest.mark.parametrize("skew_s", [SKEW_S, -SKEW_S], ids=["ahead", "behind"])


@WAYS
def test_visitors_clock_decides_nothing(
    server: Serving, operator: str, wire: Wire, skew_s: int
) -> None:
    """Whatever time she claims: no header of hers is asked, and tokens carry the server's own."""
    room = create_room(server, operator)
    claimed = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + skew_s))
    headers = {"date": claimed, "if-modified-since": claimed, "x-timestamp": claimed}
    state = wire.ask("GET", f"/v1/rooms/{room}/state", headers=headers)
    visitor = inside(server, wire, room)

    assert state.status == 200
    assert abs(state.json["now"] / 1000 - time.time()) < SKEW_S / 2
    assert visitor.say("renew").status == 200
    assert Visitor(wire, room).join().status == 201


@WAYS
async def test_nonce_of_a_server_with_a_wrong_clock(database_dsn: str, skew_s: int) -> None:
    """Given by a server that is ten minutes off, joined with at one that is right, and back."""
    async with open_entrance(database_dsn) as entrance:
        room = await entrance.open_room()
        wrong = other_server(entrance, skew_s)
        right = entrance.service
        for giving, taking in ((wrong, right), (right, wrong)):
            entrance.app = app_of(entrance, giving)
            visitor = Caller(entrance, room)
            await visitor.fetch_nonce()
            entrance.app = app_of(entrance, taking)
            assert (await visitor.join()).status == 201
            assert (await visitor.join()).status == 200


@WAYS
async def test_passes_are_timed_by_the_database_alone(database_dsn: str, skew_s: int) -> None:
    """A server whose own clock is off gives passes of the right length, and reclaims none early."""
    async with open_entrance(database_dsn) as entrance:
        room = await entrance.open_room(RoomSettings(), serving=0)
        visitor = Caller(entrance, room)
        await visitor.join()
        await entrance.call_up_to(room, 1)
        entrance.app = app_of(entrance, other_server(entrance, skew_s))
        assert (await visitor.enter()).status == 201
        held = KEYS.open_pass(visitor.pass_, room)
        assert held.issued_at_ms == entrance.now_ms
        assert held.expires_at_ms == entrance.now_ms + 60_000
        entrance.let_time_pass(59)
        assert (await visitor.renew()).status == 200


def other_server(entrance: Entrance, skew_s: int) -> RoomService:
    """Another server on the same database, with a clock of its own."""
    return RoomService(
        entrance.lanes,
        entrance,
        KEYS,
        Admission({}),
        1,
        wall=lambda: entrance.now_ms / 1000 + skew_s,
    )


def app_of(entrance: Entrance, service: RoomService) -> Any:
    async def nobody(_key_id: str) -> bytes | None:
        return None

    return build_app(
        room_endpoints(service, ClientAddresses(TrustedProxies())),
        Authenticator(Persons(1, []), OperatorKeys(nobody)),
        limits=Limits(),
        metrics=Metrics(),
        logs=Logs("error", LineWriter(-1)),
    )


@WAYS
async def test_guests_session_counts_on_a_server_with_another_clock(skew_s: int) -> None:
    """Opened on one server, shown to the next: the same person, or her place would be lost."""
    secret = b"the secret that all servers share"
    issuing = GuestIssuer(secret, now=lambda: time.time() + skew_s)
    session = issuing.issue()
    known = GuestIssuer(secret).verify(session.token)
    assert known.subject == session.subject


async def test_hosts_token_from_the_future_is_refused() -> None:
    """Ours we know; a host's token that begins in ten minutes is not yet one."""
    now = int(time.time())
    claims = {"iss": ISSUER, "sub": "early", "exp": now + 3600, "nbf": now + SKEW_S}
    early = jwt.encode(claims, JWT_SECRET, algorithm="HS256")
    with pytest.raises(InvalidTokenError):
        SharedSecretVerifier(ISSUER, JWT_SECRET.encode()).verify(early)


@WAYS
def test_gate_with_a_wrong_clock_goes_by_the_rooms(
    monkeypatch: pytest.MonkeyPatch, skew_s: int
) -> None:
    """Its machine is ten minutes off: live passes open, expired ones do not, as on a right one."""
    right = time.time
    monkeypatch.setattr(time, "time", lambda: right() + skew_s)
    with serving() as room:
        room.now_ms = round(right() * 1000)
        options = GateOptions(room=ROOM, keys=room.keys, sunseo_url=room.url, renewal_wait_s=0)
        with watched(GateCore(options)) as core:
            live = room.sealed()
            over = room.sealed(room.ticket(expires_at_ms=room.now_ms - 6_000))
            assert lets_in(core, live)
            assert not lets_in(core, over)


def lets_in(core: GateCore, text: str) -> bool:
    asked = GateRequest("GET", "/buy", b"/buy", "", {}, "https", None)
    return core.judge("", text, lambda: asked).answer is None


@WAYS
def test_wall_clock_that_jumps_moves_no_gate(skew_s: int) -> None:
    """Set right, or set wrong, in the middle of a sale: the room's time goes on as it was."""
    clock = RoomClock(wall_ms=1_000_000_000.0 + skew_s * 1000, monotonic_ms=0.0)
    clock.learn(5_000.0, 100.0)
    assert clock.now_ms(1_100.0) == 6_000.0
    for step in range(1, 50):  # old documents out of a cache pull it back by nothing
        clock.learn(5_000.0 + step * 1_000 - SKEW_S * 1000, 100.0 + step * 1_000)
    assert clock.now_ms(49_100.0) == 54_000.0
