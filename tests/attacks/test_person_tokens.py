"""JSON Web Tokens on joins: forged by every known trick, behind headers that are known as good.

A verifier remembers headers that it has accepted, and looks at those no more. So each forgery is
tried on one that has just seen a good token, and over HTTP on a server that has, too.
"""

import base64
import hmac
import json
import time
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sunseo.identity.persons import (
    KNOWN_HEADERS_MAX,
    GuestIssuer,
    InvalidTokenError,
    Persons,
    SharedSecretVerifier,
)
from tests.acceptance.serving import ISSUER, JWT_SECRET
from tests.attacks.attacker import (
    SECRET,
    Serving,
    Visitor,
    Wire,
    b64,
    create_room,
    guest,
    line_of,
    token,
    unb64,
)

KEY = JWT_SECRET.encode()
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def claims(**other: Any) -> dict[str, Any]:
    return {"iss": ISSUER, "sub": "victim", "exp": int(time.time()) + 3600, **other}


def part(value: Any) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value, separators=(",", ":")).encode()
    return b64(raw)


def signed(header: Any, payload: Any, key: bytes = KEY, digest: str = "sha256") -> str:
    text = f"{part(header)}.{part(payload)}"
    return f"{text}.{b64(hmac.digest(key, text.encode(), digest))}"


GOOD = token("attacker")
HEADER, PAYLOAD, SIGNATURE = GOOD.split(".")
VICTIM = part(claims())
PLAIN = {"alg": "HS256", "typ": "JWT"}

FORGERIES = {
    "victim's claims behind a known header": f"{HEADER}.{VICTIM}.{SIGNATURE}",
    "victim's claims, no signature": f"{HEADER}.{VICTIM}.",
    "victim's claims, a signature of dots": f"{HEADER}.{VICTIM}...",
    "victim's claims put in between": f"{HEADER}.{VICTIM}.{PAYLOAD}.{SIGNATURE}",
    "victim's claims put in front": f"{HEADER}.{PAYLOAD}.{VICTIM}.{SIGNATURE}",
    "good token, then another": f"{GOOD}.{HEADER}.{VICTIM}.{SIGNATURE}",
    "other header, then a good token": f"{part({'alg': 'none'})}.{VICTIM}.{GOOD}",
    "a dot in front": f".{GOOD}",
    "a dot behind": f"{GOOD}.",
    "two dots": f"{HEADER}..{PAYLOAD}.{SIGNATURE}",
    "no algorithm": f"{part({'alg': 'none'})}.{VICTIM}.",
    "no algorithm, in capitals": f"{part({'alg': 'NONE', 'typ': 'JWT'})}.{VICTIM}.",
    "no algorithm, signed": signed({"alg": "none"}, claims()),
    "algorithm in lower case": signed({"alg": "hs256"}, claims()),
    "a longer hash": signed({"alg": "HS384"}, claims(), digest="sha384"),
    "an asymmetric name": signed({"alg": "RS256"}, claims()),
    "another key": signed(PLAIN, claims(), b"x" * 32),
    "an empty key": signed(PLAIN, claims(), b"\0"),
    "the public name as key": signed(PLAIN, claims(), ISSUER.encode()),
    "kid of a file": signed(PLAIN | {"kid": "../../../../dev/null"}, claims(), b"\0"),
    "kid with SQL": signed(PLAIN | {"kid": "x' UNION SELECT 'key"}, claims(), b"key" * 11),
    "kid is a list": signed(PLAIN | {"kid": [0]}, claims(), b"x" * 32),
    "a key of one's own": signed(
        PLAIN | {"jwk": {"kty": "oct", "k": b64(b"x" * 32)}}, claims(), b"x" * 32
    ),
    "a key at an address": signed(PLAIN | {"jku": "https://evil.example"}, claims(), b"x" * 32),
    "payload not encoded": signed(PLAIN | {"b64": False, "crit": ["b64"]}, claims()),
    "unknown extension": signed(PLAIN | {"crit": ["x"], "x": 1}, claims()),
    "algorithm twice": signed(b'{"alg":"none","alg":"none"}', claims()),
    "signature in hex": f"{HEADER}.{VICTIM}."
    + hmac.digest(KEY[:-1], f"{HEADER}.{VICTIM}".encode(), "sha256").hex(),
    "guest's issuer, host's key": signed(PLAIN, claims(iss="sunseo:guest")),
    "guest's issuer, server's raw secret": signed(
        PLAIN, claims(iss="sunseo:guest"), SECRET.encode()
    ),
    "issuer twice": signed(
        PLAIN, b'{"iss":"sunseo:guest","iss":"%s","sub":"v","exp":9e9}' % ISSUER.encode(), b"k" * 32
    ),
    "signature of padding": f"{HEADER}.{VICTIM}.====",
    "signature of foreign characters": f"{HEADER}.{VICTIM}.!!!!",
    "claims in the standard alphabet": f"{HEADER}.{VICTIM.replace('-', '+')}x.{SIGNATURE}",
    "expired": signed(PLAIN, claims(exp=int(time.time()) - 60)),
    "encrypted": f"{part({'alg': 'dir', 'enc': 'A256GCM'})}..{b64(bytes(12))}.AA.{b64(bytes(16))}",
}


