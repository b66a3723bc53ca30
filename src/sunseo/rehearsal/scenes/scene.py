"""What a kind of opening answers for: everything in which one differs from another.

A scenario plays a scene (what opens) behind an entrance (how people come in). Whoever sets up,
plays, judges or tells of a rehearsal asks these two, and knows no kind by its name. A new kind is
a struct in a file of its own, with `Scene` or `SaleScene` below it, and a word in `kinds`.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import ClassVar, Protocol, Self

import aiohttp
import msgspec

from sunseo.rehearsal.crowd.behaviour import People
from sunseo.rehearsal.crowd.journey import VisitorJourney
from sunseo.rehearsal.crowd.picking import NOTHING, Goods
from sunseo.rehearsal.crowd.visit import WayIn
from sunseo.rehearsal.http.client import ApiClient
from sunseo.rehearsal.observe.ledger import DriverRecord
from sunseo.rehearsal.target.operator import Operator, Setup
from sunseo.rehearsal.target.site_app import Tally
from sunseo.rehearsal.verdict.evidence import CheckFunction


class ScenarioError(ValueError):
    """There is no such scenario, or it is wrong: one line says where, and what would be right."""


Texts = Mapping[str, Mapping[str, str]]
"""By language, then by key: what reports say of it."""


class Companion(Protocol):
    """What runs beside the server while a scene is played."""

    url: str

    async def tally(self) -> Tally: ...


class Surroundings(msgspec.Struct, frozen=True):
    """Where a companion finds itself. `zero` is T0, monotonic."""

    url: str
    key: str
    room: int | None
    zero: float
    folder: Path


class ScenePart(msgspec.Struct, frozen=True, kw_only=True):
    """What scene and entrance have in common.

    Attributes:
        checks: of the verdict, by name.
        tiles: the figures that one asks for first: of `report.findings`, or counts of the funnel.
        texts: for its checks, its tiles and its counts.
        unsuited: why it is not for what sends a crowd to a sale past a line; empty if it is.
    """

    tiles: ClassVar[Sequence[str]] = ()
    texts: ClassVar[Texts] = {"ko": {}, "en": {}}
    unsuited: ClassVar[str] = ""

    @property
    def checks(self) -> Mapping[str, CheckFunction]:
        return {}

    def funnel(self, record: DriverRecord) -> dict[str, int]:  # noqa: ARG002 - others look into it
        """How many visitors came how far."""
        return {}

    def plan(self) -> dict[str, object]:
        """What the scripts of other tools have to know of it."""
        return {}


class Scene(ScenePart, frozen=True, kw_only=True):
    """What opens. This one sells nothing, and nothing runs beside it.

    Attributes:
        table: of a scenario's file, in which it stands.
        lead: which text a report begins with.
    """

    table: ClassVar[str] = ""
    lead: ClassVar[str] = ""

    # What there is

    @property
    def units(self) -> int:
        """All that is on sale; 0 where nothing can sell out."""
        return 0

    @property
    def sales(self) -> int:
        """How many."""
        return 0

    @property
    def person_limit(self) -> int:
        """Units that one person may have of a sale."""
        return 0

    def with_units(self, units: int) -> Self:  # noqa: ARG002 - it has none
        """
        Raises:
            ScenarioError: it sells nothing.
        """
        raise ScenarioError("units stand with a sale, and this scenario has none")

    def stretched(self, factor: float) -> Self:  # noqa: ARG002 - others have moments
        """With all its moments so many times as late."""
        return self

    def must_fit(self, people: People, capacity: int | None) -> None:
        """
        Raises:
            ValueError: it goes with such people, or such a room, no more.
        """

    # Setting it up

    async def create(self, operator: Operator, opens_at: datetime, session_s: float) -> int:
        """Create one of its sales; returns its number."""
        raise NotImplementedError

    @property
    def companion_start_s(self) -> float:
        """How long to leave for what runs beside the server to start."""
        return 0.0

    @asynccontextmanager
    async def companion(
        self,
        around: Surroundings,  # noqa: ARG002 - nothing runs beside this one
    ) -> AsyncIterator[Companion | None]:
        """What runs beside the server meanwhile, if anything does."""
        yield None

    # Playing it

    async def load_goods(
        self,
        session: aiohttp.ClientSession,  # noqa: ARG002 - there is nothing to load
        sales: Sequence[int],  # noqa: ARG002 - as above
    ) -> Goods:
        """What does not change while it is on sale."""
        return NOTHING

    def journey(self, companion: ApiClient | None) -> VisitorJourney:
        """What a visitor does inside."""
        raise NotImplementedError


class Entrance(ScenePart, frozen=True, kw_only=True):
    """How people come in."""

    @property
    def way_in(self) -> WayIn:
        """What a visitor does until she is inside."""
        raise NotImplementedError

    def capacity(self, units: int) -> int:  # noqa: ARG002 - where there is a room
        """Visitors whom it lets in at once; 0 where it does not count them."""
        return 0

    def sales_open(self, moments: Sequence[datetime]) -> Sequence[datetime]:
        """When sales are to open that are wanted at these moments."""
        return moments

    async def set_up(self, operator: Operator, sales: list[int], terms: "RehearsedRoom") -> Setup:
        raise NotImplementedError

    def during(
        self, operator: Operator, setup: Setup, zero: float
    ) -> AbstractAsyncContextManager[None]:
        """What is done while the crowd is there."""
        raise NotImplementedError


class RehearsedRoom(msgspec.Struct, frozen=True):
    """Of a room: visitors inside at once, how long they stay about, and when it opens."""

    capacity: int
    session_s: float
    opens_at: datetime
