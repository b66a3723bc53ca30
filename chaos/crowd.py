"""A crowd of buyers who do not let go of an intent until it has been answered.

State       Each buyer has at most one intent under way. An intent is ASKED with one key, as often
            as it takes, until it is ANSWERED: a success or a refusal that says why.
Guarantee   `answered` has every intent that was ever begun, once `run` has returned.
Clock       Monotonic, of this process.
On failure  A lost connection, a time-out, and every 5xx mean: ask the same again.

Buyers come back after two tenths of a second rather than after Retry-After, so that the time to
recover is that of the server and not that of polite clients.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import aiohttp

RETRY_S = (0.1, 0.3)
THINK_S = (0.02, 0.08)
ANSWER_S = 30.0  # above every time-out of the server's own
STANDING = 1  # the product without seats


@dataclass(frozen=True, eq=False)
class Intent:
    """Something that one person wants done once. Two that look alike are still two."""

    person: str
    path: str
    body: dict[str, Any] | None
    key: str = field(default_factory=lambda: str(uuid4()))

    @property
    def verb(self) -> str:
        """The last word of the path: holds, orders, renew or release."""
        return self.path.rpartition("/")[2]


@dataclass(frozen=True, eq=False)
class Answered:
    """An intent and what became of it."""

    intent: Intent
    status: int
    body: dict[str, Any]
    began: float
    ended: float
    asked: int
    """How often it was sent."""

    last_sent: float

    @property
    def is_success(self) -> bool:
        return self.status < 300


@dataclass(frozen=True)
class Sale:
    """What the crowd may ask for."""

    number: int
    seats: int


class Crowd:
    """Buyers on keep-alive connections, in a closed loop.

    Args:
        url: of the server.
        sales: what they want; a visit picks one at random.
        token: makes a person's token. Each visit is of a new person.
        seed: of all that is left to chance.
    """

    def __init__(
        self, url: str, sales: list[Sale], token: Callable[[str], str], *, buyers: int, seed: int
    ) -> None:
        self._url = url
        self._sales = sales
        self._token = token
        self._buyers = buyers
        self._seed = seed
        self._stopping = False
        self._changed = asyncio.Condition()
        self.answered: list[Answered] = []
        self.under_way: dict[Intent, float] = {}
        self.troubles: Counter[str] = Counter()
        """What kept intents from being answered: statuses and names of exceptions."""
        self.unadvised = 0
        """How many 503 had no Retry-After."""

    @asynccontextmanager
    async def buying(self) -> AsyncIterator[None]:
        """Buy for as long as the block lasts; every intent has been answered when it has ended."""
        async with self._connected():
            buyers = [asyncio.create_task(self._buy(number)) for number in range(self._buyers)]
            try:
                yield
            finally:
                self._stopping = True
                await asyncio.gather(*buyers)

    async def replay(self, sample: Iterable[Answered]) -> list[str]:
        """Send successes once more with their keys; a sentence for each that is answered anew."""
        changed = []
        async with self._connected():
            for before in sample:
                now = await self._settle(before.intent)
                what = "order" if before.intent.verb == "orders" else "hold"
                if (now.status, now.body.get(what)) != (200, before.body[what]):
                    changed.append(f"{before.intent.path} was answered {now.status} {now.body}")
        return changed

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[None]:
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=15)
        timeout = aiohttp.ClientTimeout(total=ANSWER_S)
        async with aiohttp.ClientSession(
            self._url, connector=connector, timeout=timeout
        ) as self._session:
            yield

    async def successes(self, more: int = 1, *, sent_after: float = 0.0) -> Answered:
        """Wait for so many more successes to requests sent after a moment; the last of them."""
        at = len(self.answered)
        async with self._changed:
            while True:
                for answered in self.answered[at:]:
                    more -= answered.is_success and answered.last_sent >= sent_after
                    if more <= 0:
                        return answered
                at = len(self.answered)
                await self._changed.wait()

    async def settled(self, intents: set[Intent]) -> None:
        """Wait until these intents have been answered."""
        async with self._changed:
            await self._changed.wait_for(lambda: not intents & self.under_way.keys())

    async def _buy(self, number: int) -> None:
        chance = random.Random(f"{self._seed} {number}")
        visit = 0
        while not self._stopping:
            visit += 1
            await self._visit(chance, f"buyer-{number}-{visit}")
            await asyncio.sleep(chance.uniform(*THINK_S))

    async def _visit(self, chance: random.Random, name: str) -> None:
        """Hold something, and order it, give it back, renew it or forget it."""
        sale = chance.choice(self._sales)
        path = f"/v1/sales/{sale.number}"
        person = self._token(name)
        wanted: dict[str, Any] = {"products": [{"product": STANDING, "quantity": 1}]}
        if chance.random() < 0.7:
            wanted = {"seats": chance.sample(range(1, sale.seats + 1), chance.choice((1, 1, 2)))}
        held = await self._do(Intent(person, f"{path}/holds", wanted))
        if not held.is_success:
            return
        hold = held.body["hold"]
        plan = chance.random()
        if plan < 0.2:
            await self._do(Intent(person, f"{path}/holds/{hold}/renew", None))
        if plan < 0.45:
            await self._do(Intent(person, f"{path}/orders", {"hold": hold}))
        elif plan < 0.85:
            await self._do(Intent(person, f"{path}/holds/{hold}/release", None))

    async def _do(self, intent: Intent) -> Answered:
        self.under_way[intent] = time.monotonic()
        answered = await self._settle(intent)
        del self.under_way[intent]
        self.answered.append(answered)
        async with self._changed:
            self._changed.notify_all()
        return answered

    async def _settle(self, intent: Intent) -> Answered:
        began = time.monotonic()
        asked = 0
        while True:
            asked += 1
            sent = time.monotonic()
            trouble = "?"
            try:
                status, headers, body = await self._send(intent)
            except (aiohttp.ClientError, OSError, TimeoutError) as error:
                trouble = type(error).__name__
            else:
                if status < 500:
                    return Answered(intent, status, body, began, time.monotonic(), asked, sent)
                trouble = f"{status} {body.get('outcome')}"
                self.unadvised += status == 503 and "Retry-After" not in headers
            self.troubles[trouble] += 1
            await asyncio.sleep(random.uniform(*RETRY_S))

    async def _send(self, intent: Intent) -> tuple[int, Any, dict[str, Any]]:
        headers = {"Authorization": f"Bearer {intent.person}", "Idempotency-Key": intent.key}
        async with self._session.post(intent.path, json=intent.body, headers=headers) as answer:
            return answer.status, answer.headers, await answer.json(content_type=None)
