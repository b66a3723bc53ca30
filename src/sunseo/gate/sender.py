"""Carries what the gate has to tell Sunseo: renewals, ended passes, how slow the site is.

State       Renewals asked for, by pass id; renewed passes not yet handed out; ended passes to tell.
Guarantee   Requests never wait for the network here: they leave a note, and the thread takes up to
            200 notes in one request. One pass has one renewal under way. All notes have a bound.
Clock       The room's time, for what has expired; monotonic for pauses.
On failure  A batch is tried again until its passes have expired: an answer that was lost is then
            repeated by Sunseo within the renewal's grace. What cannot be told is counted.
"""

import json
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Literal, NamedTuple
from uuid import UUID

from sunseo.gate.origin import LOST, Origin, OriginAnswer
from sunseo.gate.verifier import PassVerifier
from sunseo.passes.tokens import Pass, TokenError

log = logging.getLogger("sunseo.gate")

Command = Literal["complete", "leave", "revoke"]
COMMANDS: frozenset[str] = frozenset(("complete", "leave", "revoke"))

BATCH_MAX = 200  # what Sunseo takes at once
NOTES_MAX = 10_000
GATHER_S = 0.01  # notes that arrive together travel together
PAUSE_S = 1.0  # between looks at the clock when there is nothing to carry
RETRY_S = 0.2
SIGNAL_EVERY_S = 5.0
MEASURED_MAX = 4096  # answers of which the p99 is taken

_OVER = frozenset(("pass_revoked", "pass_done", "unknown_pass"))
_LATER = frozenset(("busy", "locked", "outcome_unknown", "unreadable"))


class RenewedText(NamedTuple):
    """A pass that was renewed and waits for its visitor."""

    ticket: Pass
    text: str


class _Note(NamedTuple):
    ticket: Pass
    text: str
    answer: "Future[RenewedText | None]"


class _Ended(NamedTuple):
    command: Command
    ticket: Pass
    text: str


class SignalOptions(NamedTuple):
    """Where the site's p99 is told, if it is: with an operator key, against a target."""

    operator_key: str
    target_s: float
    source: str = "gate"


