"""Buyers' requests over real HTTP, with the manners that the API asks of its clients.

State       One keep-alive connection for each buyer who is there.
Guarantee   A request whose answer is lost, or is 503, is repeated with the same Idempotency-Key
            until it is answered; nothing else is repeated.
Clock       Monotonic, for latencies and pauses.
On failure  After `PATIENCE_S` without any answer the crowd gives up with NoAnswerError.
"""

import asyncio
import time
from random import Random
from typing import Any
from uuid import UUID

import aiohttp
import msgspec

from sunseo.rehearsal.buyers import View
from sunseo.rehearsal.figures import Figures, Operation

PATIENCE_S = 60.0  # a server that is killed and recovers is back well within
BROKEN_PAUSE_S = 0.25
REQUEST_TIMEOUT_S = 30.0
LOST_AFTER_S = 0.1  # longest time after which a buyer's connection breaks down

Json = dict[str, Any]


class NoAnswerError(Exception):
    """The server did not answer for a long time, or not as it should."""


class Reply(msgspec.Struct, frozen=True):
    status: int
    outcome: str  # the refusal's code; else `done`, `replayed` or `unchanged`
    body: Json


class HallPlan(msgspec.Struct, frozen=True):
    """What of a sale does not change: its seats by occasion, the best first."""

    seats: dict[int, list[tuple[int, int]]]  # place in `states`, seat
    products: dict[int, int]  # by the stock they draw on
    names: dict[int, str]  # of occasions


class Shelf(msgspec.Struct, frozen=True):
    """One kind of thing on sale, and how much of it is gone."""

    name: str
    capacity: int
    held: int
    sold: int


class Door:
    """The server's address, as buyers use it."""

    def __init__(self, session: aiohttp.ClientSession, sale: int, figures: Figures) -> None:
        self._session = session
        self._sale = sale
        self._figures = figures
        self._began = time.monotonic()

    @property
    def elapsed_s(self) -> float:
        return time.monotonic() - self._began

    async def guest(self) -> str:
        reply = await self._ask(Operation.GUEST, "POST", "/v1/guests", body={})
        return str(reply.body["token"])

    async def hold(self, token: str, key: str, body: Json, *, lost: Random | None = None) -> Reply:
        path = f"/v1/sales/{self._sale}/holds"
        return await self._write(Operation.HOLD, path, (token, key), body, lost)

    async def order(self, token: str, key: str, hold: UUID, *, lost: Random | None = None) -> Reply:
        path = f"/v1/sales/{self._sale}/orders"
        return await self._write(Operation.ORDER, path, (token, key), {"hold": str(hold)}, lost)

    async def release(self, token: str, key: str, hold: UUID) -> Reply:
        path = f"/v1/sales/{self._sale}/holds/{hold}/release"
        return await self._write(Operation.RELEASE, path, (token, key))

    async def look(self, etag: str) -> tuple[str, Json | None]:
        """Availability with its ETag; nothing where it is as it was."""
        path = f"/v1/sales/{self._sale}/availability"
        headers = {"If-None-Match": etag} if etag else {}
        reply = await self._ask(Operation.LOOK, "GET", path, headers=headers)
        if reply.outcome == "unchanged":
            return etag, None
        return str(reply.body.pop("etag")), reply.body

    async def _write(
        self,
        operation: Operation,
        path: str,
        token_and_key: tuple[str, str],
        body: Json | None = None,
        lost: Random | None = None,
    ) -> Reply:
        """Send a request; where its answer is to be `lost`, hang up on it and send it again."""
        token, key = token_and_key
        headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": key}
        if lost is not None:
            await self._hang_up(path, headers, body, lost.random() * LOST_AFTER_S)
        return await self._ask(operation, "POST", path, headers=headers, body=body)

    async def _hang_up(
        self, path: str, headers: dict[str, str], body: Json | None, after_s: float
    ) -> None:
        self._figures.lost_answers += 1
        try:
            async with asyncio.timeout(after_s):
                async with self._session.post(path, headers=headers, json=body) as response:
                    response.close()
        except (TimeoutError, aiohttp.ClientError):
            return

    async def _ask(
        self,
        operation: Operation,
        method: str,
        path: str,
        *,
        headers: dict[str, str] | None = None,
        body: Json | None = None,
    ) -> Reply:
        deadline = time.monotonic() + PATIENCE_S
        while True:
            began = time.monotonic()
            try:
                reply, pause_s = await self._exchange(method, path, headers, body)
            except (aiohttp.ClientError, TimeoutError) as error:
                reply, pause_s = None, BROKEN_PAUSE_S
                if time.monotonic() >= deadline:
                    raise NoAnswerError(f"{method} {path}: {error!r}") from None
            now = time.monotonic()
            outcome = reply.outcome if reply is not None else "no_answer"
            self._figures.note(operation, outcome, now - began, self.elapsed_s)
            if reply is not None and (reply.status != 503 or now >= deadline):
                return reply
            self._figures.told_later += 1
            await asyncio.sleep(pause_s)

    async def _exchange(
        self, method: str, path: str, headers: dict[str, str] | None, body: Json | None
    ) -> tuple[Reply, float]:
        async with self._session.request(method, path, headers=headers, json=body) as response:
            content = await response.read()
            if response.status == 304:
                return Reply(304, "unchanged", {}), 0.0
            told = msgspec.json.decode(content, type=dict[str, Any])
            if "ETag" in response.headers:
                told["etag"] = response.headers["ETag"]
            outcome = {200: "replayed", 201: "done"}.get(response.status) or told["outcome"]
            if method == "GET" and response.status == 200:
                outcome = "done"
            return Reply(response.status, outcome, told), float(
                response.headers.get("Retry-After", 1)
            )


class Window:
    """Availability as this crowd sees it; what one buyer has fetched is parsed once for all."""

    def __init__(self, plan: HallPlan) -> None:
        self._plan = plan
        self._etag = ""
        self._newest = -1
        self.view = View({}, {}, 0, 0)
        self.shelves: list[Shelf] = []

    async def look(self, door: Door) -> View:
        etag, told = await door.look(self._etag)
        if told is not None and told["version"] >= self._newest:
            self._etag, self._newest = etag, told["version"]
            self.view = view_of(self._plan, told)
            self.shelves = shelves_of(self._plan, told)
        return self.view


def view_of(plan: HallPlan, told: Json) -> View:
    states = {part["occasion"]: part["states"] for part in told["occasions"]}
    parts = (*told["occasions"], *told["stocks"])
    return View(
        seats={
            occasion: [seat for place, seat in seats if states[occasion][place] == "0"]
            for occasion, seats in plan.seats.items()
        },
        products={plan.products[stock["stock"]]: stock["free"] for stock in told["stocks"]},
        held=sum(part["held"] for part in parts),
        sold=sum(part["sold"] for part in parts),
    )


def shelves_of(plan: HallPlan, told: Json) -> list[Shelf]:
    shelves = []
    for part in told["occasions"]:
        name = plan.names[part["occasion"]]
        capacity = part["free"] + part["held"] + part["sold"]
        shelves.append(Shelf(f"{name}, seats", capacity, part["held"], part["sold"]))
        shelves += [
            Shelf(f"{name}, {stock['name']}", stock["capacity"], stock["held"], stock["sold"])
            for stock in told["stocks"]
            if stock["occasion"] == part["occasion"]
        ]
    return shelves
