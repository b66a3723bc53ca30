"""Holds on real rows: expiry, keys, catalogues, many sales; and a refusal moves nothing."""

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from sunseo.booking.commands import ExpireHold, PlaceHoldOutcome, ReleaseHoldOutcome
from sunseo.booking.inventory import HoldState
from sunseo.booking.locked import RECLAIM_MAX
from sunseo.core.ids import digest_id
from sunseo.engine.entry import Defer
from sunseo.operators.command import By
from sunseo.postgres.pipelined.session import PipelineSession
from sunseo.postgres.pipelined.statements import Statement
from tests.store.market import KIM, LEE, Market, order, person, place, release, renew

HELD = PlaceHoldOutcome.HELD


async def test_a_hold_is_stored_as_it_was_claimed(market: Market) -> None:
    """Seats, stock and limits in one row, and each of them counted where it is."""
    sale = await market.sale(
        seats=[2, 2],
        stocks=[10, 10],
        products=[{1: 1, 2: 2}],
        person_limit=9,
        occasion_limit=5,
        hold_ttl_s=60,
    )
    hold = await market.held(place(sale, KIM, "a", 3, 1, products=[(1, 2)]))

    assert hold.seats == (3, 1)
    assert (hold.units, hold.amount) == (4, 0)
    assert dict(hold.draws) == {1: 2, 2: 4}
    assert dict(hold.uses) == {0: 4, 1: 3, 2: 1}
    assert (hold.expires_at - hold.placed_at).total_seconds() == 60
    assert await market.rows("SELECT seat, hold, expires_at FROM seats ORDER BY seat") == [
        (1, hold.hold, hold.expires_at),
        (2, None, None),
        (3, hold.hold, hold.expires_at),
        (4, None, None),
    ]
    assert await market.rows("SELECT held, sold FROM stocks ORDER BY stock") == [(2, 0), (4, 0)]
    uses = "SELECT occasion, units, units_max FROM person_uses ORDER BY occasion"
    assert await market.rows(uses) == [(0, 4, 9), (1, 3, 5), (2, 1, 5)]

    assert await market.outcomes(release(sale, KIM, hold.hold)) == [ReleaseHoldOutcome.RELEASED]
    assert await market.rows("SELECT count(*) FROM seats WHERE hold IS NULL") == [(4,)]
    assert await market.rows("SELECT held, sold FROM stocks ORDER BY stock") == [(0, 0), (0, 0)]
    assert await market.rows("SELECT sum(units) FROM person_uses") == [(0,)]


async def test_the_same_key_with_another_body_is_refused(market: Market) -> None:
    """KEY_REUSED, and neither the first hold nor anything else moves."""
    sale = await market.sale(seats=2)
    command = place(sale, KIM, "a", 1)
    await market.held(command)
    other = msgspec.structs.replace(
        command, seats=(2,), request_digest=digest_id(b"request", "another")
    )
    before = await market.tables()

    assert await market.outcomes(other) == [PlaceHoldOutcome.KEY_REUSED]
    assert await market.tables() == before


async def test_a_replay_tells_how_the_hold_stands_today(market: Market) -> None:
    """Placed again after it was renewed, and after it was released: the same hold, as it is now."""
    sale = await market.sale(seats=1, renewals_max=2)
    command = place(sale, KIM, "a", 1)
    hold = await market.held(command)

    (renewed,) = await market.ask(renew(sale, KIM, "b", hold.hold))
    (replayed,) = await market.ask(command)
    assert replayed.outcome is PlaceHoldOutcome.REPLAYED
    assert replayed.hold.expires_at == renewed.hold.expires_at > hold.expires_at
    assert replayed.renewals_left == 1

    await market.ask(release(sale, KIM, hold.hold))
    before = await market.tables()
    (replayed,) = await market.ask(command)
    assert (replayed.outcome, replayed.hold.state) == (
        PlaceHoldOutcome.REPLAYED,
        HoldState.RELEASED,
    )
    assert await market.tables() == before


async def test_the_same_command_twice_in_one_batch_is_done_once(market: Market) -> None:
    """An impatient client's second try that lands in the same batch is a replay."""
    sale = await market.sale(seats=1)
    command = place(sale, KIM, "a", 1)

    assert await market.outcomes(command, command) == [HELD, PlaceHoldOutcome.REPLAYED]
    assert await market.value("SELECT count(*) FROM holds") == 1


