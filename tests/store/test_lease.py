"""Leases: one process in a role, for as long as it says so and not longer."""

from sunseo.postgres.lease import Lease
from tests.store.market import ORGANISATION, Market

ROLE = "watchman"


async def holds(market: Market, lease: Lease) -> bool:
    async with market.engine.begin() as connection:
        return await lease.hold(connection)


async def guards(market: Market, lease: Lease) -> bool:
    async with market.engine.begin() as connection:
        return await lease.guard(connection)


async def test_one_holds_a_lease_until_it_ends_or_is_dropped(market: Market) -> None:
    """The second gets it from the first who drops it, and the fence grows with the change."""
    one, other = Lease(ORGANISATION, ROLE), Lease(ORGANISATION, ROLE)
    assert [await holds(market, lease) for lease in (one, other, one)] == [True, False, True]
    assert [await guards(market, lease) for lease in (one, other)] == [True, False]
    async with market.engine.begin() as connection:
        await one.drop(connection)
    assert [await guards(market, lease) for lease in (one, other)] == [False, False]

    assert [await holds(market, lease) for lease in (other, one)] == [True, False]
    assert await market.value("SELECT fence FROM leases") == 2


async def test_a_lease_that_has_run_out_goes_to_the_next_who_asks(market: Market) -> None:
    """Its holder is turned away by the guard even before anybody else has taken it."""
    one, other = Lease(ORGANISATION, ROLE), Lease(ORGANISATION, ROLE)
    assert await holds(market, one)
    await market.rows("UPDATE leases SET lease_until = clock_timestamp() - interval '1 ms'")

    assert not await guards(market, one)
    assert await holds(market, other)
    assert not await holds(market, one)


async def test_a_lease_longer_than_it_can_be_is_nobodys(market: Market) -> None:
    """Written while the clock stood an hour ahead, it would lock everybody out for that hour."""
    one, other = Lease(ORGANISATION, ROLE), Lease(ORGANISATION, ROLE)
    assert await holds(market, one)
    await market.rows("UPDATE leases SET lease_until = clock_timestamp() + interval '1 hour'")
    assert await holds(market, other)


async def test_who_asks_often_writes_seldom(market: Market) -> None:
    """A lease is written when it is taken and when half of it is over; others never write it."""
    one, other = Lease(ORGANISATION, ROLE), Lease(ORGANISATION, ROLE)
    assert await holds(market, one)
    before = await market.rows("SELECT xmin::text, xmax::text, lease_until FROM leases")
    for _ in range(3):
        await holds(market, one)
        await holds(market, other)
    assert await market.rows("SELECT xmin::text, xmax::text, lease_until FROM leases") == before

    await market.rows("UPDATE leases SET lease_until = clock_timestamp() + interval '2 s'")
    assert await holds(market, one)
    assert await market.value("SELECT lease_until > clock_timestamp() + interval '5 s' FROM leases")


async def test_a_guarded_lease_does_not_change_hands_within_the_transaction(market: Market) -> None:
    """Whoever takes the role waits until what the guard was asked for has been committed."""
    one, other = Lease(ORGANISATION, ROLE), Lease(ORGANISATION, ROLE)
    assert await holds(market, one)
    taking = await market.raw()
    async with market.engine.begin() as connection:
        assert await one.guard(connection)
        await taking.execute("SET lock_timeout = '50 ms'")
        refused = await taking.execute(
            "SELECT 1 FROM leases WHERE role = $1 FOR NO KEY UPDATE SKIP LOCKED", ROLE
        )
        assert refused == "SELECT 0"
    assert not await holds(market, other)
