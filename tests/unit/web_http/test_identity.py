"""Who calls: tokens and keys, and those who forge them."""

import base64
import hashlib
import hmac
import json
import time
from typing import Any

import jwt
import pytest

from sunseo.core.ids import Person
from sunseo.identity.guests import guest_endpoints
from sunseo.identity.operator_keys import OperatorKeys, digest_of, new_operator_key
from sunseo.identity.persons import (
    GUEST_ISSUER,
    Claims,
    GuestIssuer,
    InvalidTokenError,
    Persons,
    SharedSecretVerifier,
    WeakSecretError,
)
from tests.asgi import Response, ask
from tests.unit.web_http.shop import ISSUER, OPERATOR, SECRET, Shop, person_headers, token


async def hold_with(bearer: str, shop: Shop | None = None) -> Response:
    return await ask(
        (shop or Shop()).app,
        "POST",
        "/v1/sales/1/holds",
        b"{}",
        headers=person_headers(bearer=bearer),
    )


def forged(header: dict[str, Any], claims: Any, key: bytes = b"", digest: str = "sha256") -> str:
    """A token made by hand, as an attacker would."""

    def part(value: Any) -> bytes:
        raw = value if isinstance(value, bytes) else json.dumps(value).encode()
        return base64.urlsafe_b64encode(raw).rstrip(b"=")

    signed = part(header) + b"." + part(claims)
    signature = hmac.digest(key, signed, digest) if key else b""
    return (signed + b"." + part(signature)).decode()


def claims(**other: Any) -> dict[str, Any]:
    return {"iss": ISSUER, "sub": "user-1", "exp": int(time.time()) + 3600, **other}


HOUR = 3600
NOW = int(time.time())
FORGERIES = {
    "no algorithm": forged({"alg": "none", "typ": "JWT"}, claims()),
    "no algorithm, capitals": forged({"alg": "nOnE"}, claims()),
    "no algorithm, signed": forged({"alg": "none"}, claims(), SECRET),
    "another hash": forged({"alg": "HS512"}, claims(), SECRET, "sha512"),
    "an asymmetric name": forged({"alg": "RS256"}, claims(), SECRET),
    "algorithm is a list": forged({"alg": ["HS256"]}, claims(), SECRET),
    "algorithm is missing": forged({"typ": "JWT"}, claims(), SECRET),
    "another secret": forged({"alg": "HS256"}, claims(), b"x" * 32),
    "empty secret": forged({"alg": "HS256"}, claims(), b"\x00"),
    "a critical extension": forged({"alg": "HS256", "crit": ["exp"]}, claims(), SECRET),
    "signature cut off": token().rpartition(".")[0] + ".",
    "claims exchanged": ".".join(
        [
            token().split(".")[0],
            forged({}, claims(sub="victim")).split(".")[1],
            token().split(".")[2],
        ]
    ),
    "guest issuer with the host's secret": token(iss=GUEST_ISSUER),
    "guest issuer with the raw secret": forged({"alg": "HS256"}, claims(iss=GUEST_ISSUER), SECRET),
    "unknown issuer": token(iss="https://other.example"),
    "issuer is a list": forged({"alg": "HS256"}, claims(iss=[ISSUER]), SECRET),
    "issuer is missing": token(iss=None),
    "expired": token(exp=NOW - HOUR),
    "expires never": token(exp=None),
    "expires at infinity": forged(
        {"alg": "HS256"}, b'{"iss":"%s","sub":"a","exp":1e999}' % ISSUER.encode(), SECRET
    ),
    "expires in milliseconds": token(exp=(NOW + HOUR) * 1000),
    "not before in milliseconds": token(nbf=(NOW - HOUR) * 1000),
    "expires at text": forged({"alg": "HS256"}, claims(exp="soon"), SECRET),
    "expires at a list": forged({"alg": "HS256"}, claims(exp=[1]), SECRET),
    "not valid yet": token(nbf=NOW + HOUR),
    "issued in the future": token(iat=NOW + HOUR),
    "for somebody else": token(aud="other-service"),
    "subject missing": token(sub=None),
    "subject empty": token(sub=""),
    "subject too long": token(sub="s" * 256),
    "subject with NUL": token(sub="a\x00b"),
    "subject with newline": token(sub="a\nb"),
    "subject is a number": forged({"alg": "HS256"}, claims(sub=1), SECRET),
    "claims are a list": forged({"alg": "HS256"}, [1], SECRET),
    "claims nest deeply": forged({"alg": "HS256"}, b"[" * 2000 + b"]" * 2000, SECRET),
    "header nests deeply": forged({"alg": "HS256", "x": 1}, claims(), SECRET).replace(
        "eyJ", base64.urlsafe_b64encode(b"[" * 2100).decode().rstrip("="), 1
    ),
    "two dots": "..",
    "four dots": "a.b.c.d.e",
    "no dot": "abc",
    "not base64": "a.!!!.c",
    "huge": token(pad="x" * 8000),
    "very huge": "a" * 20_000,
    "not ASCII": "tökén",
}


