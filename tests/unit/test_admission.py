"""Before the line: who is let through to it."""

from typing import Any
from uuid import UUID, uuid4

import pytest

from sunseo.core.ids import Person
from sunseo.core.networks import TrustedProxies
from sunseo.room.admission.admission import (
    ACCOUNT_JOINS_MAX,
    NONCES_A_JOIN,
    Admission,
    AdmissionOutcome,
    JoinRequest,
)
from sunseo.room.admission.altcha import Altcha, solve
from sunseo.room.admission.challenge import ChallengeBody, Verdict
from sunseo.room.setup.settings import RoomSettings
from sunseo.web.client_address import ClientAddresses
from sunseo.web.endpoint import Call, Record

HER = UUID(int=7)

OURS = ClientAddresses(TrustedProxies.named("10.0.0.0/8"))


class Silent:
    """A challenge whose service never answers."""

    def issue(self, *_: object) -> ChallengeBody:
        return ChallengeBody("turnstile", sitekey="site")

    async def verify(self, *_: object) -> Verdict:
        return "unknown"


class Door:
    """An admission whose clocks are set by hand."""

    def __init__(self, **options: Any) -> None:
        self.now = 1000.0
        self.unverified: list[str] = []
        self.admission = Admission(
            {"altcha": Altcha(lambda _: (b"k" * 32,)), "turnstile": Silent()},
            on_unverified=self.unverified.append,
            monotonic=lambda: self.now,
            wall=lambda: self.now,
            **options,
        )

    async def join(self, client: str | None = None, **given: Any) -> AdmissionOutcome | None:
        settings = given.pop("settings", RoomSettings())
        holder = given.pop("holder", HER)
        request = JoinRequest(1, holder, HER, settings, client=client, **given)
        refusal = await self.admission.admit(request)
        if refusal is None:
            return None
        assert isinstance(refusal.outcome, AdmissionOutcome)
        return refusal.outcome


async def test_room_without_limits_lets_everybody_through() -> None:
    """By default nothing stands before the line."""
    door = Door()
    assert [await door.join("203.0.113.9") for _ in range(1000)] == [None] * 1000


async def test_network_may_join_so_often() -> None:
    """All of one /24 share the limit, its neighbours do not, and time gives it back."""
    door, settings = Door(), RoomSettings(network_joins_max=3)
    addresses = ["203.0.113.1", "203.0.113.2", "203.0.113.3", "203.0.113.4", "198.51.100.1"]
    answers = [await door.join(address, settings=settings) for address in addresses]
    door.now += 20

    assert answers == [None, None, None, AdmissionOutcome.TOO_MANY_JOINS, None]
    assert await door.join("203.0.113.4", settings=settings) is None


async def test_refusal_says_when_to_come_back() -> None:
    """Retry-After is the time after which there is room."""
    door, settings = Door(), RoomSettings(network_joins_max=3)
    request = JoinRequest(1, HER, HER, settings, client="203.0.113.1")
    refusals = [await door.admission.admit(request) for _ in range(4)]

    assert refusals[3] is not None
    assert refusals[3].retry_after_s == 20


async def test_rooms_do_not_share_a_limit() -> None:
    """Somebody who floods one room does not close the others to her neighbours."""
    door, settings = Door(), RoomSettings(network_joins_max=1)
    other = JoinRequest(2, HER, HER, settings, client="203.0.113.1")

    assert await door.join("203.0.113.1", settings=settings) is None
    assert await door.admission.admit(other) is None


async def test_person_may_join_so_often_from_anywhere() -> None:
    """A person who changes her network keeps her limit."""
    door, person = Door(), Person.named(1, "host", "user-1")
    answers = [
        await door.join(f"203.0.{number}.1", person=person, holder=person.id)
        for number in range(ACCOUNT_JOINS_MAX + 1)
    ]

    assert answers == [None] * ACCOUNT_JOINS_MAX + [AdmissionOutcome.TOO_MANY_JOINS]


async def test_join_that_could_not_be_done_counts_for_no_limit() -> None:
    """Who is told to come again because of us is let in when she does, and her network is too."""
    door, person = Door(), Person.named(1, "host", "user-1")
    settings = RoomSettings(network_joins_max=3)
    request = JoinRequest(1, person.id, HER, settings, person=person, client="203.0.113.1")
    for _ in range(10 * ACCOUNT_JOINS_MAX):
        assert await door.admission.admit(request) is None
        door.admission.forget_failures(request)

    answers = [await door.admission.admit(request) for _ in range(4)]
    assert [answer is None for answer in answers] == [True, True, True, False]


