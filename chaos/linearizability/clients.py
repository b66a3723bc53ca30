"""One process of clients, who hold, release, order and read, and write down what they were told.

State       Each client has a connection of its own and at most one operation under way. Holds that
            anybody in the process was told of are known to all of its clients: two may release and
            order the same one at once.
Guarantee   The history has every operation that may have been done.
Clock       Monotonic and the machine's, so that the times of several processes can be compared.
On failure  A lost connection, a time-out and every 5xx but those that say that nothing was done:
            ask again with the same key, or give up and leave the operation open.
"""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random
from typing import Any
from uuid import uuid4

import aiohttp
import msgspec

from chaos.asking import ANSWER_S, RETRY_S
from chaos.crowd import STANDING
from chaos.linearizability.history import Asking, Heard, Operation, Wish
from tests.acceptance.serving import token

ROUND_S = 3.0  # of one sale; then the next: seats are sold, or held by whoever gave up
THINK_S = (0.0, 0.02)
FORGETS = 0.6  # a hold that was released, each time it is told so
GIVES_UP = 0.3  # of those in doubt, each time
BUYING_S = 1.0  # at the end of a sale; before that hardly anything is sold, or nothing is left
ANSWERED_WITHIN_S = 60.0  # of the end of a history; what is not is left open

ENDED = frozenset(("released", "hold_released"))

BLOCKS = (((1, 2), 0), ((3, 4), 2), ((5, 6), 0))
"""Seats and standing places that are asked for together; nobody asks for those of two blocks, so
that the checker may look at each by itself."""

SEATS = 6
STOCK = 3
PERSONS = 3


class Plan(msgspec.Struct, frozen=True):
    """What one process has to do. Times are of the monotonic clock, in nanoseconds."""

    url: str
    sales: tuple[int, ...]
    starts_at: int
    ends_at: int
    process: int
    clients: int
    seed: int

    def sale_at(self, now: int) -> tuple[int, float] | None:
        """The sale that is on, and for how many seconds it has been; none at the end."""
        if now >= self.ends_at:
            return None
        number, since = divmod(max(0, now - self.starts_at), round(ROUND_S * 1e9))
        return self.sales[min(number, len(self.sales) - 1)], since / 1e9


class Recorded(msgspec.Struct, frozen=True):
    operations: list[Operation]
    troubles: Counter[str]
    """What brought doubt or refusal without anything done: statuses and names of exceptions."""


def record(plan: Plan) -> Recorded:
    """Be one process of clients until the plan's end."""
    return asyncio.run(_record(plan))


async def _record(plan: Plan) -> Recorded:
    crew = Crew(plan)
    await asyncio.sleep(max(0.0, (plan.starts_at - time.monotonic_ns()) / 1e9))
    await asyncio.gather(*(crew.live(number) for number in range(plan.clients)))
    return Recorded(crew.operations, crew.troubles)


