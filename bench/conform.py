"""See that every contender keeps the same rules: `python -m bench.conform [NAME …]`.

A peer that answered faster because it checked less would prove nothing. One scenario goes over HTTP
to each of them, and every answer must be the one that the rules ask for.
"""

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from bench.contenders import Contender, ours, peers
from bench.database import BenchDatabase
from bench.halls import Hall
from bench.measure import Bench, prepared_store
from bench.run import FOLDER
from bench.servers import free_port, running
from bench.tokens import write_tokens
from bench.workloads import Workload

HOLD_TTL_S = 3
HALL = Hall("conform", 3, 40, 0, stock=3, person_limit=4, occasion_limit=3, hold_ttl_s=HOLD_TTL_S)
PERSONS = 60
CROWD = 40  # who want the same thing at the same moment


@dataclass
class Client:
    """Asks for holds and keeps book of what was answered otherwise than expected."""

    http: aiohttp.ClientSession
    url: str
    tokens: list[str]
    faults: list[str] = field(default_factory=list)
    keys: int = 0

    async def hold(
        self, person: int, body: dict[str, Any], *, sale: int = 1, key: str | None = None
    ) -> tuple[int, dict[str, Any]]:
        self.keys += 1
        headers = {
            "Authorization": f"Bearer {self.tokens[person]}",
            "Idempotency-Key": key or f"own-{self.keys}",
        }
        url = f"{self.url}/v1/sales/{sale}/holds"
        async with self.http.post(url, json=body, headers=headers) as answer:
            return answer.status, await answer.json(content_type=None)

    def expect(self, what: str, answer: tuple[int, dict[str, Any]], *wanted: Any) -> None:
        status, body = answer
        got = (status, body.get("outcome"))[: len(wanted)]
        if got != wanted:
            self.faults.append(f"{what}: {got} instead of {wanted}")


async def seats_and_replays(client: Client) -> None:
    first = await client.hold(0, {"seats": [2, 1]}, key="a")
    client.expect("two free seats", first, 201)
    again = await client.hold(0, {"seats": [2, 1]}, key="a")
    client.expect("the same key again", again, 200)
    if again[1].get("hold") != first[1].get("hold") or again[1].get("state") != "open":
        client.faults.append(f"the replay shows {again[1]} instead of {first[1]}")
    client.expect("another body", await client.hold(0, {"seats": [3]}, key="a"), 409, "key_reused")
    client.expect("same key, other person", await client.hold(1, {"seats": [3]}, key="a"), 201)
    client.expect("a taken seat", await client.hold(2, {"seats": [4, 1]}), 409, "seat_taken")
    client.expect("the free one beside it", await client.hold(2, {"seats": [4]}), 201)


async def what_does_not_exist(client: Client) -> None:
    client.expect("no such seat", await client.hold(3, {"seats": [999]}), 404, "unknown_seat")
    ask = {"seats": [], "products": [{"product": 9, "quantity": 1}]}
    client.expect("no such product", await client.hold(3, ask), 404, "unknown_product")
    client.expect("no such sale", await client.hold(3, {"seats": [1]}, sale=77), 404)


async def limits(client: Client) -> None:
    order = {"seats": [20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30]}
    client.expect("an order's limit", await client.hold(4, order), 403, "order_limit_reached")
    client.expect("an occasion's", await client.hold(4, {"seats": [20, 21, 22, 23]}), 403)
    client.expect("just as many", await client.hold(4, {"seats": [20, 21, 22]}), 201)
    client.expect("one more", await client.hold(4, {"seats": [23]}), 403, "limit_reached")
    client.expect("but taken first", await client.hold(4, {"seats": [1]}), 409, "seat_taken")


async def stock(client: Client) -> None:
    two = {"seats": [], "products": [{"product": 1, "quantity": 2}]}
    client.expect("two of three", await client.hold(5, two), 201)
    client.expect("two of one", await client.hold(6, two), 410, "sold_out")
    both = {"seats": [5], "products": [{"product": 1, "quantity": 1}]}
    client.expect("seat and last unit", await client.hold(6, both), 201)
    client.expect("all or nothing", await client.hold(7, both | {"seats": [6]}), 410, "sold_out")
    client.expect("the seat is still free", await client.hold(7, {"seats": [6]}), 201)


