"""Visitors of a room over HTTP: nonce, place, polls, pass, renewals, and out again.

Many of them lose an answer on purpose and ask once more; some never come, some forget to leave,
some are too early, some try to come back, some have two devices. What must not be answered so is
noted in `broken`.
"""

import asyncio
import base64
import hashlib
import random
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import aiohttp

from chaos.asking import Answered, AskingCrowd, Intent
from chaos.room.ledger import Told, Visit, Witness, read_pass, read_place

PERSONS = 0.3  # of visitors have a person's token, the others a secret of their browser
DEVICES = 0.15  # of persons join once more from another device
REPEATS = 0.15  # of joins are repeated though they were answered
LOST = 0.1  # of requests are sent by somebody who goes away and then asks again
LOST_AFTER_S = (0.001, 0.02)
ABSENT = 0.08  # take a number and never come
EARLY = 0.05  # try to enter before their turn
FORGETS = 0.06  # go without leaving: their passes expire
RENEWS = 0.4
COMES_BACK = 0.05  # try to enter after leaving
DWELL_S = (0.1, 1.0)
POLL_S = (0.15, 0.4)
PATIENCE_S = 20.0
BROKEN_MAX = 1000
SUCCESSES = (200, 201)


@dataclass(frozen=True)
class Room:
    """A room of the campaign."""

    number: int
    capacity: int
    renewal_grace_s: int
    share: float
    """Of visitors who come to it."""