class Sender:
    """One thread between the gate and Sunseo.

    Args:
        origin: a connection that nobody else uses.
        verifier: of the room.
        now_ms: the room's time.
        signals: None tells nobody how slow the site is.
    """

    def __init__(
        self,
        origin: Origin,
        verifier: PassVerifier,
        now_ms: Callable[[], float],
        signals: SignalOptions | None = None,
    ) -> None:
        self._origin = origin
        self._verifier = verifier
        self._now_ms = now_ms
        self._signals = signals
        self._base = f"/v1/rooms/{verifier.room}"
        self._lock = threading.Lock()
        self._notes: dict[UUID, _Note] = {}
        self._endings: deque[_Ended] = deque(maxlen=NOTES_MAX)
        self._settled: dict[UUID, int] = {}  # renewal refused; until when (expiry) not to ask again
        self._wake = threading.Event()
        self._stopped = False
        self._signal_due = time.monotonic() + SIGNAL_EVERY_S
        self.renewed: dict[UUID, RenewedText] = {}
        self.ended: dict[UUID, int] = {}  # passes that are over, until their expiry
        self.seconds: deque[float] = deque(maxlen=MEASURED_MAX)
        self.dropped = 0

    # Notes from requests

    def ask_renewal(self, ticket: Pass, text: str) -> "Future[RenewedText | None] | None":
        """Have a pass renewed. The answer is None where Sunseo refuses; no Future: do not ask."""
        pass_id = ticket.pass_id
        with self._lock:
            if pass_id in self._settled or pass_id in self.ended:
                return None
            note = self._notes.get(pass_id)
            if note is None:
                if len(self._notes) >= NOTES_MAX:
                    self.dropped += 1
                    return None
                note = self._notes[pass_id] = _Note(ticket, text, Future())
        self._wake.set()
        return note.answer

    def end(self, command: Command, ticket: Pass, text: str) -> None:
        """A pass is over: here at once, at Sunseo as soon as it can be told."""
        with self._lock:
            self.ended[ticket.pass_id] = ticket.expires_at_ms
            self._endings.append(_Ended(command, ticket, text))
        self._wake.set()

    def pass_of(self, ticket: Pass) -> RenewedText | None:
        """A newer edition of this pass, if there is one here."""
        renewed = self.renewed.get(ticket.pass_id)
        if renewed is None or renewed.ticket.renewal <= ticket.renewal:
            return None
        return renewed

    # The thread

    def run(self) -> None:
        while not self._stopped:
            self._wake.wait(PAUSE_S)
            self._wake.clear()
            time.sleep(GATHER_S)
            if not self.run_once():
                time.sleep(RETRY_S)
                self._wake.set()
        self._origin.close()

    def run_once(self) -> bool:
        """Carry all that is there; False where something has to be tried again."""
        done = self._renew() and self._tell_endings()
        self._tell_signals()
        self._forget()
        return done

    def _renew(self) -> bool:
        while True:
            with self._lock:
                batch = list(self._notes.values())[:BATCH_MAX]
            if not batch:
                return True
            answered = self._ask("/renew", {"passes": [note.text for note in batch]})
            if answered is None:
                return False
            settled = [
                self._settle(note, item)
                for note, item in zip(batch, _items(answered, len(batch)), strict=True)
            ]
            if not all(settled):
                return False

    def _settle(self, note: _Note, item: dict[str, Any]) -> bool:
        """Take the answer about one pass; False where it is to be asked for again."""
        if item.get("outcome") in _LATER:
            return False
        renewed = self._renewed_from(note.ticket, item.get("pass"))
        pass_id = note.ticket.pass_id
        with self._lock:
            self._notes.pop(pass_id, None)
            if renewed is not None:
                self.renewed[pass_id] = renewed
            else:
                self._settled[pass_id] = note.ticket.expires_at_ms
                if item.get("outcome") in _OVER:
                    self.ended[pass_id] = note.ticket.expires_at_ms
        if not note.answer.done():
            note.answer.set_result(renewed)
        return True

    def _renewed_from(self, ticket: Pass, text: Any) -> RenewedText | None:
        """A newer edition of the same pass, or None: Sunseo's word is checked like anybody's."""
        if not isinstance(text, str):
            return None
        try:
            renewed: Pass = self._verifier.open(text)
        except TokenError as error:
            log.warning("room %d: a renewed pass is refused: %s", self._verifier.room, error)
            return None
        if renewed.pass_id != ticket.pass_id or renewed.renewal <= ticket.renewal:
            return None
        return RenewedText(renewed, text)

    def _tell_endings(self) -> bool:
        while self._endings:
            ended = self._endings[0]
            path = "/complete" if ended.command == "complete" else "/leave"
            body: dict[str, Any] = {"pass": ended.text}
            if ended.command == "revoke":  # listed, so that other processes and gates hear of it
                body["revoke"] = True
            if self._ask(path, body) is None:
                return False
            self._endings.popleft()
        return True

    def _tell_signals(self) -> None:
        if self._signals is None or time.monotonic() < self._signal_due:
            return
        self._signal_due = time.monotonic() + SIGNAL_EVERY_S
        measured = sorted(self.seconds)
        self.seconds.clear()
        if measured:
            p99_s = measured[min(len(measured) - 1, len(measured) * 99 // 100)]
            told = {
                "source": self._signals.source,
                "measured": round(p99_s, 6),
                "target": self._signals.target_s,
            }
            key = {"authorization": f"Bearer {self._signals.operator_key}"}
            self._ask("/signals", told, key)

    def _ask(
        self, path: str, body: dict[str, Any], headers: dict[str, str] | None = None
    ) -> OriginAnswer | None:
        """One request; None where it makes sense to repeat it."""
        try:
            answered = self._origin.ask("POST", self._base + path, body, headers)
        except LOST as error:
            log.info("room %d: %s: %s", self._verifier.room, path, error)
            return None
        return None if answered.status in (429, 503) else answered

    def _forget(self) -> None:
        """Drop what has expired; a renewed pass is handed out until it has, too."""
        now_ms = self._now_ms()
        with self._lock:
            for kept in (self._settled, self.ended):
                for pass_id in [id_ for id_, until in kept.items() if until + 60_000 < now_ms]:
                    del kept[pass_id]
            for pass_id in [
                id_
                for id_, renewed in self.renewed.items()
                if renewed.ticket.expires_at_ms < now_ms
            ]:
                del self.renewed[pass_id]
            late = [note for note in self._notes.values() if note.ticket.expires_at_ms < now_ms]
            for note in late:
                del self._notes[note.ticket.pass_id]
            while self._endings and self._endings[0].ticket.expires_at_ms + 60_000 < now_ms:
                self._endings.popleft()
                self.dropped += 1
        for note in late:
            self.dropped += 1
            note.answer.set_result(None)

    def start(self) -> None:
        threading.Thread(target=self.run, name="sunseo-gate-sender", daemon=True).start()

    def stop(self) -> None:
        self._stopped = True
        self._wake.set()


def _items(answered: OriginAnswer, count: int) -> list[dict[str, Any]]:
    """The answers of a batch in its order; without any, all are refused."""
    nothing: list[dict[str, Any]] = [{} for _ in range(count)]
    try:
        items = json.loads(answered.body)["results"]
    except (ValueError, KeyError, TypeError):
        return nothing
    if not isinstance(items, list) or len(items) != count:
        return nothing
    return [item if isinstance(item, dict) else {} for item in items]