async def all_at_once(client: Client) -> None:
    same_key = [client.hold(8, {"seats": [10]}, key="once") for _ in range(CROWD)]
    statuses = sorted(status for status, _ in await asyncio.gather(*same_key))
    if statuses != [200] * (CROWD - 1) + [201]:
        client.faults.append(f"one key {CROWD} times at once: {statuses}")
    same_seat = [client.hold(10 + n, {"seats": [11]}) for n in range(CROWD)]
    statuses = sorted(status for status, _ in await asyncio.gather(*same_seat))
    if statuses != [201] + [409] * (CROWD - 1):
        client.faults.append(f"one seat for {CROWD} at once: {statuses}")
    new_person = [client.hold(9, {"seats": [12 + n]}) for n in range(8)]
    statuses = sorted(status for status, _ in await asyncio.gather(*new_person))
    if statuses != [201] * 3 + [403] * 5:
        client.faults.append(f"a new person who asks eight times at once: {statuses}")


async def expiry(client: Client) -> None:
    """What has expired is free at once: seats, persons' limits and stock."""
    everything = {"seats": [1, 2], "products": [{"product": 1, "quantity": 1}]}
    client.expect("a hold to expire", await client.hold(0, everything, sale=2), 201)
    rest = {"seats": [], "products": [{"product": 1, "quantity": 2}]}
    client.expect("the rest of the stock", await client.hold(1, rest, sale=2), 201)
    client.expect("limit before", await client.hold(0, {"seats": [3]}, sale=2), 403)
    await asyncio.sleep(HOLD_TTL_S + 0.3)
    client.expect("a past-due seat", await client.hold(2, {"seats": [1]}, sale=2), 201)
    three = {"seats": [], "products": [{"product": 1, "quantity": 3}]}
    client.expect("past-due stock", await client.hold(3, three, sale=2), 201)
    client.expect("a limit past due", await client.hold(0, {"seats": [3, 4, 5]}, sale=2), 201)


async def strangers(client: Client) -> None:
    valid = client.tokens[0]
    client.tokens[0] = valid[:-4] + "AAAA"
    client.expect("a forged token", await client.hold(0, {"seats": [30]}), 401)
    client.tokens[0] = valid


SCENES: list[Callable[[Client], Awaitable[None]]] = [
    seats_and_replays,
    what_does_not_exist,
    limits,
    stock,
    all_at_once,
    expiry,
    strangers,
]


async def conform(bench: Bench, contender: Contender) -> list[str]:
    """Play the scenario against one contender and say what it answered wrong."""
    workload = Workload("conform", "", HALL, "seats", 1)
    async with prepared_store(bench, contender, workload) as (_, url, valkey_port):
        port = free_port()
        with running(
            contender.command(port, 2),
            contender.environment(url, valkey_port, 2),
            bench.folder / f"{contender.name}.log",
            f"http://127.0.0.1:{port}/livez",
        ):
            tokens = bench.tokens.read_text().split()
            async with aiohttp.ClientSession() as http:
                client = Client(http, f"http://127.0.0.1:{port}", tokens)
                for scene in SCENES:
                    await scene(client)
                return client.faults


async def run(bench: Bench, chosen: list[Contender]) -> bool:
    write_tokens(bench.tokens, PERSONS)
    await bench.database.make_template(HALL)
    is_clean = True
    for contender in chosen:
        faults = await conform(bench, contender)
        is_clean = is_clean and not faults
        print(f"{contender.name:<20} {'keeps the rules' if not faults else ''}")
        for fault in faults:
            print(f"    {fault}")
    return is_clean


def main() -> int:
    everyone = [ours, *peers]
    parser = argparse.ArgumentParser(prog="python -m bench.conform", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[[], *(c.name for c in everyone)])
    names = parser.parse_args().names
    chosen = [c for c in everyone if not names or c.name in names]
    folder = FOLDER / "work"
    database = BenchDatabase(folder / "postgres")
    bench = Bench(folder, folder / "persons", 0, database=database, quick=True)
    bench.database.start()
    try:
        return 0 if asyncio.run(run(bench, chosen)) else 1
    finally:
        bench.database.stop()


if __name__ == "__main__":
    sys.exit(main())