class RoomCrowd(AskingCrowd):
    """Visitors.

    Args:
        rooms: where they go.
        token: makes a person's token.
        witness: hears every number that is shown.
    """

    def __init__(
        self,
        url: str,
        rooms: list[Room],
        token: Callable[[str], str],
        witness: Witness,
        *,
        visitors: int,
        seed: int,
    ) -> None:
        super().__init__(url, clients=visitors, seed=seed)
        self._rooms = {room.number: room for room in rooms}
        self._token = token
        self._witness = witness
        self.visits: list[Visit] = []
        self.broken: list[str] = []
        self.overdue_renewals = 0
        """Passes revoked because an outage was longer than the room's renewal grace."""

    def counts(self, answered: Answered) -> bool:
        return is_join(answered) or is_entry(answered)

    async def visit(self, chance: random.Random, name: str) -> None:
        rooms = list(self._rooms.values())
        room = chance.choices(rooms, [room.share for room in rooms])[0]
        visit = self._arrive(room, chance, name)
        if not await self._join(visit, chance):
            return
        self.visits.append(visit)
        plan = chance.random()
        if plan < ABSENT:
            return
        if plan < ABSENT + EARLY:
            await self._try_early(visit)
        if await self._await_turn(visit, PATIENCE_S) and await self._enter(visit, chance):
            await self._be_inside(visit, chance)

    async def come_late(self, visit: Visit) -> None:
        """Have somebody enter who was called and stayed away: the place must still count."""
        chance = random.Random(visit.number)
        if not await self._enter(visit, chance, patience_s=3 * PATIENCE_S):
            self._break(f"number {visit.number} of room {visit.room} found no way in")
        else:
            await self._leave(visit, chance)

    async def replay(self, visit: Visit) -> None:
        """Join once more in the same words: it must be the same place."""
        answered = await self.settle(self._join_intent(visit, visit.nonce))
        if answered.status != 200 or read_place(answered.body["place"]) != visit.read:
            self._break(f"join of {visit.read} was answered {answered.status} {answered.body}")

    # Steps of a visit

    def _arrive(self, room: Room, chance: random.Random, name: str) -> Visit:
        if chance.random() < PERSONS:
            return Visit(room.number, self._token(name), None)
        return Visit(room.number, "", base64url(chance.randbytes(32)))

    async def _join(self, visit: Visit, chance: random.Random) -> bool:
        visit.nonce = await self._get_nonce(visit.room)
        answered = await self._ask(self._join_intent(visit, visit.nonce), chance)
        if not self._accept_place(visit, answered):
            return False
        if chance.random() < REPEATS:
            again = await self._ask(self._join_intent(visit, visit.nonce), chance)
            self._accept_place(visit, again)
        if visit.person and chance.random() < DEVICES:
            nonce = await self._get_nonce(visit.room)
            elsewhere = await self._ask(self._join_intent(visit, nonce), chance)
            self._accept_place(visit, elsewhere)
        return True

    async def _get_nonce(self, room: int) -> str:
        while True:
            given = await self.settle(Intent("", f"/v1/rooms/{room}/nonces", None))
            if given.status == 201:
                nonce: str = given.body["nonce"]
                return nonce
            self._break(f"a nonce of room {room} was refused: {given.body}")
            await asyncio.sleep(POLL_S[1])

    def _join_intent(self, visit: Visit, nonce: str) -> Intent:
        body = {}
        if visit.secret is not None:
            raw = base64.urlsafe_b64decode(visit.secret + "==")
            body = {"binding": base64url(hashlib.sha256(raw).digest()[:16])}
        path = f"/v1/rooms/{visit.room}/places/{nonce}"
        return Intent(visit.person, path, body, method="PUT")

    def _accept_place(self, visit: Visit, answered: Answered) -> bool:
        if answered.status not in SUCCESSES or "place" not in answered.body:
            self._break(
                f"a join of room {visit.room} was answered {answered.status} {_told(answered)}"
            )
            return False
        read = read_place(answered.body["place"])
        now_s = time.time()
        self._witness.learn(visit.room, "issued", read.number, now_s)
        self._witness.learn(visit.room, "serving", answered.body["serving"], now_s)
        if visit.read is not None and (answered.status, read) != (200, visit.read):
            self._break(f"{visit.read} joined again: {answered.status} {read}")
        if answered.body["number"] != read.number:
            self._break(f"{read} was called {answered.body['number']}")
        visit.place, visit.read = answered.body["place"], visit.read or read
        return True

    async def _try_early(self, visit: Visit) -> None:
        answered = await self.ask(self._enter_intent(visit))
        if answered.status == 409 and answered.body.get("outcome") == "not_served":
            if answered.body["serving"] >= visit.number:
                self._break(f"number {visit.number} was refused: {answered.body}")
        else:
            self._accept_entry(visit, answered)

    async def _await_turn(self, visit: Visit, patience_s: float) -> bool:
        """Poll the state until the number is called, or patience is over."""
        until = time.monotonic() + patience_s
        intent = Intent("", f"/v1/rooms/{visit.room}/state", None, method="GET")
        while True:
            answered = await self.settle(intent)
            if answered.status != 200:
                self._break(f"the state of room {visit.room} was answered {_told(answered)}")
            elif self._hear(visit.room, answered.body) >= visit.number:
                return True
            if time.monotonic() >= until:
                return False
            await asyncio.sleep(random.uniform(*POLL_S))

    def _hear(self, room: int, state: dict[str, Any]) -> int:
        now_s = time.time()
        for what in ("serving", "issued"):
            self._witness.judge(room, what, state[what], state["now"] / 1000, now_s)
        serving: int = state["serving"]
        return serving

    async def _enter(
        self, visit: Visit, chance: random.Random, patience_s: float = PATIENCE_S
    ) -> bool:
        """Enter as soon as there is a slot; false when patience is over."""
        until = time.monotonic() + patience_s
        while time.monotonic() < until:
            answered = await self._ask(self._enter_intent(visit), chance)
            if answered.status != 202:
                return self._accept_entry(visit, answered)
            await asyncio.sleep(random.uniform(*POLL_S))
        return False

    def _enter_intent(self, visit: Visit) -> Intent:
        body = {"place": visit.place}
        if visit.secret is not None:
            body["secret"] = visit.secret
        return Intent(visit.person, f"/v1/rooms/{visit.room}/enter", body)

    def _accept_entry(self, visit: Visit, answered: Answered) -> bool:
        if answered.status == 202:
            return False
        if not is_entry(answered):
            self._break(
                f"number {visit.number} of room {visit.room} was called, "
                f"and refused: {_told(answered)}"
            )
            return False
        self._accept_pass(visit, answered.body["pass"])
        return True

    def _accept_pass(self, visit: Visit, token: str) -> None:
        told = Told(token, read_pass(token), time.time())
        place = visit.read
        if place is None or (told.read.number, told.read.holder) != (place.number, place.holder):
            self._break(f"{place} was given a pass of {told.read}")
        if visit.passes:
            before = visit.passes[-1].read
            same = told.read.pass_id == before.pass_id
            if not same or told.read.renewal < before.renewal:
                self._break(f"{place} had pass {before} and was given {told.read}")
        visit.passes.append(told)

    async def _be_inside(self, visit: Visit, chance: random.Random) -> None:
        await asyncio.sleep(chance.uniform(*DWELL_S))
        while chance.random() < RENEWS:
            if not await self._renew(visit, chance):
                return
            await asyncio.sleep(chance.uniform(*DWELL_S))
        if chance.random() < FORGETS:
            return
        await self._leave(visit, chance)
        if chance.random() < COMES_BACK:
            answered = await self.ask(self._enter_intent(visit))
            if visit.ended and answered.body.get("outcome") != "pass_done":
                self._break(f"number {visit.number} came back after leaving: {_told(answered)}")

    async def _renew(self, visit: Visit, chance: random.Random) -> bool:
        """Renew the pass, or enter again if it has lapsed; false when the visit is over."""
        last = visit.passes[-1]
        intent = Intent("", f"/v1/rooms/{visit.room}/renew", {"pass": last.token})
        answered = await self._ask(intent, chance)
        if answered.status == 200:
            self._accept_pass(visit, answered.body["pass"])
            if visit.passes[-1].read.renewal != last.read.renewal + 1:
                self._break(f"{last.read} was renewed to {visit.passes[-1].read}")
            return True
        outcome = answered.body.get("outcome")
        if outcome == "pass_expired" and time.time() >= last.read.expires_s:
            return await self._enter(visit, chance)
        grace_s = self._rooms[visit.room].renewal_grace_s
        if outcome == "pass_revoked" and answered.ended - answered.began > grace_s:
            self.overdue_renewals += 1
            visit.ended = "revoked"
            return False
        self._break(f"{last.read} could not be renewed: {_told(answered)}")
        return False

    async def _leave(self, visit: Visit, chance: random.Random) -> None:
        verb = chance.choice(("leave", "complete"))
        visit.leaves_s = time.time()
        intent = Intent("", f"/v1/rooms/{visit.room}/{verb}", {"pass": visit.passes[-1].token})
        answered = await self._ask(intent, chance)
        if answered.status == 200:
            visit.ended = {"leave": "left", "complete": "completed"}[verb]
        else:
            self._break(f"{visit.passes[-1].read} could not {verb}: {_told(answered)}")

    async def _ask(self, intent: Intent, chance: random.Random) -> Answered:
        """Ask until it is answered; now and then after an answer that nobody waited for."""
        if chance.random() < LOST:
            with suppress(aiohttp.ClientError, OSError, TimeoutError):
                async with asyncio.timeout(chance.uniform(*LOST_AFTER_S)):
                    await self.send(intent)
        return await self.ask(intent)

    def _break(self, sentence: str) -> None:
        if len(self.broken) < BROKEN_MAX:
            self.broken.append(sentence)


def is_join(answered: Answered) -> bool:
    return answered.status in SUCCESSES and "/places/" in answered.intent.path


def is_entry(answered: Answered) -> bool:
    return answered.status in SUCCESSES and answered.intent.verb == "enter"


def stayed_away(visits: Iterable[Visit], serving: Mapping[int, int]) -> list[Visit]:
    """Who has been called, room by room, and never had a pass."""
    return [
        visit for visit in visits if not visit.passes and 0 < visit.number <= serving[visit.room]
    ]


def base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _told(answered: Answered) -> str:
    return f"{answered.status} {answered.body.get('outcome') or answered.body}"
