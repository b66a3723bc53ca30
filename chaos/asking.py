"""A crowd of clients who do not let go of an intent until it has been answered.

State       Each client has at most one intent under way. An intent is ASKED in the same words, as
            often as it takes, until it is ANSWERED: a success or a refusal that says why.
Guarantee   `answered` has every intent that was ever begun, once `present` has ended.
Clock       Monotonic, of this process.
On failure  A lost connection, a time-out, and every 5xx mean: ask the same again.

Clients come back after two tenths of a second rather than after Retry-After, so that the time to
recover is that of the server and not that of polite clients.
"""

import asyncio
import random
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import aiohttp

RETRY_S = (0.1, 0.3)
THINK_S = (0.02, 0.08)
ANSWER_S = 30.0  # above every time-out of the server's own


@dataclass(frozen=True, eq=False)
class Intent:
    """Something that one person wants done once. Two that look alike are still two.

    `person` is a bearer's token; empty where somebody unknown asks.
    """

    person: str
    path: str
    body: dict[str, Any] | None
    key: str = field(default_factory=lambda: str(uuid4()))
    method: str = "POST"

    @property
    def verb(self) -> str:
        """The last word of the path: holds, orders, enter, renew and so on."""
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


class AskingCrowd(ABC):
    """Clients on keep-alive connections, in a closed loop.

    Args:
        url: of the server.
        clients: how many at once. Each visit is of a new person.
        seed: of all that is left to chance.
    """

    def __init__(self, url: str, *, clients: int, seed: int) -> None:
        self._url = url
        self._clients = clients
        self._seed = seed
        self._stopping = False
        self._changed = asyncio.Condition()
        self.answered: list[Answered] = []
        self.under_way: dict[Intent, float] = {}
        self.troubles: Counter[str] = Counter()
        """What kept intents from being answered: statuses and names of exceptions."""
        self.unadvised = 0
        """How many 503 had no Retry-After."""

    @abstractmethod
    async def visit(self, chance: random.Random, name: str) -> None:
        """Do all that one person does."""

    def counts(self, answered: Answered) -> bool:
        """Whether an answer shows that the server serves again."""
        return answered.is_success

    @asynccontextmanager
    async def present(self) -> AsyncIterator[None]:
        """Visit for as long as the block lasts; all intents have been answered when it ends."""
        async with self.connected():
            clients = [asyncio.create_task(self._stay(number)) for number in range(self._clients)]
            try:
                yield
                self._stopping = True
                await asyncio.gather(*clients)
            finally:  # when we are interrupted, nobody may be there to answer any more
                for client in clients:
                    client.cancel()

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[None]:
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
                    more -= self.counts(answered) and answered.last_sent >= sent_after
                    if more <= 0:
                        return answered
                at = len(self.answered)
                await self._changed.wait()

    async def settled(self, intents: set[Intent]) -> None:
        """Wait until these intents have been answered."""
        async with self._changed:
            await self._changed.wait_for(lambda: not intents & self.under_way.keys())

    async def ask(self, intent: Intent) -> Answered:
        """Ask until there is an answer, and note it."""
        self.under_way[intent] = time.monotonic()
        answered = await self.settle(intent)
        del self.under_way[intent]
        self.answered.append(answered)
        async with self._changed:
            self._changed.notify_all()
        return answered

    async def settle(self, intent: Intent) -> Answered:
        """Ask until there is an answer, which nobody notes."""
        began = time.monotonic()
        asked = 0
        while True:
            asked += 1
            sent = time.monotonic()
            trouble = "?"
            try:
                status, headers, body = await self.send(intent)
            except (aiohttp.ClientError, OSError, TimeoutError) as error:
                trouble = type(error).__name__
            else:
                if status < 500:
                    return Answered(intent, status, body, began, time.monotonic(), asked, sent)
                trouble = f"{status} {body.get('outcome')}"
                self.unadvised += status == 503 and "Retry-After" not in headers
            self.troubles[trouble] += 1
            await asyncio.sleep(random.uniform(*RETRY_S))

    async def send(self, intent: Intent) -> tuple[int, Any, dict[str, Any]]:
        """Ask once; status, headers and body."""
        headers = {"Idempotency-Key": intent.key}
        if intent.person:
            headers["Authorization"] = f"Bearer {intent.person}"
        async with self._session.request(
            intent.method, intent.path, json=intent.body, headers=headers
        ) as answer:
            return answer.status, answer.headers, await answer.json(content_type=None)

    async def _stay(self, number: int) -> None:
        chance = random.Random(f"{self._seed} {number}")
        visit = 0
        while not self._stopping:
            visit += 1
            await self.visit(chance, f"buyer-{number}-{visit}")
            await asyncio.sleep(chance.uniform(*THINK_S))
