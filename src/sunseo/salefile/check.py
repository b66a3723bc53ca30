"""What stands between a sale and a safe opening, as far as its server can tell: pure."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from sunseo.salefile.plan import priced_parts
from sunseo.salefile.spec import KnownSale, SaleSpec

NOT_SEEN = (
    "whether a backup is fresh: see `sunseo backup`",
    "whether a rehearsal passed: see `sunseo rehearse`",
)


class SaleCheck(msgspec.Struct, frozen=True, kw_only=True):
    """Attributes:
    sale: its number.
    obstacles: what has to be mended.
    advice: what may be meant so.
    not_seen: what nobody has looked at here.
    """

    sale: int
    obstacles: list[str]
    advice: list[str]
    not_seen: list[str]


def check_sale(
    known: KnownSale,
    *,
    paused: bool,
    now: datetime,
    rooms: Sequence[Mapping[str, Any]],
    unready: Sequence[str],
) -> SaleCheck:
    """Look at a sale.

    Args:
        known: the sale as it is.
        paused: whether it takes no holds.
        now: the server's time.
        rooms: as they are listed.
        unready: what the server says is not well.
    """
    return SaleCheck(
        sale=known.number,
        obstacles=[*_obstacles(known.spec, now), *(f"the server: {line}" for line in unready)],
        advice=list(_advice(known, rooms, paused=paused, now=now)),
        not_seen=list(NOT_SEEN),
    )


def _obstacles(spec: SaleSpec, now: datetime) -> Iterator[str]:
    if not spec.seats and not spec.products:
        yield "there is nothing to buy: no seats and no products"
    for part in priced_parts(spec):
        yield f"nobody can pay yet: {part} will be refused as payment_required"
    offered = {key.occasion for key in spec.seats} | {key.occasion for key in spec.stocks}
    for place, (name, starts_at) in enumerate(spec.occasions):
        if place not in offered:
            yield f"occasion {name!r} has neither seats nor stock"
        if starts_at <= spec.own["opens_at"]:
            yield f"occasion {name!r} begins before the sale opens"
        elif starts_at <= now:
            yield f"occasion {name!r} has begun"
    if (closes_at := spec.own["closes_at"]) is not None and closes_at <= now:
        yield "the sale has closed"


def _advice(
    known: KnownSale, rooms: Sequence[Mapping[str, Any]], *, paused: bool, now: datetime
) -> Iterator[str]:
    own = known.spec.own
    if paused:
        yield "the sale is paused: `sunseo sale resume` lets it go on"
    if own["opens_at"] <= now:
        yield "the sale has opened already"
    if own["order_limit"] is None and own["person_limit"] is None:
        yield "no limit is set: one person may take everything (limits.order, limits.person)"
    if own["persons"] == "guests":
        yield "limits count guest sessions, of which anybody may open many (limits.persons)"
    if not any(room["sale"] == known.number for room in rooms):
        yield "no waiting room stands in front of it: `sunseo room create`"
    drawn = {key for facts in known.spec.products.values() for key, _ in facts.draws}
    for key in known.spec.stocks:
        if key not in drawn:
            yield f"nothing is sold of stock {key.name!r}"
