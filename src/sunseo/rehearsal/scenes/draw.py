"""A room that draws: who comes before T0 registers, numbers are drawn, later ones stand behind.

State       REGISTERING until shortly before T0, then DRAWN.
Guarantee   Whoever was promised a secret is told it; nothing of the drawing outlives its block.
Clock       Monotonic, until the server's own takes over: it ends registration at T0 by itself.
On failure  A SetupError ends the rehearsal: without numbers nobody can be called.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, ClassVar

import msgspec

from sunseo.rehearsal.scenes.line import LineEntrance
from sunseo.rehearsal.scenes.scene import RehearsedRoom, Texts
from sunseo.rehearsal.target.operator import Operator, Setup, SetupError
from sunseo.rehearsal.verdict.evidence import CheckFunction
from sunseo.rehearsal.verdict.line import uniform_draw
from sunseo.room.draw.rules import commitment_of, new_secret

DRAWN_BEFORE_S = 2.0  # T0, so that everybody can have her number then


class DrawEntrance(LineEntrance, frozen=True, kw_only=True):
    """Its secret is promised to those who register, and told when numbers are drawn."""

    unsuited: ClassVar[str] = "without a draw, and {title!r} has one"
    texts: ClassVar[Texts] = {
        "ko": {"check.uniform-draw": "추첨 번호는 등록한 순서와 관계가 없습니다"},
        "en": {
            "check.uniform-draw": "Drawn numbers had nothing to do with who registered when",
        },
    }

    @property
    def checks(self) -> Mapping[str, CheckFunction]:
        return {**super().checks, "uniform-draw": uniform_draw}

    def settings(self, terms: RehearsedRoom) -> dict[str, Any]:
        return super().settings(terms) | {"mode": "random"}

    async def set_up(self, operator: Operator, sales: list[int], terms: RehearsedRoom) -> Setup:
        setup = await super().set_up(operator, sales, terms)
        secret = new_secret()
        promised = {"committer": "This rehearsal", "independent": False}
        commitment = {"commitment": commitment_of(secret).hex()}
        await operator.post(f"/v1/rooms/{setup.room}/draw/commit", promised | commitment)
        return msgspec.structs.replace(setup, draw_secret=secret.hex())

    @asynccontextmanager
    async def during(self, operator: Operator, setup: Setup, zero: float) -> AsyncIterator[None]:
        """Draw the numbers shortly before T0.

        Raises:
            SetupError: they could not be drawn.
        """
        drawing = asyncio.create_task(_draw(operator, setup, zero - DRAWN_BEFORE_S))
        try:
            yield
            if drawing.done():
                await drawing
        finally:
            drawing.cancel()
            with suppress(asyncio.CancelledError, SetupError):
                await drawing


async def _draw(operator: Operator, setup: Setup, at: float) -> None:
    """At a monotonic moment end registration and draw the numbers."""
    await asyncio.sleep(at - time.monotonic())
    draw = f"/v1/rooms/{setup.room}/draw"
    await operator.post(f"{draw}/seal", None, unless="already_sealed")  # by the server, at T0
    await operator.post(f"{draw}/reveal", {"secret": setup.draw_secret})