async def test_a_hold_may_be_renewed_and_let_go_in_the_batch_that_places_it(market: Market) -> None:
    """Its row is written as it stands at the end of the batch, renewals and all."""
    sale = await market.sale(seats=2, renewals_max=1)
    kept, left = place(sale, KIM, "a", 1), place(sale, KIM, "b", 2)
    renewing = renew(sale, KIM, "c", kept.effect)
    outcomes = await market.outcomes(
        kept, renewing, left, release(sale, KIM, left.effect), place(sale, LEE, "d", 2)
    )

    assert [o.name for o in outcomes] == ["HELD", "RENEWED", "HELD", "RELEASED", "HELD"]
    assert [o.name for o in await market.outcomes(renewing)] == ["REPLAYED"]
    again = renew(sale, KIM, "e", kept.effect)
    assert [o.name for o in await market.outcomes(again)] == ["RENEWALS_SPENT"]
    assert await market.rows("SELECT hold FROM seats ORDER BY seat") == [
        (kept.effect,),
        (place(sale, LEE, "d", 2).effect,),
    ]


async def test_refusals_move_nothing(market: Market) -> None:
    """However many are refused, no row changes, none is added and no event is journalled."""
    sale = await market.sale(seats=2, stocks=[1], products=[{1: 1}], person_limit=1, order_limit=2)
    paused = await market.sale(seats=1)
    await market.setup.set_paused(By("op", "pause"), paused[1], paused=True)
    closed = await market.sale(seats=1, opens_at="2999-01-01T00:00:00Z")
    await market.held(place(sale, KIM, "a", 1))
    await market.held(place(sale, LEE, "b", products=[(1, 1)]))
    before = await market.tables()

    commands = {
        "UNKNOWN_SALE": place((1, 9999), KIM, "c", 1),
        "SALE_NOT_OPEN": place(closed, KIM, "c", 1),
        "SALE_PAUSED": place(paused, KIM, "c", 1),
        "UNKNOWN_SEAT": place(sale, KIM, "c", 1, 99),
        "UNKNOWN_PRODUCT": place(sale, KIM, "c", products=[(9, 1)]),
        "ORDER_LIMIT_REACHED": place(sale, KIM, "c", 2, products=[(1, 9)]),
        "SEAT_TAKEN": place(sale, person(3), "c", 1),
        "LIMIT_REACHED": place(sale, KIM, "c", 2),
    }
    assert [o.name for o in await market.outcomes(*commands.values())] == list(commands)
    assert await market.tables() == before

    # Neither does one who was not known before leave a counter behind.
    assert [
        o.name for o in await market.outcomes(place(sale, person(3), "c", products=[(1, 1)]))
    ] == ["SOLD_OUT"]
    assert await market.tables() == before


async def test_an_expired_seat_is_free_at_once(market: Market) -> None:
    """The next buyer gets it although no expirer has run, and both ends are journalled."""
    sale = await market.sale(seats=1)
    hold = await market.held(place(sale, KIM, "a", 1))
    await market.let_run_out(hold.hold)

    assert await market.outcomes(place(sale, LEE, "b", 1)) == [HELD]
    assert await market.rows("SELECT state FROM holds ORDER BY placed_at") == [
        ("expired",),
        ("open",),
    ]


async def test_expired_stock_is_free_at_once(market: Market) -> None:
    """Sold out by holds that have run out: they are reclaimed before anybody is refused."""
    sale = await market.sale(stocks=[3], products=[{1: 1}, {1: 2}])
    holds = [await market.held(place(sale, person(n), "a", products=[(1, 1)])) for n in range(3)]
    assert await market.outcomes(place(sale, LEE, "b", products=[(2, 1)])) == [
        PlaceHoldOutcome.SOLD_OUT
    ]
    await market.let_run_out(holds[0].hold, holds[2].hold)

    assert await market.outcomes(place(sale, LEE, "b", products=[(2, 1)])) == [HELD]
    assert await market.rows("SELECT held, sold FROM stocks") == [(3, 0)]
    assert await market.outcomes(place(sale, LEE, "c", products=[(1, 1)])) == [
        PlaceHoldOutcome.SOLD_OUT
    ]