@pytest.mark.parametrize("name", FORGERIES)
async def test_forged_token_is_unauthenticated(name: str) -> None:
    """No forgery gets past: 401 with a challenge, and the handler never hears of it."""
    shop = Shop()

    response = await hold_with(FORGERIES[name], shop)

    if name == "very huge":
        assert response.status == 431
    else:
        assert response.status == 401
        assert response.json["outcome"] in ("invalid_credential", "credential_required")
        assert response.headers["www-authenticate"].startswith('Bearer realm="sunseo"')
    assert shop.calls == []


def test_public_key_as_secret_is_not_possible() -> None:
    """Algorithm confusion needs a verifier that takes a public key for a secret; ours refuses."""
    pem = b"-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----\n" + b"x" * 32

    with pytest.raises(WeakSecretError):
        SharedSecretVerifier(ISSUER, pem)


async def test_person_is_named_by_issuer_and_subject() -> None:
    """The same subject under two issuers is two persons."""
    shop = Shop()

    await hold_with(token(sub="ann"), shop)
    await hold_with(shop.guests.issue().token, shop)

    assert shop.calls[0].person == Person.named(1, ISSUER, "ann")
    assert shop.calls[1].person.issuer == GUEST_ISSUER


async def test_cached_token_ends_with_its_exp() -> None:
    """A token that was verified once is refused as soon as its `exp` and the leeway are over."""
    now = time.time()
    clock = [now]
    persons = Persons(1, [SharedSecretVerifier(ISSUER, SECRET)], now=lambda: clock[0])
    bearer = token(exp=int(now) + 60).encode()
    persons.person_of(bearer)

    clock[0] = now + 59
    persons.person_of(bearer)

    clock[0] = now + 71
    with pytest.raises(InvalidTokenError):
        persons.person_of(bearer)


async def test_cache_of_tokens_is_bounded() -> None:
    """Of more persons than the cache holds, those seen least recently are verified again."""

    class Counting(SharedSecretVerifier):
        seen: list[str] = []  # noqa: RUF012 - one test, one class

        def verify(self, token: str) -> Claims:
            verified = super().verify(token)
            self.seen.append(verified.subject)
            return verified

    verifier = Counting(ISSUER, SECRET)
    persons = Persons(1, [verifier], entries_max=2)
    tokens = {name: token(sub=name).encode() for name in "abc"}

    for name in "aababcba":
        persons.person_of(tokens[name])

    assert verifier.seen == ["a", "b", "c", "a"]
    assert len(persons._known) == 2


async def test_audience_is_demanded_where_configured() -> None:
    """With an audience in the settings, a token must name it."""
    verifier = SharedSecretVerifier(ISSUER, SECRET, "booking")

    assert verifier.verify(token(aud="booking")).subject == "user-1"
    assert verifier.verify(token(aud=["web", "booking"])).subject == "user-1"
    for bearer in (token(), token(aud="other")):
        with pytest.raises(InvalidTokenError):
            verifier.verify(bearer)


