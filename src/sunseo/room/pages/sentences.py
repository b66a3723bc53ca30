"""What is said to a visitor in each situation: one table for page, script and page without scripts.

A situation is what the room's state document says, and what she has in it. Rows are tried from the
first to the last, and the first one whose conditions all hold gives the names of texts in the
catalogue. The page's script has the same rows, written out by `script`, and looks them up in the
same way, so that the two cannot say different things.
"""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import msgspec

from sunseo.room.board.state import StateDocument
from sunseo.room.pages.texts import CATALOGUES

Has = Literal["nothing", "registered", "number"]
"""Of the present line: a number; or a receipt of its draw, which gives her one later."""

GLOBAL = "sunseoSentences"  # by which the script knows the table
FACTS = ("has", "phase", "mode", "halted", "draw", "keeper", "slowed")

When = Mapping[str, tuple[str, ...]]
Row = tuple[When, tuple[str, ...]]  # of SAYINGS: heading and explanation; of NOTICES: the notice


class Words(NamedTuple):
    """Names of texts; empty where nothing is said."""

    heading: str
    more: str
    notice: str


def _when(**conditions: str) -> When:
    """Facts and the values that they may have, separated by spaces; `-` is for none."""
    unknown = conditions.keys() - set(FACTS)
    if unknown:
        raise ValueError(f"there are no facts named {sorted(unknown)}")
    return {
        fact: tuple("" if value == "-" else value for value in values.split())
        for fact, values in conditions.items()
    }


_MOVING = "open draining"
_UNSEALED = "none committed"
_SEALED = "sealed withheld revealed"
_NOT_OURS = "operator second_party"

SAYINGS: tuple[Row, ...] = (
    # It is over.
    (_when(halted="closed"), ("closed", "closed_more")),
    (_when(halted="sold_out"), ("sold_out", "sold_out_more")),
    # She takes part in a draw.
    (_when(has="registered", draw="-"), ("no_draw", "no_draw_more")),
    (_when(has="registered", draw="revealed"), ("registered", "draw_held")),
    (_when(has="registered", phase="paused", draw="withheld"), ("paused_title", "draw_withheld")),
    (_when(has="registered", draw="withheld"), ("registered", "draw_withheld")),
    (
        _when(has="registered", phase="paused", draw="sealed", keeper=_NOT_OURS),
        ("paused_title", "draw_waits"),
    ),
    (_when(has="registered", draw="sealed", keeper=_NOT_OURS), ("registered", "draw_waits")),
    (_when(has="registered", phase="paused"), ("paused_title", "draw_after_pause")),
    (_when(has="registered", phase="before", draw="sealed"), ("registered", "draw_at_opening")),
    (_when(has="registered", phase="before"), ("registered", "registered_more")),
    (_when(has="registered", phase=_MOVING), ("registered", "draw_now")),
    # She has a number.
    (_when(has="number", phase="paused"), ("paused_title", "")),
    (
        _when(has="number", phase="before", draw=f"{_UNSEALED} sealed withheld"),
        ("before", "place_behind"),
    ),
    (_when(has="number", phase="before"), ("before", "place_ready")),
    (_when(has="number", phase=_MOVING), ("in_line", "")),
    # She has nothing yet.
    (_when(has="nothing", phase="before", draw=_UNSEALED), ("before", "draw_soon")),
    (
        _when(has="nothing", phase="before", draw="sealed withheld revealed"),
        ("before", "draw_behind"),
    ),
    (_when(has="nothing", phase="before"), ("before", "")),
    (_when(has="nothing", phase="paused"), ("paused_title", "paused_out")),
    (_when(has="nothing", phase="draining"), ("joining_over", "joining_over_more")),
    (_when(has="nothing", phase="open", draw=_UNSEALED), ("joining_draw", "joining_draw_more")),
    (_when(has="nothing", phase="open"), ("joining", "joining_more")),
)

NOTICES: tuple[Row, ...] = (
    (_when(halted="closed sold_out"), ("",)),
    (_when(phase="before", halted="paused"), ("before_paused",)),
    (_when(has="number", phase="paused"), ("paused",)),
    (_when(has="number", halted="draw_due"), ("draw_first",)),
    (_when(has="number", halted="draw_secret"), ("draw_first_waits",)),
    (_when(has="number", halted="draw_withheld"), ("draw_first_withheld",)),
    (_when(has="number", halted="stock"), ("stock_holds",)),
    (_when(has="number registered", phase="draining"), ("draining",)),
    (_when(has="number", phase="open", slowed="slowed"), ("slowed",)),
    (_when(has="number", phase="open", slowed="unhealthy"), ("unhealthy",)),
    (_when(), ("",)),
)


def facts_of(state: StateDocument, has: Has) -> dict[str, str]:
    """The situation, as rows ask for it."""
    draw = state.draw
    return {
        "has": has,
        "phase": state.phase,
        "mode": state.mode,
        "halted": state.halted or "",
        "draw": "" if draw is None else draw.state,
        "keeper": "" if draw is None else draw.keeper,
        "slowed": state.slowed or "",
    }


def words_of(facts: Mapping[str, str]) -> Words:
    """What is said in a situation.

    Raises:
        LookupError: no row tells; a test walks all situations, so that there is none.
    """
    heading, more = _first(SAYINGS, facts)
    (notice,) = _first(NOTICES, facts)
    return Words(heading, more, notice)


def names() -> frozenset[str]:
    """All texts that the table names."""
    return frozenset(
        name for rows in (SAYINGS, NOTICES) for _, said in rows for name in said if name
    )


def script() -> bytes:
    """The same table, with its texts in all languages, for the page's script."""
    named = sorted(names())
    table: dict[str, Any] = {
        "sayings": SAYINGS,
        "notices": NOTICES,
        "texts": {
            language: {name: getattr(texts, name) for name in named}
            for language, texts in CATALOGUES.items()
        },
    }
    return f"window.{GLOBAL} = ".encode() + msgspec.json.encode(table) + b";\n"


def _first(rows: tuple[Row, ...], facts: Mapping[str, str]) -> tuple[str, ...]:
    for when, said in rows:
        if all(facts[fact] in values for fact, values in when.items()):
            return said
    raise LookupError(f"nothing is said when {dict(facts)}")
