"""Decides about each request, without asking anybody.

State       Keys, rules, the room's last document (a poller keeps it), passes that are being
            renewed (a sender carries them), a bucket for the fail mode "open".
Guarantee   Without a good pass nobody gets to a guarded path, but in the mode "passthrough", by a
            bypass rule, or by the fail mode that the operator chose. No I/O happens here.
Clock       The room's, learnt from its signed documents; a wrong clock of this machine or of the
            visitor's moves nothing.
On failure  When the room has not been heard of for `stale_s`: "closed" lets in only passes that
            have not expired; "last_known" lets time stand still for those inside; "open" lets in
            newcomers, too, up to a rate.
"""

import os
import secrets
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import NamedTuple

from sunseo.core.networks import TrustedProxies
from sunseo.gate.answers import (
    GateAnswer,
    Header,
    cookies_named,
    handed_over,
    handover_of,
    open_cookie,
    pass_cookie,
    refused,
    renewing_cookie,
    unreachable,
)
from sunseo.gate.fail_open import STAY_S, FailOpen
from sunseo.gate.options import GateOptions
from sunseo.gate.origin import Origin
from sunseo.gate.policy import GateRequest, Policy
from sunseo.gate.poller import Poller, monotonic_ms
from sunseo.gate.sender import RenewedText, Sender
from sunseo.gate.verifier import PassVerifier, RoomState
from sunseo.passes.polling import Poll
from sunseo.passes.tokens import Pass, TokenError

PASSES_TRIED_MAX = 4  # of one request; more cookies of one name are nobody's honest browser
LAST_KNOWN_MS_MAX = 900_000  # for which time may stand still
RETRY_S = 5


class Decision(NamedTuple):
    """What becomes of a request.

    Attributes:
        answer: the gate's own, or None where the request goes on to the site.
        ticket: the pass that was shown, where one let it in.
        text: that pass as text.
        cookies: to be added to the site's answer.
        renewal: a renewal under way; its pass belongs into the answer if it comes in time.
    """

    answer: GateAnswer | None = None
    ticket: Pass | None = None
    text: str = ""
    cookies: tuple[Header, ...] = ()
    renewal: "Future[RenewedText | None] | None" = None


class _Moment(NamedTuple):
    """One look at room and clock, which a whole judgement rests on.

    Attributes:
        live: whether the room has been heard of lately.
        expiry_ms: the moment at which expiry is judged: when the room fell silent, in "last_known".
    """

    state: RoomState | None
    live: bool
    fail_mode: str
    now_ms: float
    expiry_ms: float