def test_weak_settings_stop_the_start() -> None:
    """Short secrets, a nameless issuer and a host that calls itself our guests are refused."""
    with pytest.raises(WeakSecretError):
        SharedSecretVerifier(ISSUER, b"short")
    with pytest.raises(WeakSecretError):
        SharedSecretVerifier("", SECRET)
    with pytest.raises(WeakSecretError):
        GuestIssuer(b"short")
    with pytest.raises(WeakSecretError):
        Persons(1, [GuestIssuer(SECRET), SharedSecretVerifier(GUEST_ISSUER, SECRET)])


def test_guest_key_is_not_the_secret() -> None:
    """The derived key signs differently from the secret that it comes from."""
    session = GuestIssuer(SECRET).issue()

    with pytest.raises(jwt.InvalidSignatureError):
        jwt.decode(session.token, SECRET, algorithms=["HS256"])


@pytest.mark.parametrize(
    "authorization",
    ["", "Bearer", "Bearer ", "Basic abc", "Bearer a b", "bearer\tx", "Bearer " + "x" * 9000],
)
async def test_unusable_authorization_is_challenged(authorization: str) -> None:
    """Without a usable credential the answer says how to bring one."""
    headers = {**person_headers(), "Authorization": authorization}

    response = await ask(Shop().app, "POST", "/v1/sales/1/holds", b"{}", headers=headers)

    assert response.status == 401
    assert "www-authenticate" in response.headers


async def test_identity_is_asked_before_the_body() -> None:
    """Somebody without a credential cannot make us read a body."""
    response = await ask(Shop().app, "POST", "/v1/sales/1/holds", b"not json")

    assert (response.status, response.json["outcome"]) == (401, "credential_required")


async def pause_with(bearer: str, shop: Shop | None = None) -> Response:
    return await ask(
        (shop or Shop()).app,
        "POST",
        "/v1/sales/1/pause",
        headers={"Authorization": f"Bearer {bearer}"},
    )


async def test_operator_key_opens_operators_endpoints() -> None:
    """A stored key is let in and its id reaches the handler."""
    shop = Shop()

    assert (await pause_with(OPERATOR.text, shop)).status == 200
    assert shop.calls[0].operator == OPERATOR.key_id


@pytest.mark.parametrize(
    "key",
    [
        OPERATOR.text[:-1] + ("A" if OPERATOR.text[-1] != "A" else "B"),
        OPERATOR.text + "A",
        OPERATOR.text.upper(),
        new_operator_key().text,
        f"sunseo_{OPERATOR.key_id}_",
        f"sunseo_{OPERATOR.key_id}",
        "sunseo_",
        "sunseo_\xff",
        "sunseo_" + "a" * 4000,
    ],
    ids=[
        "other end", "longer", "upper case", "unknown", "no secret", "no end", "no id", "not ASCII",
        "too long",
    ],
)  # fmt: skip
async def test_wrong_operator_key_is_unauthenticated(key: str) -> None:
    """A key that differs in anything is 401."""
    shop = Shop()

    response = await pause_with(key, shop)

    assert (response.status, response.json["outcome"]) == (401, "invalid_credential")
    assert shop.calls == []


async def test_credentials_of_the_other_kind_are_forbidden() -> None:
    """A valid credential of the wrong kind is 403; an invalid one stays 401."""
    assert (await pause_with(token())).status == 403
    assert (await pause_with(token(exp=NOW - HOUR))).status == 401
    assert (await hold_with(OPERATOR.text)).status == 403
    assert (await hold_with(new_operator_key().text)).status == 401