def test_nonces_are_limited_too() -> None:
    """They cost us a signature: more than a join, but not without end."""
    door, settings = Door(), RoomSettings(network_joins_max=2)
    given = [
        door.admission.admit_nonce(1, "203.0.113.1", settings) is None
        for _ in range(2 * NONCES_A_JOIN + 1)
    ]

    assert given == [True] * 2 * NONCES_A_JOIN + [False]
    assert door.admission.admit_nonce(1, "203.0.113.1", RoomSettings()) is None


async def test_challenge_is_asked_and_judged() -> None:
    """Without an answer, with a wrong one and with the right one."""
    door, settings = Door(), RoomSettings(challenge="altcha", challenge_difficulty=1000)
    answer = solve(door.admission.issue(1, settings, HER))

    assert await door.join(settings=settings) is AdmissionOutcome.CHALLENGE_REQUIRED
    assert await door.join(settings=settings, challenge="x") is AdmissionOutcome.CHALLENGE_FAILED
    too_long = await door.join(settings=settings, challenge="x" * 3000)
    assert too_long is AdmissionOutcome.CHALLENGE_FAILED
    assert await door.join(settings=settings, challenge=answer) is None
    assert not door.unverified


async def test_limit_comes_before_the_challenge() -> None:
    """A flood is stopped by arithmetic, before anything is verified."""
    door = Door()
    settings = RoomSettings(challenge="turnstile", network_joins_max=1)
    answers = [await door.join("203.0.113.1", settings=settings, challenge="t") for _ in range(2)]

    assert answers == [
        AdmissionOutcome.CHALLENGE_UNAVAILABLE,
        AdmissionOutcome.TOO_MANY_JOINS,
    ]


@pytest.mark.parametrize(
    ("fails", "answer"),
    [("closed", AdmissionOutcome.CHALLENGE_UNAVAILABLE), ("open", None)],
)
async def test_service_that_is_away_fails_as_set_and_is_counted(
    fails: Any, answer: AdmissionOutcome | None
) -> None:
    """Fail closed keeps bots out, fail open keeps people in; either way it is counted."""
    door = Door(fails=fails)

    assert await door.join(settings=RoomSettings(challenge="turnstile"), challenge="t") is answer
    assert door.unverified == ["turnstile"]


async def test_challenge_that_is_not_set_up_fails_as_set() -> None:
    """A room that asks for Turnstile on a server without its keys does not just let in."""
    admission = Admission({})
    request = JoinRequest(1, HER, uuid4(), RoomSettings(challenge="turnstile"), challenge="t")
    refusal = await admission.admit(request)

    assert refusal is not None
    assert refusal.outcome is AdmissionOutcome.CHALLENGE_UNAVAILABLE


def call(peer: str | None, **headers: str) -> Call:
    pairs = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope = {"client": None if peer is None else (peer, 1), "scheme": "http", "headers": pairs}
    return Call(Record("request", "GET", 0.0), dict(pairs), {}, scope)


def test_client_and_scheme_of_a_call() -> None:
    """Both headers count from our proxy only."""
    through = call("10.0.0.1", x_forwarded_for="1.1.1.1, 203.0.113.9", x_forwarded_proto="https")
    direct = call("198.51.100.1", x_forwarded_for="203.0.113.9", x_forwarded_proto="https")

    assert (OURS.client_of(through), OURS.is_https(through)) == ("203.0.113.9", True)
    assert (OURS.client_of(direct), OURS.is_https(direct)) == ("198.51.100.1", False)
    assert OURS.client_of(call(None)) is None


@pytest.mark.parametrize(
    ("peer", "lines", "is_https"),
    [
        ("10.0.0.1", ["https"], True),
        ("10.0.0.1", ["HTTPS"], True),
        ("10.0.0.1", ["https,http"], True),
        ("10.0.0.1", ["https, http, http"], True),
        ("10.0.0.1", ["https", "http"], True),
        ("10.0.0.1", ['"https"'], True),
        ("10.0.0.1", [" ,HttpS"], True),
        ("10.0.0.1", ["http,https"], False),
        ("10.0.0.1", ["httpsx"], False),
        ("10.0.0.1", [""], False),
        ("10.0.0.1", [], False),
        ("203.0.113.9", ["https"], False),
        (None, ["https"], False),
    ],
)
def test_a_proxys_word_counts_for_the_visitors_own_connection(
    peer: str | None, lines: list[str], is_https: bool
) -> None:
    """The first entry says how she came, in any case of letters; of strangers it says nothing."""
    scope = {
        "client": None if peer is None else (peer, 1),
        "scheme": "http",
        "headers": [(b"x-forwarded-proto", line.encode()) for line in lines],
    }

    call = Call(Record("request", "GET", 0.0), {}, {}, scope)

    assert OURS.is_https(call) is is_https