async def test_an_expired_limit_is_free_at_once(market: Market) -> None:
    """A person whose holds have run out may hold again, up to the limit and not beyond."""
    sale = await market.sale(seats=[4, 4], person_limit=2, occasion_limit=1)
    holds = [await market.held(place(sale, KIM, f"{n}", n)) for n in (1, 5)]
    assert await market.outcomes(place(sale, KIM, "c", 2)) == [PlaceHoldOutcome.LIMIT_REACHED]
    await market.let_run_out(*(hold.hold for hold in holds))

    assert await market.outcomes(place(sale, KIM, "c", 2, 6)) == [HELD]
    assert await market.outcomes(place(sale, KIM, "d", 3)) == [PlaceHoldOutcome.LIMIT_REACHED]
    uses = "SELECT occasion, units FROM person_uses ORDER BY occasion"
    assert await market.rows(uses) == [(0, 2), (1, 1), (2, 1)]


async def test_more_expired_holds_than_one_turn_reclaims(market: Market) -> None:
    """Reclaiming is bounded in one turn, oldest first; who needs more gets it turn by turn."""
    size = RECLAIM_MAX + 50
    sale = await market.sale(stocks=[size], products=[{1: 1}])
    batch = [place(sale, person(n), "a", products=[(1, 1)]) for n in range(size)]
    answers = await market.ask(*batch)
    await market.let_run_out(*(answer.hold.hold for answer in answers))

    assert await market.outcomes(place(sale, KIM, "b", products=[(1, size)])) == [HELD]
    assert await market.rows("SELECT held, sold FROM stocks") == [(size, 0)]


async def test_the_owner_of_an_expired_hold_is_told_so(market: Market) -> None:
    """Expired is expired, whether or not anybody has returned the units yet."""
    sale = await market.sale(seats=1)
    hold = await market.held(place(sale, KIM, "a", 1))
    await market.let_run_out(hold.hold)
    mine = (renew(sale, KIM, "b", hold.hold), release(sale, KIM, hold.hold))
    before = await market.tables()

    assert [o.name for o in await market.outcomes(*mine)] == ["HOLD_EXPIRED"] * 2
    assert await market.tables() == before
    assert [o.name for o in await market.outcomes(ExpireHold(sale, hold.hold))] == ["EXPIRED"]
    assert [o.name for o in await market.outcomes(*mine)] == ["HOLD_EXPIRED"] * 2
    assert [o.name for o in await market.outcomes(ExpireHold(sale, hold.hold))] == ["ENDED_BEFORE"]


async def test_order_of_arrival_is_the_order_of_right(market: Market) -> None:
    """In one batch the first gets the seat, and a release makes room for those behind it only."""
    sale = await market.sale(seats=2)
    hold = await market.held(place(sale, person(1), "a", 1))

    assert [
        outcome.name
        for outcome in await market.outcomes(
            place(sale, KIM, "a", 1),
            release(sale, person(1), hold.hold),
            place(sale, LEE, "a", 1, 2),
            place(sale, KIM, "b", 2),
        )
    ] == ["SEAT_TAKEN", "RELEASED", "HELD", "SEAT_TAKEN"]


async def test_a_catalogue_replaced_meanwhile_is_read_anew(market: Market) -> None:
    """What was decided on the old catalogue is not answered: the next batch has the new one."""
    sale = await market.sale(seats=1, stocks=[5], products=[{1: 1}])
    flush = market.flush()
    warm = place(sale, KIM, "a", products=[(1, 1)])
    await flush([warm])
    added = await market.add_stocks(sale[1], [3], [{2: 1}])
    assert added["products"] == [2]

    command = place(sale, KIM, "b", products=[(2, 1)])
    (answer,) = await flush([command])
    assert isinstance(answer, Defer)
    (answer,) = await flush([answer.command])
    assert not isinstance(answer, Defer)
    assert answer.outcome is HELD
    assert await market.rows("SELECT held FROM stocks ORDER BY stock") == [(1,), (1,)]