class Crew:
    """The clients of one process."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._known: dict[int, list[tuple[str, str]]] = {}  # sale: hold and person
        self._persons = [f"person-{plan.process}-{number}" for number in range(PERSONS)]
        self._tokens = {name: token(name) for name in self._persons}
        self._next_client = plan.process * 1_000
        self.operations: list[Operation] = []
        self.troubles: Counter[str] = Counter()

    async def live(self, number: int) -> None:
        dice = Random(f"{self._plan.seed} {self._plan.process} {number}")
        client = self._client()
        async with self._connected() as session:
            while (sale := self._plan.sale_at(time.monotonic_ns())) is not None:
                wish, person = self._choose(dice, *sale)
                if not await self._ask(session, dice, client, wish, person):
                    client = self._client()  # the one before is busy for good
                await asyncio.sleep(dice.uniform(*THINK_S))

    def _client(self) -> int:
        self._next_client += 1
        return self._next_client

    def _choose(self, dice: Random, sale: int, since: float) -> tuple[Wish, str]:
        known = self._known.get(sale, [])[-9:]
        buys = 4.0 if since > ROUND_S - BUYING_S else 0.15
        kind = dice.choices(["hold", "release", "order", "read"], [10, 7, buys, 3])[0]
        if kind != "hold" and known:
            hold, person = dice.choice(known)
            return Wish(kind, sale, hold=hold), person
        seats, standing = dice.choice(BLOCKS)
        some = dice.randrange(standing + 1)
        few = dice.sample(seats, dice.choice((0, 1, 2) if some else (1, 1, 2)))
        return Wish("hold", sale, tuple(few), some), dice.choice(self._persons)

    async def _ask(
        self, session: aiohttp.ClientSession, dice: Random, client: int, wish: Wish, person: str
    ) -> bool:
        """Ask until there is an answer; false for whoever gave up in doubt."""
        asking, key = Asking(client, wish), str(uuid4())
        while True:
            asking.sent(self._now())
            heard, status, body = await self._send(session, wish, person, key)
            if heard is Heard.ANSWER:
                self._note(dice, asking.answered(self._now(), status, body), person)
                return True
            if heard is Heard.DOUBT:
                asking.heard_doubt()
            else:
                asking.heard_nothing_done()
            if (asking.in_doubt and dice.random() < GIVES_UP) or self._is_too_late():
                if (left := asking.given_up()) is not None:
                    self.operations.append(left)
                return left is None
            await asyncio.sleep(dice.uniform(*RETRY_S))

    async def _send(
        self, session: aiohttp.ClientSession, wish: Wish, person: str, key: str
    ) -> tuple[Heard, int, dict[str, Any]]:
        method, path, content = request_of(wish)
        headers = {"Authorization": f"Bearer {self._tokens[person]}"}
        if method == "POST":
            headers["Idempotency-Key"] = key
        try:
            async with session.request(method, path, json=content, headers=headers) as answer:
                status, body = answer.status, await answer.json(content_type=None)
        except aiohttp.ClientConnectorError as error:
            heard, trouble = Heard.NOTHING_DONE, type(error).__name__  # it was not even sent
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            heard, trouble = Heard.DOUBT, type(error).__name__
        else:
            heard, trouble = Heard.of(status, body), f"{status} {body.get('outcome')}"
            if heard is Heard.ANSWER:
                return heard, status, body
        self.troubles[trouble] += 1
        return heard, 0, {}

    def _note(self, dice: Random, operation: Operation, person: str) -> None:
        self.operations.append(operation)
        known = self._known.setdefault(operation.sale, [])
        named = operation.hold, person
        if operation.answer == "held":
            known.append(named)
        elif operation.answer in ENDED and named in known and dice.random() < FORGETS:
            known.remove(named)

    def _now(self) -> int:
        return time.monotonic_ns() - self._plan.starts_at

    def _is_too_late(self) -> bool:
        return time.monotonic_ns() > self._plan.ends_at + ANSWERED_WITHIN_S * 1e9

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[aiohttp.ClientSession]:
        """A connection of one's own, which either worker may take."""
        timeout = aiohttp.ClientTimeout(total=ANSWER_S)
        connector = aiohttp.TCPConnector(limit=1)
        async with aiohttp.ClientSession(
            self._plan.url, connector=connector, timeout=timeout
        ) as session:
            yield session


def request_of(wish: Wish) -> tuple[str, str, dict[str, Any] | None]:
    """Method, path and body."""
    path = f"/v1/sales/{wish.sale}"
    if wish.kind == "hold":
        standing = [{"product": STANDING, "quantity": wish.standing}] if wish.standing else []
        return "POST", f"{path}/holds", {"seats": wish.seats, "products": standing}
    if wish.kind == "order":
        return "POST", f"{path}/orders", {"hold": wish.hold}
    if wish.kind == "release":
        return "POST", f"{path}/holds/{wish.hold}/release", None
    return "GET", f"{path}/holds/{wish.hold}", None
