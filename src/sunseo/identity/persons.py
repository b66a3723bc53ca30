"""Persons by JSON Web Token: the host's own issuer, and guest sessions that we sign.

A token's `iss` is read unverified only to choose who verifies it; that verifier then demands its
own issuer, key and algorithm. `PersonVerifier` is the seam for further kinds (JWKS).

State       Verified tokens by their SHA-256, at most `entries_max`, least recently used go first.
Guarantee   A cached token is honoured no longer than its `exp`. Nothing unverified is cached.
Clock       Wall clock, as RFC 7519 says; `LEEWAY_S` for hosts whose clock is a little off.
On failure  Whatever is wrong with a token gives `InvalidTokenError` with a sentence for its bearer.
"""

import hmac
import math
import secrets
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterable
from hashlib import sha256
from typing import Annotated, NamedTuple, Protocol

import jwt
import msgspec
from jwt.algorithms import HMACAlgorithm

from sunseo.core.ids import Person
from sunseo.core.signing import hmac_sha256

GUEST_ISSUER = "sunseo:guest"
ALGORITHM = "HS256"
SECRET_BYTES_MIN = 32  # RFC 7518, 3.2: a key at least as long as the hash
TOKEN_CHARACTERS_MAX = 4096
SUBJECT_CHARACTERS_MAX = 255
LEEWAY_S = 10
EXPIRES_BEFORE = 32_503_680_000  # the year 3000; milliseconds are far beyond, and would never end
CACHED_TOKENS_MAX = 65_536  # about 35 MB in each worker when full
KNOWN_HEADERS_MAX = 16  # an issuer writes one, or one a key

_GUEST_KEY_DOMAIN = b"sunseo guest session v1"


class InvalidTokenError(Exception):
    """A token that does not say who its bearer is; the message is for the bearer."""


class WeakSecretError(ValueError):
    """A secret or issuer in the settings that nobody should rely on; the server does not start."""


class Claims(NamedTuple):
    """What a verified token says."""

    issuer: str
    subject: str
    expires_at: float


class PersonVerifier(Protocol):
    """Verifies tokens of one issuer, without waiting for anything.

    Keys that have to be fetched are fetched beforehand, by a loop of their own.
    """

    issuer: str

    def verify(self, token: str) -> Claims:
        """Check signature, times, audience and issuer.

        Raises:
            InvalidTokenError: something about it is wrong.
        """
        ...


class SharedSecretVerifier:
    """HS256 with a secret shared with the issuer.

    Args:
        audience: demanded when given; without it, a token that names one is refused.
        early_s: how far ahead of ours the issuer's clock may be.

    Raises:
        WeakSecretError: the secret is short or a public key, or the issuer is empty.
    """

    def __init__(
        self,
        issuer: str,
        secret: bytes,
        audience: str | None = None,
        now: Callable[[], float] = time.time,
        early_s: float = LEEWAY_S,
    ) -> None:
        if len(secret) < SECRET_BYTES_MIN:
            raise WeakSecretError(
                f"the secret of issuer {issuer!r} has {len(secret)} bytes; "
                f"{SECRET_BYTES_MIN} or more are needed, for instance from `openssl rand -hex 32`"
            )
        if not issuer:
            raise WeakSecretError("a shared secret needs the name of its issuer")
        self.issuer = issuer
        self._secret = secret
        self._audience = audience
        self._now = now
        self._early_s = early_s
        self._known_headers: set[str] = set()
        self._signatures = jwt.PyJWS(algorithms=[])
        try:
            self._signatures.register_algorithm(ALGORITHM, _CheckedSecret(secret))
        except jwt.InvalidKeyError as error:
            raise WeakSecretError(f"the secret of issuer {issuer!r}: {error}") from None

    def verify(self, token: str) -> Claims:
        try:
            payload = self._payload_of(token)
            claims = _decode_claims(payload)
        except msgspec.ValidationError as error:
            raise InvalidTokenError(
                f"The token's claims are not as they must be: {error}."
            ) from None
        # PyJWT stumbles over some headers with errors that are not its own.
        except (jwt.PyJWTError, ValueError, OverflowError, TypeError, RecursionError):
            raise InvalidTokenError("The token is not valid.") from None
        self._refuse_claims(claims)
        return Claims(self.issuer, claims.sub, claims.exp)

    def _payload_of(self, token: str) -> bytes:
        """Check the signature, and return what is signed.

        An issuer's tokens all begin with the same header. One that PyJWT has accepted before, with
        the right signature after it, needs no second look: at an opening most tokens are seen for
        the first time, and PyJWT takes 40 µs for one, this 4. Whatever else comes is for PyJWT to
        judge.
        """
        signed, _, signature = token.rpartition(".")
        header, _, payload = signed.partition(".")
        if header in self._known_headers:
            expected = urlsafe_b64encode(hmac_sha256(self._secret, signed.encode()))
            if hmac.compare_digest(expected.rstrip(b"="), signature.encode()):
                return urlsafe_b64decode(payload + "=" * (-len(payload) % 4))

        judged: bytes = self._signatures.decode(token, self._secret, algorithms=[ALGORITHM])
        if len(self._known_headers) < KNOWN_HEADERS_MAX:
            self._known_headers.add(header)
        return judged

    def _refuse_claims(self, claims: "_TokenClaims") -> None:
        """Check what RFC 7519 says of times, issuer and audience.

        Raises:
            InvalidTokenError: a claim speaks against the token.
        """
        now = self._now()
        if claims.exp <= now - LEEWAY_S:
            raise InvalidTokenError("The token has expired.")
        if claims.exp >= EXPIRES_BEFORE:
            raise InvalidTokenError("The token's `exp` must be in seconds.")
        if max(claims.nbf, claims.iat) > now + self._early_s:
            raise InvalidTokenError("The token is not valid yet.")
        if claims.iss != self.issuer:
            raise InvalidTokenError("The token is not valid.")
        meant_for = [claims.aud] if isinstance(claims.aud, str) else claims.aud or []
        if (self._audience not in meant_for) if self._audience else meant_for:
            raise InvalidTokenError("The token is not meant for this service.")
        if not claims.sub.isprintable():
            raise InvalidTokenError("The token's `sub` must be printable characters.")


