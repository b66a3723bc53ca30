"""The sale and the room that the crowd comes for, set up as an operator would: over REST."""

import asyncio
from datetime import datetime, timedelta

import aiohttp

from sunseo.rehearsal.scenes.scenario import Scenario
from sunseo.rehearsal.scenes.scene import RehearsedRoom
from sunseo.rehearsal.target.operator import Operator, Setup

SALE_S = 0.05  # to set up each of many sales, on a busy machine
AT_ONCE = 8  # sales being created: the server is to be fresh when the crowd comes


def setup_s(scenario: Scenario) -> float:
    """How long to leave for setting it up, before anybody comes."""
    return SALE_S * scenario.sales


async def set_up(
    session: aiohttp.ClientSession, key: str, scenario: Scenario, zero: datetime
) -> Setup:
    """Create sales with what they sell, and the room where there is one; `zero` is T0.

    Raises:
        SetupError: something was refused.
    """
    operator, entrance = Operator(session, key), scenario.entrance
    openings = scenario.arrivals.openings_s
    wanted = [
        zero + timedelta(seconds=openings[place % len(openings)]) for place in range(scenario.sales)
    ]
    at_once = asyncio.Semaphore(AT_ONCE)

    async def create(moment: datetime) -> int:
        async with at_once:
            return await scenario.scene.create(operator, moment, scenario.session_s)

    sales = await asyncio.gather(*map(create, entrance.sales_open(wanted)))
    return await entrance.set_up(
        operator, sales, RehearsedRoom(scenario.capacity, scenario.session_s, zero)
    )
