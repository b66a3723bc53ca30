"""The part that CONTRIBUTING shows is a whole one: it runs as it is written there."""

import re
from pathlib import Path
from types import ModuleType
from uuid import UUID

import msgspec

from sunseo.booking.locked import SALES
from sunseo.engine.batch import BatchFlush
from sunseo.journal import events
from sunseo.postgres.queries import parse_queries
from tests.store.market import KIM, LEE, Market, ask

CONTRIBUTING = Path(__file__).parents[2] / "CONTRIBUTING.md"

TABLE = """
    CREATE TABLE waitlist (organisation integer NOT NULL, sale bigint NOT NULL, entry uuid NOT NULL,
        person uuid NOT NULL, PRIMARY KEY (organisation, sale, entry))"""
IMPORTED = "from sunseo.journal.events import WaitlistJoined\n"
LOADED = 'load_queries("sunseo.waitlist")'


class WaitlistJoined(msgspec.Struct, frozen=True, tag_field="type", tag=True):
    """The event that the example would add."""

    entry: UUID
    person: UUID
    v: int = 1


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", CONTRIBUTING.read_text("utf-8"), re.DOTALL)


def the_example() -> ModuleType:
    """The example as a module, with its event and its statements at hand."""
    (source,) = [block for block in blocks("python") if "WaitlistPart" in block]
    (script,) = [block for block in blocks("sql") if "find_entries" in block]
    assert IMPORTED in source
    assert LOADED in source
    assert not hasattr(events, "WaitlistJoined")
    module = ModuleType("waitlist")
    statements = parse_queries(script, CONTRIBUTING.name)
    vars(module).update(WaitlistJoined=WaitlistJoined, STATEMENTS=statements)
    exec(source.replace(IMPORTED, "").replace(LOADED, "STATEMENTS"), module.__dict__)  # noqa: S102 - our own document
    return module


async def test_the_example_of_a_part_works_as_it_is_written(market: Market) -> None:
    """Joined, replayed, unknown: with a journal row of its own, and nothing on a retry."""
    await (await market.raw()).execute(TABLE)
    sale = await market.sale(seats=1)
    waitlist = the_example()
    flush = BatchFlush(market.connection(), [SALES], [waitlist.WaitlistPart()])
    first, second = UUID(int=1), UUID(int=2)
    joining = [
        waitlist.JoinWaitlist(sale, first, KIM.id),
        waitlist.JoinWaitlist(sale, second, LEE.id),
        waitlist.JoinWaitlist(sale, first, KIM.id),
        waitlist.JoinWaitlist((1, 9999), UUID(int=3), KIM.id),
    ]

    answers = await ask(flush, *joining)
    names = [answer.outcome.name for answer in answers]
    assert names == ["JOINED", "JOINED", "REPLAYED", "UNKNOWN_SALE"]
    assert await market.rows("SELECT sale, entry, person FROM waitlist ORDER BY entry") == [
        (sale[1], first, KIM.id),
        (sale[1], second, LEE.id),
    ]
    (told,) = await market.rows("SELECT version, events::text FROM journal WHERE version = 3")
    assert msgspec.json.decode(told[1]) == [
        {"type": "WaitlistJoined", "entry": str(first), "person": str(KIM.id), "v": 1},
        {"type": "WaitlistJoined", "entry": str(second), "person": str(LEE.id), "v": 1},
    ]
    before = await market.tables()
    assert [a.outcome.name for a in await ask(flush, *joining)] == [
        "REPLAYED",
        "REPLAYED",
        "REPLAYED",
        "UNKNOWN_SALE",
    ]
    assert await market.tables() == before
