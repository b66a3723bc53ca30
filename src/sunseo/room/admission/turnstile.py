"""Cloudflare Turnstile, or any service that speaks its `siteverify`.

    POST siteverify   secret, response, remoteip, idempotency_key (form)
    answer            {"success": bool, "error-codes": [...], …}

A token is good once. The idempotency key is made of holder and token, so that a visitor whose join
was lost on the way may send the same token again.

State       A pool of connections to the service, opened with the first question.
Guarantee   A yes comes only from the service's own answer. No lock, transaction or connection of
            ours is held meanwhile.
Clock       A monotonic time-out on the whole question.
On failure  No answer in time, or one that is none, is `unknown`; what then becomes of the visitor
            is a setting, and each time is counted.
"""

from collections.abc import Callable
from hashlib import sha256
from uuid import UUID

import aiohttp
import msgspec

from sunseo.room.admission.challenge import ChallengeBody, Challenged, Verdict

SITEVERIFY = "https://challenges.cloudflare.com/turnstile/v0/siteverify"
ANSWER_BYTES_MAX = 16_384
# The service's own faults, and ours: neither speaks against the visitor.
NOT_HER_FAULT = frozenset({"internal-error", "missing-input-secret", "invalid-input-secret"})


class _Answer(msgspec.Struct, frozen=True):
    success: bool
    error_codes: list[str] = msgspec.field(default_factory=list, name="error-codes")


_decode = msgspec.json.Decoder(_Answer).decode


class Turnstile:
    """Asks the service about each token.

    Args:
        site_key: for the widget on the page.
        secret: for the service.
        url: of its `siteverify`.
        timeout_s: for the whole question.
        on_failure: told, by a short word, whenever the service gave no verdict.
    """

    def __init__(
        self,
        site_key: str,
        secret: str,
        *,
        url: str = SITEVERIFY,
        timeout_s: float = 3.0,
        on_failure: Callable[[str], object] = lambda _: None,
    ) -> None:
        self._site_key = site_key
        self._secret = secret
        self._url = url
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self._on_failure = on_failure
        self._session: aiohttp.ClientSession | None = None

    def issue(self, room: int, difficulty: int, nonce: UUID | None, now: float) -> ChallengeBody:  # noqa: ARG002 - the service makes its own challenges
        return ChallengeBody("turnstile", sitekey=self._site_key)

    async def verify(self, answer: str, asked: Challenged, now: float) -> Verdict:  # noqa: ARG002 - the service has its own clock
        try:
            verdict = _decode(await self._ask(answer, asked))
        except TimeoutError:
            return self._unknown("timeout")
        except (aiohttp.ClientError, OSError):
            return self._unknown("unreachable")
        except msgspec.DecodeError:
            return self._unknown("not_json")
        if verdict.success:
            return "passed"
        if NOT_HER_FAULT.intersection(verdict.error_codes):
            return self._unknown("refused_us")
        return "failed"

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def _ask(self, answer: str, asked: Challenged) -> bytes:
        if self._session is None:
            # Its own connections only: a redirect or a proxy variable must not lead elsewhere.
            self._session = aiohttp.ClientSession(timeout=self._timeout, trust_env=False)
        form = {
            "secret": self._secret,
            "response": answer,
            "idempotency_key": str(_repeatable(asked, answer)),
        }
        if asked.client is not None:
            form["remoteip"] = asked.client
        async with self._session.post(self._url, data=form, allow_redirects=False) as response:
            return await response.content.read(ANSWER_BYTES_MAX)

    def _unknown(self, why: str) -> Verdict:
        self._on_failure(why)
        return "unknown"


def _repeatable(asked: Challenged, answer: str) -> UUID:
    digest = sha256(asked.holder.bytes + answer.encode("utf-8", "surrogatepass")).digest()
    return UUID(bytes=digest[:16], version=4)
