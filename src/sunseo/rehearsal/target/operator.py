"""Who sets up what the crowd comes for, with a key, over REST; and what there is then."""

import asyncio
from typing import Any
from uuid import uuid4

import aiohttp
import msgspec

from sunseo.rehearsal.attempt import AttemptError

TRIES = 5


class SetupError(AttemptError):
    """The server refuses to set up the scene; one line says why."""


class Setup(msgspec.Struct, frozen=True):
    """What has been set up: sales, those of each opening in turn, and the room in front of them."""

    sales: list[int]
    room: int | None
    draw_secret: str = ""  # promised to those who register; empty where no numbers are drawn

    @property
    def summary(self) -> str:
        if not self.sales:
            return f"Room {self.room}"
        sales = f"Sale {self.sales[0]}" if len(self.sales) == 1 else f"{len(self.sales)} sales"
        return sales if self.room is None else f"{sales} behind room {self.room}"


def open_session(url: str) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        url, cookie_jar=aiohttp.DummyCookieJar(), timeout=aiohttp.ClientTimeout(total=60.0)
    )


class Operator:
    """Who sets up, with a key, over REST."""

    def __init__(self, session: aiohttp.ClientSession, key: str) -> None:
        self._session = session
        self._key = key

    async def read(self, path: str) -> str:
        """The text of an answer.

        Raises:
            SetupError: it was refused.
        """
        headers = {"Authorization": f"Bearer {self._key}"}
        async with self._session.get(path, headers=headers) as response:
            if response.status != 200:
                raise SetupError(f"{path} was answered {response.status}")
            return await response.text()

    async def post(
        self, path: str, body: dict[str, Any] | None, *, unless: str | None = None
    ) -> dict[str, Any]:
        """Send it, again where the server asks to come later; `unless` is an outcome that will do.

        Raises:
            SetupError: it was refused.
        """
        headers = {"Authorization": f"Bearer {self._key}", "Idempotency-Key": str(uuid4())}
        refusal = ""
        for _ in range(TRIES):
            async with self._session.post(path, headers=headers, json=body) as response:
                told: dict[str, Any] = await response.json(content_type=None)
                if response.status in (200, 201) or (unless and told.get("outcome") == unless):
                    return told
                refusal = f"{path} was answered {response.status}: {told.get('detail')}"
                if response.status not in (429, 503):
                    break
                await asyncio.sleep(float(response.headers.get("Retry-After", 1)))
        raise SetupError(refusal)
