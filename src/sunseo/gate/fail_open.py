"""The fail mode "open": newcomers go in while the room cannot be reached, so many a second.

State       When the bucket of admissions is full again.
Guarantee   At most the rate a second, and once as many at once. Who was let in stays welcome for
            `STAY_S`, by a signed cookie that all processes of a site accept if their gate keys hold
            a secret; with public keys each process lets in for itself.
Clock       Monotonic for the bucket, the room's for cookies.
On failure  A cookie that is edited or old is none.
"""

import secrets
import threading

from sunseo.core.signing import decode_base64url, encode_base64url, mac16, mac_matches
from sunseo.passes.keys import GateKeys

STAY_S = 300
_PREFIX = b"sunseo:open:v1\0"
_SINCE_BYTES = 8


class FailOpen:
    """Lets in up to a rate, and knows again whom it let in."""

    def __init__(self, keys: GateKeys) -> None:
        shared = keys.keys[0].pass_key
        self._key = (
            secrets.token_bytes(32)
            if shared is None
            else mac16(decode_base64url(shared), b"sunseo:key:v1\0open\0")
        )
        self._full_at_ms = 0.0
        self._lock = threading.Lock()

    def take(self, per_s: float, monotonic_ms: float) -> bool:
        """Whether one more may go in now."""
        with self._lock:
            full_at = max(self._full_at_ms, monotonic_ms)
            if full_at - monotonic_ms > 1000 - 1000 / max(per_s, 1):
                return False
            self._full_at_ms = full_at + 1000 / per_s
            return True

    def ticket(self, now_ms: float) -> str:
        since = int(now_ms).to_bytes(_SINCE_BYTES, "big")
        return encode_base64url(since + mac16(self._key, _PREFIX + since))

    def knows(self, text: str, now_ms: float) -> bool:
        try:
            raw = decode_base64url(text)
        except ValueError:
            return False
        since, mac = raw[:_SINCE_BYTES], raw[_SINCE_BYTES:]
        if not mac_matches(self._key, _PREFIX + since, mac):
            return False
        return now_ms - int.from_bytes(since, "big") < STAY_S * 1000