class _TokenClaims(msgspec.Struct, frozen=True, gc=False):
    """The claims that concern us; a token may have more."""

    iss: str
    sub: Annotated[str, msgspec.Meta(min_length=1, max_length=SUBJECT_CHARACTERS_MAX)]
    exp: float
    nbf: float = 0.0
    iat: float = 0.0
    aud: str | list[str] | None = None


_decode_claims = msgspec.json.Decoder(_TokenClaims).decode


class _CheckedSecret(HMACAlgorithm):
    """HS256 with a secret that was checked once, when the server started.

    PyJWT looks at every token's key anew, whether it is perhaps a public key in disguise; that is
    a third of the time a token takes.
    """

    def __init__(self, secret: bytes) -> None:
        super().__init__(self.SHA256)
        self._prepared = super().prepare_key(secret)

    def prepare_key(self, key: str | bytes) -> bytes:  # noqa: ARG002 - there is one key
        return self._prepared


class GuestSession(NamedTuple):
    token: str
    subject: str
    expires_at: int


class GuestIssuer:
    """Signs and verifies guest sessions with a key derived from our own secret."""

    issuer = GUEST_ISSUER

    def __init__(
        self, secret: bytes, *, lifetime_s: int = 86_400, now: Callable[[], float] = time.time
    ) -> None:
        if len(secret) < SECRET_BYTES_MIN:
            raise WeakSecretError(
                f"the secret has {len(secret)} bytes; {SECRET_BYTES_MIN} or more are needed"
            )
        # Derived, so that no other use of the secret can be made to sign a session.
        self._key = hmac_sha256(secret, _GUEST_KEY_DOMAIN)
        self._lifetime_s = lifetime_s
        self._now = now
        # Who was told that her session has not begun yet would get another one, and lose her place:
        # what we have signed has begun, however far ahead the clock of that server is.
        self._verifier = SharedSecretVerifier(GUEST_ISSUER, self._key, early_s=math.inf)

    def issue(self) -> GuestSession:
        issued_at = int(self._now())
        subject = secrets.token_hex(16)
        expires_at = issued_at + self._lifetime_s
        claims = {"iss": GUEST_ISSUER, "sub": subject, "iat": issued_at, "exp": expires_at}
        return GuestSession(jwt.encode(claims, self._key, ALGORITHM), subject, expires_at)

    def verify(self, token: str) -> Claims:
        return self._verifier.verify(token)


class _Issuer(msgspec.Struct):
    iss: str


_decode_issuer = msgspec.json.Decoder(_Issuer).decode


class _Known(NamedTuple):
    person: Person
    log_name: str
    expires_at: float


class Persons:
    """Knows persons by their tokens.

    Args:
        organisation: the organisation whose persons they are.
        verifiers: one for each issuer.
        now: wall clock in seconds.
    """

    def __init__(
        self,
        organisation: int,
        verifiers: Iterable[PersonVerifier],
        *,
        entries_max: int = CACHED_TOKENS_MAX,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._organisation = organisation
        self._verifiers: dict[str, PersonVerifier] = {}
        for verifier in verifiers:
            if verifier.issuer in self._verifiers:
                raise WeakSecretError(
                    f"two verifiers for issuer {verifier.issuer!r}; {GUEST_ISSUER!r} is our own"
                )
            self._verifiers[verifier.issuer] = verifier
        self._known: dict[bytes, _Known] = {}
        self._entries_max = entries_max
        self._now = now

    def person_of(self, token: bytes) -> tuple[Person, str]:
        """The bearer of a token, and the short name under which logs know her.

        Raises:
            InvalidTokenError: it does not verify.
        """
        digest = sha256(token).digest()
        known = self._known.pop(digest, None)
        if known is None:
            known = self._verify(token)
            if len(self._known) >= self._entries_max:
                self._known.pop(next(iter(self._known)), None)
        elif known.expires_at + LEEWAY_S <= self._now():
            raise InvalidTokenError("The token has expired.")
        self._known[digest] = known  # at the end: most recently used
        return known.person, known.log_name

    def _verify(self, token: bytes) -> _Known:
        text = _text_of(token)
        verifier = self._verifiers.get(_issuer_of(text))
        if verifier is None:
            raise InvalidTokenError("The token's issuer is not known here.")
        claims = verifier.verify(text)
        person = Person.named(self._organisation, claims.issuer, claims.subject)
        return _Known(person, person.id.hex[:12], claims.expires_at)


def _text_of(token: bytes) -> str:
    if len(token) > TOKEN_CHARACTERS_MAX:
        raise InvalidTokenError(f"The token is longer than {TOKEN_CHARACTERS_MAX} characters.")
    try:
        return token.decode("ascii")
    except UnicodeDecodeError:
        raise InvalidTokenError("The token is not a JSON Web Token.") from None


def _issuer_of(token: str) -> str:
    """The issuer that a token claims to have. Not verified: only to choose who verifies it."""
    try:
        payload = token.split(".")[1]
        padded = payload + "=" * (-len(payload) % 4)
        return _decode_issuer(urlsafe_b64decode(padded)).iss
    except (IndexError, ValueError, RecursionError):
        raise InvalidTokenError("The token is not a JSON Web Token with an issuer.") from None
