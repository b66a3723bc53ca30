"""Who returns the units of holds whose time has run out."""

from sunseo.booking.expirer import Expirer
from sunseo.engine.lanes import EngineLanes
from tests.store.market import KIM, ORGANISATION, Market, place


async def test_one_process_expires_until_it_leaves(market: Market) -> None:
    """The others look for nothing meanwhile; the next one finds what was left."""
    sale = await market.sale(seats=2)
    lanes = EngineLanes([market.lane()])
    told: list[tuple[str, int]] = []

    def expirer(name: str) -> Expirer:
        return Expirer(
            market.engine, ORGANISATION, lanes, lambda expired, _late: told.append((name, expired))
        )

    one, other = expirer("one"), expirer("other")
    first = await market.held(place(sale, KIM, "a", 1))
    await market.let_run_out(first.hold)
    await one.run_once()
    await other.run_once()
    assert told == [("one", 1)]

    second = await market.held(place(sale, KIM, "b", 2))
    await market.let_run_out(second.hold)
    await one.leave()
    await other.run_once()
    await one.run_once()
    assert told == [("one", 1), ("other", 1)]
    assert await market.value("SELECT count(*) FROM seats WHERE hold IS NOT NULL") == 0