async def test_a_pause_and_an_opening_need_no_new_catalogue(market: Market) -> None:
    """They stand in the sale's locked row, so the very next batch knows."""
    sale = await market.sale(seats=2)
    flush = market.flush()
    await flush([place(sale, KIM, "a", 1)])
    await market.setup.set_paused(By("op", "pause"), sale[1], paused=True)

    (answer,) = await flush([place(sale, KIM, "b", 2)])
    assert not isinstance(answer, Defer)
    assert answer.outcome is PlaceHoldOutcome.SALE_PAUSED


@pytest.mark.parametrize("kind", ["seats", "stock", "order", "release", "reclaim"])
async def test_many_small_sales_cost_as_many_statements_as_one(
    market: Market, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch over 200 sales sends the same statements as a batch in one."""
    sales = [
        await market.sale(seats=1, stocks=[1], products=[{1: 1}], person_limit=3) for _ in range(3)
    ]
    await _copy_sales(market, sales[0][1], 200)
    many = [(1, sale) for (sale,) in await market.rows("SELECT sale FROM sales WHERE sale > 1000")]
    flush = market.flush(waits=False)
    counted = _Counted(monkeypatch)

    async def prepare(chosen: list[Any]) -> list[Any]:
        if kind == "seats":
            return [place(sale, KIM, "a", 1) for sale in chosen]
        if kind == "stock":
            return [place(sale, KIM, "a", products=[(1, 1)]) for sale in chosen]
        both = [place(sale, KIM, "a", 1, products=[(1, 1)]) for sale in chosen]
        holds = [answer.hold for answer in await flush(both)]  # type: ignore[union-attr]  # all held
        if kind == "reclaim":
            await market.let_run_out(*(hold.hold for hold in holds))
            again = [place(sale, LEE, "b", 1, products=[(1, 1)]) for sale in chosen]
            return [answer.command for answer in await flush(again)]  # type: ignore[union-attr]  # all put off
        if kind == "order":
            return [order(hold.sale, KIM, "b", hold.hold) for hold in holds]
        return [release(hold.sale, KIM, hold.hold) for hold in holds]

    # The catalogues are at hand, as they are in a lane that has seen the sale before.
    await flush([place(sale, KIM, "warm", 99) for sale in [*sales[:1], *many]])
    few, lots = await prepare(sales[:1]), await prepare(many)
    for_one = await counted.during(flush(few))
    for_many = await counted.during(flush(lots))

    assert for_many == for_one
    assert 8 <= len(for_one) <= 17
    done = "SELECT count(*) FROM journal WHERE stream > 1000 AND events @> $1::jsonb"
    expected = {"order": "OrderConfirmed", "release": "HoldReleased", "reclaim": "HoldExpired"}
    event = expected.get(kind, "HoldPlaced")
    assert await market.value(done, f'[{{"type": "{event}"}}]') == 200


class _Counted:
    """The names of the statements that a lane's connection is given."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._names: list[str] = []
        send = PipelineSession.send

        def counted(session: PipelineSession, statements: Sequence[Statement]) -> Any:
            self._names += [s.query.split()[1] if s.arguments else s.query for s in statements]
            return send(session, statements)

        monkeypatch.setattr(PipelineSession, "send", counted)

    async def during(self, work: Any) -> list[str]:
        self._names.clear()
        await work
        return list(self._names)


async def _copy_sales(market: Market, sale: int, copies: int) -> None:
    """Multiply a sale by SQL: operators' commands would take a transaction each."""
    connection = await market.raw()
    for table in (
        "sales",
        "occasions",
        "price_classes",
        "seats",
        "stocks",
        "products",
        "product_draws",
    ):
        columns = [
            name
            for (name,) in await market.rows(
                "SELECT column_name::text FROM information_schema.columns"
                " WHERE table_name = $1 AND table_schema = 'public' ORDER BY ordinal_position",
                table,
            )
        ]
        values = ", ".join("1000 + n" if name == "sale" else name for name in columns)
        await connection.execute(
            f"INSERT INTO {table} ({', '.join(columns)})"  # noqa: S608 - names from the catalogue
            f" SELECT {values} FROM {table}, generate_series(1, {copies}) AS n WHERE sale = {sale}"
        )
