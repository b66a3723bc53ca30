"""The challenge over HTTP: in advance, with the refusal, and with the join."""

import json
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from sunseo.core.signing import encode_base64url
from sunseo.room.admission.altcha import solve
from sunseo.room.admission.challenge import ChallengeBody
from tests.asgi import Response, ask
from tests.store.foyer import Foyer, open_foyer

BINDING = encode_base64url(bytes(16))


@pytest.fixture
async def foyer(database_dsn: str) -> AsyncIterator[Foyer]:
    async with open_foyer(database_dsn) as opened:
        yield opened


async def nonce_of(foyer: Foyer, room: int) -> str:
    answer = await ask(foyer.app, "POST", f"/v1/rooms/{room}/nonces")
    nonce: str = answer.json["nonce"]
    return nonce


async def join(foyer: Foyer, room: int, nonce: str, challenge: str | None = None) -> Response:
    body: dict[str, Any] = {"binding": BINDING}
    if challenge is not None:
        body["challenge"] = challenge
    return await ask(
        foyer.app,
        "PUT",
        f"/v1/rooms/{room}/places/{nonce}",
        json.dumps(body).encode(),
        headers={"content-type": "application/json"},
    )


def solved(document: Any) -> str:
    answer = solve(msgspec.convert(document, ChallengeBody))
    assert answer is not None
    return answer


async def test_refusal_brings_the_challenge(foyer: Foyer) -> None:
    """Who joins without an answer gets the question, solves it, and joins with the same nonce."""
    room = await foyer.open_room(challenge="altcha", challenge_difficulty=1000)
    nonce = await nonce_of(foyer, room)
    refused = await join(foyer, room, nonce)
    assert (refused.status, refused.json["outcome"]) == (403, "challenge_required")
    assert await foyer.places(room) == 0

    answer = solved(refused.json["challenge"])
    assert (await join(foyer, room, nonce, answer)).status == 201
    assert (await join(foyer, room, nonce, answer)).status == 200
    stranger = await join(foyer, room, await nonce_of(foyer, room), answer)
    assert (stranger.status, stranger.json["outcome"]) == (403, "challenge_failed")
    assert await foyer.places(room) == 1


@pytest.mark.parametrize("bound", [True, False])
async def test_challenge_in_advance(foyer: Foyer, bound: bool) -> None:
    """It can be solved while the page loads, for one nonce or for any."""
    room = await foyer.open_room(challenge="altcha", challenge_difficulty=1000)
    nonce = await nonce_of(foyer, room)
    query = f"nonce={nonce}".encode() if bound else b""
    given = await ask(foyer.app, "GET", f"/v1/rooms/{room}/challenge", query=query)
    assert (given.status, given.headers["cache-control"]) == (200, "no-store")
    assert given.headers["access-control-allow-origin"] == "*"
    assert set(given.json) == {
        "kind",
        "algorithm",
        "challenge",
        "maxnumber",
        "salt",
        "signature",
    }
    assert ("&nonce=" in given.json["salt"]) is bound

    assert (await join(foyer, room, nonce, solved(given.json))).status == 201


async def test_room_without_a_challenge_says_so(foyer: Foyer) -> None:
    """A client may always ask, and joins without an answer, or with any."""
    room = await foyer.open_room()
    given = await ask(foyer.app, "GET", f"/v1/rooms/{room}/challenge")

    assert given.json == {"kind": "none"}
    assert (await join(foyer, room, await nonce_of(foyer, room), "whatever")).status == 201


async def test_wrong_questions_are_refused(foyer: Foyer) -> None:
    """A room that is not there, and a nonce that is not one, or is another room's."""
    room, other = await foyer.open_room(), await foyer.open_room()
    elsewhere = (await nonce_of(foyer, other)).encode()
    unknown = await ask(foyer.app, "GET", "/v1/rooms/999/challenge")
    assert (unknown.status, unknown.json["outcome"]) == (404, "unknown_room")
    for nonce, reason in ((b"AAAA", "version"), (elsewhere, "room")):
        path = f"/v1/rooms/{room}/challenge"
        refused = await ask(foyer.app, "GET", path, query=b"nonce=" + nonce)
        assert (refused.status, refused.json["field"]) == (400, "nonce")
        assert refused.json["reason"] == reason


async def test_flood_of_nonces_and_joins_is_told_when_to_return(foyer: Foyer) -> None:
    """429 with Retry-After, per network, and the database is not asked."""
    room = await foyer.open_room(network_joins_max=2)
    nonces = [await nonce_of(foyer, room) for _ in range(8)]
    refused = await ask(foyer.app, "POST", f"/v1/rooms/{room}/nonces")
    assert (refused.status, refused.json["outcome"]) == (429, "too_many_joins")
    answers = [await join(foyer, room, nonce) for nonce in nonces]

    assert [answer.status for answer in answers] == [201, 201] + [429] * 6
    assert int(answers[-1].headers["retry-after"]) == 30
    assert await foyer.places(room) == 2