async def test_unreachable_key_store_is_not_a_wrong_key() -> None:
    """When keys cannot be looked up, the answer is 503, so that nobody throws a good key away."""
    shop = Shop()

    response = await pause_with("sunseo_unreachab2_" + "A" * 43, shop)

    assert (response.status, response.json["outcome"]) == (503, "unavailable")
    assert int(response.headers["retry-after"]) >= 1


async def test_keys_are_looked_up_once_and_revoked_in_time() -> None:
    """A lookup serves for its time to live, present or absent; then revocation is seen."""
    key = new_operator_key()
    stored: dict[str, bytes] = {key.key_id: key.digest}
    asked: list[str] = []
    clock = [0.0]

    async def look_up(key_id: str) -> bytes | None:
        asked.append(key_id)
        return stored.get(key_id)

    keys = OperatorKeys(look_up, ttl_s=5.0, monotonic=lambda: clock[0])
    other = new_operator_key()

    assert [await keys.verify(key.text) for _ in range(3)] == [key.key_id] * 3
    assert [await keys.verify(other.text) for _ in range(3)] == [None] * 3
    assert asked == [key.key_id, other.key_id]

    stored.clear()
    clock[0] = 5.1
    assert await keys.verify(key.text) is None


async def test_key_cache_is_bounded() -> None:
    """Guessing key ids cannot fill memory."""

    async def look_up(_: str) -> None:
        return None

    keys = OperatorKeys(look_up, entries_max=10)
    for _ in range(50):
        await keys.verify(new_operator_key().text)

    assert len(keys._digests) <= 10


def test_operator_key_has_256_random_bits_and_stores_a_digest() -> None:
    """The text has id and secret, the store gets SHA-256 of it."""
    key = new_operator_key()

    assert len(base64.urlsafe_b64decode(key.text.split("_", 2)[2] + "=")) == 32
    assert key.digest == hashlib.sha256(key.text.encode()).digest() == digest_of(key.text)
    assert new_operator_key().text != key.text


async def test_guest_session_names_a_new_person_each_time() -> None:
    """`POST /v1/guests` gives a token with which its person is known."""
    shop = Shop()
    create = guest_endpoints(1, shop.guests)[0]
    first = (await create.handler(None)).body  # type: ignore[arg-type, union-attr]  # it reads nothing
    second = (await create.handler(None)).body  # type: ignore[arg-type, union-attr]  # it reads nothing

    await hold_with(first.token, shop)  # type: ignore[union-attr]  # a GuestBody

    assert shop.calls[0].person.id == first.person  # type: ignore[union-attr]  # a GuestBody
    assert first.person != second.person  # type: ignore[union-attr]  # a GuestBody


async def test_a_person_may_be_optional() -> None:
    """Without a token nobody is known; with one it is its person; neither is kept by caches."""
    shop = Shop()

    nobody = await ask(shop.app, "POST", "/join", b"")
    somebody = await ask(shop.app, "POST", "/join", b"", headers=person_headers())

    assert [call.known_person for call in shop.calls] == [
        None,
        Person.named(1, ISSUER, "user-1"),
    ]
    assert {nobody.status, somebody.status} == {200}
    assert {nobody.headers["cache-control"], somebody.headers["cache-control"]} == {"no-store"}


@pytest.mark.parametrize(
    ("authorization", "status", "outcome"),
    [
        ("Bearer forged", 401, "invalid_credential"),
        ("Basic dXNlcjpwYXNz", 401, "credential_required"),
        (f"Bearer {OPERATOR.text}", 403, "wrong_credential"),
    ],
    ids=["forged", "another scheme", "an operator's key"],
)
async def test_an_optional_person_is_never_guessed(
    authorization: str, status: int, outcome: str
) -> None:
    """A token that is not valid is refused: its bearer thinks that she is somebody."""
    shop = Shop()

    refused = await ask(shop.app, "POST", "/join", b"", headers={"Authorization": authorization})

    assert (refused.status, refused.json["outcome"]) == (status, outcome)
    assert shop.calls == []
