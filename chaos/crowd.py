"""A crowd of buyers in sales: they hold, order, renew, give back, and forget."""

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from chaos.asking import Answered, AskingCrowd, Intent

STANDING = 1  # the product without seats


@dataclass(frozen=True)
class Sale:
    """What the crowd may ask for."""

    number: int
    seats: int


class Crowd(AskingCrowd):
    """Buyers.

    Args:
        sales: what they want; a visit picks one at random.
        token: makes a person's token. Each visit is of a new person.
    """

    def __init__(
        self, url: str, sales: list[Sale], token: Callable[[str], str], *, buyers: int, seed: int
    ) -> None:
        super().__init__(url, clients=buyers, seed=seed)
        self._sales = sales
        self._token = token

    async def replay(self, sample: Iterable[Answered]) -> list[str]:
        """Send successes once more with their keys; a sentence for each that is answered anew."""
        changed = []
        async with self.connected():
            for before in sample:
                now = await self.settle(before.intent)
                what = "order" if before.intent.verb == "orders" else "hold"
                if (now.status, now.body.get(what)) != (200, before.body[what]):
                    changed.append(f"{before.intent.path} was answered {now.status} {now.body}")
        return changed

    async def visit(self, chance: random.Random, name: str) -> None:
        """Hold something, and order it, give it back, renew it or forget it."""
        sale = chance.choice(self._sales)
        path = f"/v1/sales/{sale.number}"
        person = self._token(name)
        wanted: dict[str, Any] = {"products": [{"product": STANDING, "quantity": 1}]}
        if chance.random() < 0.7:
            wanted = {"seats": chance.sample(range(1, sale.seats + 1), chance.choice((1, 1, 2)))}
        held = await self.ask(Intent(person, f"{path}/holds", wanted))
        if not held.is_success:
            return
        hold = held.body["hold"]
        plan = chance.random()
        if plan < 0.2:
            await self.ask(Intent(person, f"{path}/holds/{hold}/renew", None))
        if plan < 0.45:
            await self.ask(Intent(person, f"{path}/orders", {"hold": hold}))
        elif plan < 0.85:
            await self.ask(Intent(person, f"{path}/holds/{hold}/release", None))