class GateCore:
    """One gate: in front of one room, in one process.

    Raises:
        ValueError: the options contradict each other or the keys are not this room's.
    """

    def __init__(self, options: GateOptions) -> None:
        keys = options.keys
        if keys.room != options.room:
            raise ValueError(f"these are the keys of room {keys.room}, not of {options.room}")
        self.options = options
        self.room = options.room
        self.where = options.addresses()
        self.policy = Policy(options.protect, options.bypass)
        self.proxies = TrustedProxies(options.trusted_proxies)
        self.verifier = PassVerifier(keys)
        self._equip()
        self.counts: dict[str, int] = {}  # refusals by reason, and whom the fail mode let in
        self._pass_cookie = f"sunseo_pass_{self.room}"
        self._renewing_cookie = f"sunseo_renewing_{self.room}"
        self._open_cookie = f"sunseo_open_{self.room}"
        self._fail_open = FailOpen(keys)
        self._name = secrets.token_hex(4)
        self._pid = 0
        self._starting = threading.Lock()

    # Life

    def _equip(self) -> None:
        url, signals = self.options.sunseo_url, self.options.signals
        self.poller = Poller(Origin(url), self.verifier)
        self.sender = Sender(Origin(url), self.verifier, self._room_ms, signals)

    def start(self) -> None:
        """Start the threads, once in each process.

        A fork leaves them behind, with their connections and locks in whatever state they were: it
        gets new ones.
        """
        if self._pid == os.getpid():
            return
        with self._starting:
            if self._pid == os.getpid():
                return
            if self._pid:
                known = self.poller
                self._equip()
                self.poller.clock, self.poller.state = known.clock, known.state
            self._name = secrets.token_hex(4)
            self.poller.start()
            self.sender.start()
            self._pid = os.getpid()

    def stop(self) -> None:
        self.poller.stop()
        self.sender.stop()

    # Judging

    def judge(self, cookie: str, shown: str | None, asked: Callable[[], GateRequest]) -> Decision:
        """Decide about a request.

        Args:
            cookie: its Cookie header, empty without one.
            shown: its header Sunseo-Pass.
            asked: gives the rest, which most requests with a good pass do not need.
        """
        if self._pid != os.getpid():
            self.start()
        moment = self._moment()
        texts = [] if shown is None else [shown]
        if self._pass_cookie in cookie:
            texts += cookies_named(cookie, self._pass_cookie)
        found, reason = self._good_pass(texts, moment)
        if found is not None:
            return self._inside(found, cookie, moment, asked)
        return self._outside(asked(), cookie, reason, moment)

    def handover(self, cookie: str, asked: GateRequest) -> GateAnswer | None:
        """The redirect for who comes back from the line with a pass in the address, or None."""
        text = handover_of(asked.query)
        if text is None or asked.method != "GET":
            return None
        self.start()
        moment = self._moment()
        found, _ = self._good_pass([text], moment)
        if found is None:
            return None
        kept, _ = self._good_pass(cookies_named(cookie, self._pass_cookie), moment)
        if kept is not None and not _replaces(found.ticket, kept.ticket):
            found = kept  # a link with somebody else's pass does not take away one's own
        return handed_over(asked, self.cookie_of(found.text, asked.scheme == "https"))

    def cookie_of(self, text: str, secure: bool) -> Header:
        return pass_cookie(self.room, text, secure)

    def renewing_cookie(self, ticket: Pass, secure: bool) -> Header:
        """Tells other processes of this site that the renewal of this pass is under way here."""
        return renewing_cookie(self.room, f"{self._name}.{ticket.renewal}", secure)

    def _good_pass(self, texts: list[str], moment: _Moment) -> tuple[RenewedText | None, str]:
        reason = "no_pass"
        state = moment.state
        epoch = None if state is None else state.epoch
        skew_ms = self.options.skew_s * 1000
        for text in texts[:PASSES_TRIED_MAX]:
            try:
                found = RenewedText(
                    self.verifier.check(text, moment.expiry_ms, epoch, skew_ms), text
                )
            except TokenError as error:
                reason = error.reason
                newer = self._renewed(text) if reason == "expired" else None
                if newer is None:
                    continue
                found = newer
            pass_id = found.ticket.pass_id
            if pass_id in self.sender.ended or (state is not None and pass_id in state.revoked):
                reason = "revoked"
                continue
            return found, ""
        return None, reason

    def _renewed(self, text: str) -> RenewedText | None:
        """The newer pass of who shows an expired one: its renewal was answered after she left."""
        newer = self.sender.pass_of(self.verifier.open(text))
        if newer is None or newer.ticket.expires_at_ms <= self._room_ms():
            return None
        return newer

    def _inside(
        self, found: RenewedText, cookie: str, moment: _Moment, asked: Callable[[], GateRequest]
    ) -> Decision:
        ticket, text = found
        left_ms = ticket.expires_at_ms - moment.now_ms
        if not moment.live or left_ms > _renew_before_ms(ticket, moment.state):
            return Decision(None, ticket, text)
        newer = self.sender.pass_of(ticket)
        if newer is not None:
            cookies = (self.cookie_of(newer.text, asked().scheme == "https"),)
            return Decision(None, newer.ticket, newer.text, cookies)
        if self._renews_elsewhere(ticket, cookie):
            return Decision(None, ticket, text)
        return Decision(None, ticket, text, (), self.sender.ask_renewal(ticket, text))

    def _renews_elsewhere(self, ticket: Pass, cookie: str) -> bool:
        for hint in cookies_named(cookie, self._renewing_cookie):
            name, _, renewal = hint.partition(".")
            if name != self._name and renewal == str(ticket.renewal):
                return True
        return False

    def _outside(self, asked: GateRequest, cookie: str, reason: str, moment: _Moment) -> Decision:
        if not self.policy.needs_pass(asked):
            return Decision()
        state = moment.state
        if moment.live or (state is None and not self.poller.failures):  # or not heard of it yet
            if state is not None and state.mode == "passthrough":
                return Decision()
            poll = Poll() if state is None else state.poll
            return self._refuse(reason, refused(asked, self.where, reason, poll))
        if moment.fail_mode == "last_known" and state is not None and state.mode == "passthrough":
            return Decision()
        if moment.fail_mode == "open":
            return self._open(asked, cookie, moment)
        return self._refuse("unreachable", unreachable(asked, self.where, RETRY_S))

    def _open(self, asked: GateRequest, cookie: str, moment: _Moment) -> Decision:
        now_ms, state = moment.now_ms, moment.state
        for text in cookies_named(cookie, self._open_cookie)[:PASSES_TRIED_MAX]:
            if self._fail_open.knows(text, now_ms):
                return Decision()
        rate = None if state is None else state.open_rate_max
        if not self._fail_open.take(rate or self.options.open_rate_max, monotonic_ms()):
            return self._refuse("unreachable", unreachable(asked, self.where, RETRY_S))
        self._count("opened")
        secure = asked.scheme == "https"
        return Decision(
            cookies=(open_cookie(self.room, self._fail_open.ticket(now_ms), secure, STAY_S),)
        )

    def _refuse(self, reason: str, answer: GateAnswer) -> Decision:
        self._count(reason)
        return Decision(answer)

    def _count(self, what: str) -> None:
        self.counts[what] = self.counts.get(what, 0) + 1

    # Time

    def _room_ms(self) -> float:
        return self.poller.clock.now_ms(monotonic_ms())

    def _moment(self) -> _Moment:
        now_ms = self._room_ms()
        state = self.poller.state
        fail_mode = self.options.fail_mode if state is None else state.fail_mode
        silent_ms = 0.0 if state is None else now_ms - state.now
        live = state is not None and silent_ms <= self.options.stale_s * 1000
        stands_still = (
            state is not None
            and not live
            and fail_mode == "last_known"
            and silent_ms <= LAST_KNOWN_MS_MAX
        )
        expiry_ms = state.now if state is not None and stands_still else now_ms
        return _Moment(state, live, fail_mode, now_ms, expiry_ms)


def _renew_before_ms(ticket: Pass, state: RoomState | None) -> float:
    """The second half of a pass's life, or less if the room says so."""
    half_ms = (ticket.expires_at_ms - ticket.issued_at_ms) / 2
    return half_ms if state is None else min(half_ms, state.pass_.renew_before * 1000)


def _replaces(new: Pass, old: Pass) -> bool:
    return new.pass_id == old.pass_id and new.renewal >= old.renewal
