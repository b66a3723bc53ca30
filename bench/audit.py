"""After every run: does the database say what the crowd was told?

Everything is recounted from the holds, never from the counters under suspicion.
"""

import asyncpg

from bench.load import Load
from bench.workloads import Workload

SEATS_WITH_TWO_OWNERS = """
SELECT count(*) FROM (
    SELECT h.sale, seat FROM holds h, unnest(h.seats) AS seat
    WHERE h.state IN ('open', 'ordered') GROUP BY h.sale, seat HAVING count(*) > 1
) AS twice
"""
SEATS_NOT_AS_HELD = """
SELECT count(*) FROM (SELECT sale, seat, hold FROM seats WHERE hold IS NOT NULL) s
FULL JOIN (
    SELECT h.sale, seat, h.hold FROM holds h, unnest(h.seats) AS seat
    WHERE h.state IN ('open', 'ordered')
) h ON h.sale = s.sale AND h.seat = s.seat AND h.hold = s.hold
WHERE s.hold IS NULL OR h.hold IS NULL
"""
USES_NOT_AS_HELD = """
SELECT count(*) FROM (SELECT sale, person, occasion, units FROM person_uses WHERE units <> 0) u
FULL JOIN (
    SELECT h.sale, h.person, t.occasion, sum(t.units)::integer AS units
    FROM holds h, unnest(h.use_occasions, h.use_units) AS t(occasion, units)
    WHERE h.state IN ('open', 'ordered') GROUP BY 1, 2, 3
) h USING (sale, person, occasion)
WHERE u.units IS DISTINCT FROM h.units
"""
PERSONS_OVER_LIMIT = """
SELECT count(*) FROM (
    SELECT h.sale, h.person, sum(h.units) AS units FROM holds h
    WHERE h.state IN ('open', 'ordered') GROUP BY h.sale, h.person
) h JOIN sales s ON s.sale = h.sale WHERE h.units > s.person_limit
"""
STOCKS_NOT_AS_HELD = """
SELECT count(*) FROM stocks s LEFT JOIN (
    SELECT h.sale, t.stock, sum(t.units)::bigint AS units
    FROM holds h, unnest(h.stocks, h.stock_units) AS t(stock, units)
    WHERE h.state IN ('open', 'ordered') GROUP BY h.sale, t.stock
) h USING (sale, stock)
WHERE s.held + s.sold <> coalesce(h.units, 0)
"""
OUTBOX_EVENTS = "SELECT count(*) FROM outbox WHERE kind = 'HoldPlaced'"
JOURNAL_EVENTS = """
SELECT count(*) FROM journal j, jsonb_array_elements(j.events) AS event
WHERE event ->> 'type' = 'HoldPlaced'
"""
JOURNAL_GAPS = """
SELECT count(*) FROM sales s LEFT JOIN (
    SELECT stream AS sale, count(*) AS entries, max(version) AS last
    FROM journal WHERE kind = 'sale' GROUP BY stream
) j USING (sale)
WHERE s.version <> coalesce(j.last, 0) OR coalesce(j.last, 0) <> coalesce(j.entries, 0)
"""
HOLDS = "SELECT count(*) FROM holds WHERE ($1::bigint IS NULL OR sale <= $1) AND hold <> person"

CHECKS = {
    "seats with two owners": SEATS_WITH_TWO_OWNERS,
    "seats that do not belong to their hold": SEATS_NOT_AS_HELD,
    "persons' counters that disagree with holds": USES_NOT_AS_HELD,
    "persons over their limit": PERSONS_OVER_LIMIT,
    "stock counters that disagree with holds": STOCKS_NOT_AS_HELD,
}


async def faults(
    conn: "asyncpg.Connection[asyncpg.Record]", workload: Workload, load: Load
) -> list[str]:
    """Say everything that is wrong after a run, one sentence each."""
    found = []
    for what, query in CHECKS.items():
        if rows := await conn.fetchval(query, timeout=120):
            found.append(f"{rows} {what}")

    has_outbox = await conn.fetchval("SELECT to_regclass('outbox') IS NOT NULL")
    events = await conn.fetchval(OUTBOX_EVENTS if has_outbox else JOURNAL_EVENTS, timeout=120)
    holds = await conn.fetchval(HOLDS, None)  # what was there beforehand has no event
    if events != holds:
        found.append(f"{holds} holds but {events} events")
    if not has_outbox and (gaps := await conn.fetchval(JOURNAL_GAPS)):
        found.append(f"{gaps} sales whose journal has gaps")

    placed = await conn.fetchval(HOLDS, workload.hall.sales)
    return found + acknowledged_faults(placed, workload, load)


def acknowledged_faults(placed: int, workload: Workload, load: Load) -> list[str]:
    """Compare holds placed with holds acknowledged.

    What was in flight when wrk hung up may be placed without having been counted: at most one a
    connection.
    """
    found = []
    if not load.held <= placed <= load.held + workload.connections:
        found.append(f"{load.held} holds acknowledged, {placed} placed")
    if load.socket_errors or load.timeouts:
        found.append(f"{load.socket_errors} socket errors, {load.timeouts} time-outs")
    unexpected = sum(load.statuses[status] for status in ("s404", "s429", "s503", "other"))
    if not workload.is_refusal_an_answer:
        unexpected = load.refused
    if unexpected:
        found.append(f"{unexpected} of {load.requests} requests were not served")
    return found