def warmed() -> SharedSecretVerifier:
    return SharedSecretVerifier(ISSUER, KEY)


@pytest.mark.parametrize("name", FORGERIES)
async def test_forgery_behind_a_known_header_is_refused(name: str) -> None:
    """The verifier has accepted this header a moment ago; that is worth nothing."""
    verifier = warmed()
    assert verifier.verify(GOOD).subject == "attacker"
    with pytest.raises(InvalidTokenError):
        verifier.verify(FORGERIES[name])
    assert verifier.verify(GOOD).subject == "attacker"


def test_forgeries_behind_known_headers_join_nothing(
    server: Serving, operator: str, wire: Wire
) -> None:
    """All of them over HTTP, after a good token of the same header on the same connection."""
    room = create_room(server, operator, holders="persons")
    good = Visitor(wire, room, GOOD)
    assert good.join().status == 201
    for name, forged in FORGERIES.items():
        if any(character in forged for character in "\r\n"):
            continue
        answer = Visitor(wire, room, forged).join()
        assert answer.status == 401, name
        assert "place" not in answer.json
    assert line_of(server, room)["issued"] == 1


@st.composite
def respelt(draw: st.DrawFn) -> str:
    """A good token with something done to its spelling."""
    parts = [HEADER, PAYLOAD, SIGNATURE]
    which = draw(st.integers(0, 2))
    at = draw(st.integers(0, len(parts[which])))
    junk = draw(st.text("=.-_+/ \t!~%" + ALPHABET, min_size=0, max_size=4))
    cut = draw(st.integers(0, 3))
    parts[which] = parts[which][:at] + junk + parts[which][at + cut :]
    return ".".join(parts)


@given(respelt())
async def test_respelt_token_is_nobody_else(text: str) -> None:
    """Padding, foreign characters, dots, cuts: refused, or the very person who was signed for."""
    for verifier in (warmed(), SharedSecretVerifier(ISSUER, KEY)):
        verifier.verify(token("somebody"))
        try:
            known = verifier.verify(text)
        except InvalidTokenError:
            continue
        assert known.subject == "attacker"


@given(st.integers(0, len(PAYLOAD) - 1), st.sampled_from(ALPHABET))
async def test_edited_claims_are_refused_at_every_position(at: int, new: str) -> None:
    """Behind the known header, one character of the claims after the other."""
    verifier = warmed()
    verifier.verify(GOOD)
    edited = PAYLOAD[:at] + new + PAYLOAD[at + 1 :]
    if edited == PAYLOAD:
        return
    with pytest.raises(InvalidTokenError):
        verifier.verify(f"{HEADER}.{edited}.{SIGNATURE}")


async def test_last_bits_of_a_signature_make_no_second_person() -> None:
    """The last character has spare bits: other spellings are the same person, or nobody."""
    persons = Persons(1, [warmed()])
    person, _ = persons.person_of(GOOD.encode())
    for last in ALPHABET:
        try:
            other, _ = persons.person_of((GOOD[:-1] + last).encode())
        except InvalidTokenError:
            continue
        assert other.id == person.id
        assert unb64(SIGNATURE[:-1] + last) == unb64(SIGNATURE)


async def test_headers_that_are_remembered_have_a_bound() -> None:
    """An issuer that writes a new header into each token fills nothing."""
    verifier = warmed()
    for number in range(3 * KNOWN_HEADERS_MAX):
        given_ = jwt.encode(claims(sub="x"), KEY, headers={"kid": str(number)})
        assert (verifier.verify(given_)).subject == "x"
    assert len(verifier._known_headers) == KNOWN_HEADERS_MAX


async def test_refused_headers_are_not_remembered() -> None:
    """A header comes to be known by a good signature only."""
    verifier = warmed()
    for forged in FORGERIES.values():
        with pytest.raises(InvalidTokenError):
            verifier.verify(forged)
    # Some are signed as they must be, and refused for what they claim: their header is good.
    assert verifier._known_headers <= {part(PLAIN)}


def test_guests_session_names_nobody_of_the_host(
    server: Serving, operator: str, wire: Wire
) -> None:
    """A guest's session with another issuer written over it, on a server that knows the header."""
    room = create_room(server, operator, holders="accounts")
    session = guest(server)
    header, payload, signature = session.split(".")
    read = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    stolen = part(read | {"iss": ISSUER, "sub": "victim"})
    Visitor(wire, room, token("warm up")).join()
    assert Visitor(wire, room, f"{header}.{stolen}.{signature}").join().status == 401
    assert Visitor(wire, room, session).join().json["outcome"] == "account_required"


def test_guests_of_a_server_with_another_secret_are_unknown() -> None:
    """Sessions are signed with a key of their own, derived from the server's secret."""
    session = GuestIssuer(b"another server's secret, 32 bytes").issue()
    with pytest.raises(jwt.InvalidSignatureError):
        jwt.decode(session.token, SECRET, ["HS256"])
