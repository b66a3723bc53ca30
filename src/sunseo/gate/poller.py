"""Keeps the room's state document at hand, so that no request has to ask for it.

State       The newest document that verified, the room's clock, how often in a row it failed.
Guarantee   A document that is not signed by the room, or is older than the one at hand, changes
            nothing. What requests read is replaced whole, never edited.
Clock       Monotonic; the room's own time is learnt from the documents.
On failure  The last document stays, and grows old; the core says what that means. Tries go on,
            further apart and not in step with other gates.
"""

import logging
import random
import threading
import time
from collections.abc import Callable

from sunseo.gate.origin import LOST, Origin
from sunseo.gate.verifier import PassVerifier, RoomClock, RoomState, StateError, is_older

log = logging.getLogger("sunseo.gate")

REFRESH_S = 1.0  # as often as caches may renew the document
RETRY_S_MAX = 5.0


def monotonic_ms() -> float:
    return time.monotonic() * 1000


class Poller:
    """Reads the state document once a second, in a thread of its own.

    Args:
        origin: a connection that nobody else uses.
        verifier: of the room.
    """

    def __init__(self, origin: Origin, verifier: PassVerifier) -> None:
        self._origin = origin
        self._verifier = verifier
        self._path = f"/v1/rooms/{verifier.room}/state"
        self._etag: str | None = None
        self._stopped = threading.Event()
        self.looked = threading.Event()  # set after each look, for tests and for who waits
        self.clock = RoomClock(time.time() * 1000, monotonic_ms())
        self.state: RoomState | None = None
        self.failures = 0

    def look_once(self) -> bool:
        """Read the document once; whether it was a good one."""
        try:
            self._take(monotonic_ms)
        except (*LOST, StateError) as error:
            self.failures += 1
            if self.failures == 1:
                log.warning("room %d: the state cannot be read: %s", self._verifier.room, error)
            return False
        else:
            if self.failures:
                log.info("room %d: the state can be read again", self._verifier.room)
            self.failures = 0
            return True
        finally:
            self.looked.set()

    def _take(self, clock_ms: Callable[[], float]) -> None:
        headers = {} if self._etag is None else {"if-none-match": self._etag}
        answered = self._origin.ask("GET", self._path, headers=headers)
        if answered.status == 304 and self._etag is not None:
            return
        if answered.status != 200:
            raise StateError(f"Sunseo answered {answered.status}")
        state = self._verifier.state(answered.body)
        known = self.state
        if known is not None and is_older(state, known):
            return  # a cache, or another server, is behind
        if known is not None and state.epoch == known.epoch and state.now < known.now:
            self.clock.forget()
        self.clock.learn(state.now, clock_ms())
        self.state = state
        self._etag = answered.headers.get("etag")

    def run(self) -> None:
        while not self._stopped.is_set():
            self.look_once()
            pause_s = min(RETRY_S_MAX, REFRESH_S * (1 + self.failures))
            self._stopped.wait(pause_s * random.uniform(0.9, 1.1))  # noqa: S311 - jitter guards nothing
        self._origin.close()

    def start(self) -> None:
        threading.Thread(target=self.run, name="sunseo-gate-state", daemon=True).start()

    def stop(self) -> None:
        self._stopped.set()
