"""Proof of work in the format of ALTCHA (its protocol 1, which widgets up to version 2 speak).

The server picks a secret number n and shows SHA-256(salt + n); the browser counts up until it finds
n, on average after half of `maxnumber` hashes. Checking costs us one hash and one HMAC.

    challenge  {"algorithm", "challenge", "maxnumber", "salt", "signature"}
    answer     base64 of {"algorithm", "challenge", "number", "salt", "signature"}

The salt carries its own terms: `<random>?expires=<seconds>&room=<room>&nonce=<hex>&`. It ends in
`&`, so that digits of n cannot be moved into the salt (the splicing that ALTCHA's advisory of
December 2025 describes).

State       The salts that were spent, each with the holder who spent it, until they expire; at most
            `spent_max` of them in a worker. A salt that is bound to a guest's nonce needs no
            memory: nothing but that nonce can ever join with it, in whatever worker.
Guarantee   An answer is good for one holder, and for her as often as she repeats her join; for
            others it is good at most once in each worker where it names no nonce. What expired is
            never good.
Clock       Wall-clock seconds, passed in: the salt names its own end.
On failure  When the memory is full, no further unbound answer is accepted until some expire.
"""

import binascii
import hmac
import re
from collections.abc import Callable, Sequence
from hashlib import sha256
from secrets import randbelow, token_hex
from uuid import UUID

import msgspec

from sunseo.core.signing import hmac_sha256
from sunseo.room.admission.challenge import ChallengeBody, Challenged, Verdict

ALGORITHM = "SHA-256"
LIFETIME_S = 300  # a slow phone needs seconds; a form left open for a while asks anew
SPENT_MAX = 200_000  # 59 MB in a worker when full: 666 unbound answers a second for their lifetime

_SALT = re.compile(
    r"[0-9a-f]{24}\?expires=(?P<expires>[0-9]{1,12})&room=(?P<room>[0-9]{1,19})"
    r"(?:&nonce=(?P<nonce>[0-9a-f]{32}))?&"
)


class _Answer(msgspec.Struct, frozen=True):
    """What a widget sends; it may send more, for instance how long it took."""

    algorithm: str
    challenge: str
    number: int
    salt: str
    signature: str


_decode = msgspec.json.Decoder(_Answer).decode


class Altcha:
    """Issues and verifies proofs of work.

    Args:
        keys_of: the keys of a room; the first signs, all verify.
        lifetime_s: how long an answer is good.
        spent_max: how many spent salts are remembered.
    """

    def __init__(
        self,
        keys_of: Callable[[int], Sequence[bytes]],
        *,
        lifetime_s: int = LIFETIME_S,
        spent_max: int = SPENT_MAX,
    ) -> None:
        self._keys_of = keys_of
        self._lifetime_s = lifetime_s
        self._spent = _Spent(spent_max)

    def issue(self, room: int, difficulty: int, nonce: UUID | None, now: float) -> ChallengeBody:
        bound = "" if nonce is None else f"nonce={nonce.hex}&"
        expires = int(now) + self._lifetime_s
        salt = f"{token_hex(12)}?expires={expires}&room={room}&{bound}"
        digest = _digest(salt, randbelow(difficulty + 1))
        signature = _signature(self._keys_of(room)[0], digest)
        return ChallengeBody("altcha", ALGORITHM, digest, difficulty, salt, signature)

    async def verify(self, answer: str, asked: Challenged, now: float) -> Verdict:
        solved = _read(answer)
        if solved is None or solved.algorithm != ALGORITHM or solved.number < 0:
            return "failed"
        terms = _SALT.fullmatch(solved.salt)
        if terms is None or int(terms["room"]) != asked.room:
            return "failed"
        expires = int(terms["expires"])
        if expires <= now or (terms["nonce"] or asked.nonce.hex) != asked.nonce.hex:
            return "failed"
        digest = _digest(solved.salt, solved.number)
        keys = self._keys_of(asked.room)
        if not any(_matches(_signature(key, digest), solved.signature) for key in keys):
            return "failed"
        if terms["nonce"] and asked.holder == asked.nonce:
            return "passed"
        return "passed" if self._spent.spend(solved.salt, asked.holder, expires, now) else "failed"


class _Spent:
    """Remembers what was spent, by whom, until it would have expired anyway."""

    def __init__(self, entries_max: int) -> None:
        self._by: dict[str, tuple[UUID, int]] = {}
        self._entries_max = entries_max

    def spend(self, salt: str, holder: UUID, expires: int, now: float) -> bool:
        known = self._by.get(salt)
        if known is not None:
            return known[0] == holder
        self._forget_expired(now)
        if len(self._by) >= self._entries_max:
            return False
        self._by[salt] = (holder, expires)
        return True

    def _forget_expired(self, now: float) -> None:
        """Drop from the oldest on; they were given the same lifetime, so those end first."""
        while self._by:
            salt = next(iter(self._by))
            if self._by[salt][1] > now:
                return
            del self._by[salt]


def solve(challenge: ChallengeBody) -> str | None:
    """Do the work: for tests, rehearsals and clients in Python."""
    salt = challenge.salt or ""
    for number in range((challenge.maxnumber or 0) + 1):
        if _digest(salt, number) == challenge.challenge:
            found = _Answer(
                challenge.algorithm or "",
                challenge.challenge,
                number,
                salt,
                challenge.signature or "",
            )
            encoded = msgspec.json.encode(found)
            return binascii.b2a_base64(encoded, newline=False).decode()
    return None


def _digest(salt: str, number: int) -> str:
    return sha256(f"{salt}{number}".encode()).hexdigest()


def _signature(key: bytes, digest: str) -> str:
    return hmac_sha256(key, digest.encode()).hex()


def _matches(ours: str, theirs: str) -> bool:
    return hmac.compare_digest(ours.encode(), theirs.encode("utf-8", "surrogatepass"))


def _read(answer: str) -> _Answer | None:
    try:
        return _decode(binascii.a2b_base64(answer.encode("ascii")))
    except (ValueError, RecursionError):  # of base64, of ASCII, of JSON; msgspec's are ValueErrors
        return None
