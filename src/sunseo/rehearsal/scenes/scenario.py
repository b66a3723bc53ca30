"""A scenario: who comes, when, for what, through which room. Read from TOML and checked whole.

docs/guides/rehearsal.md describes every field. The shipped ones lie in `scenarios`; whoever wants
another one copies the nearest.
"""

import tomllib
from collections.abc import Mapping, Sequence
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import msgspec
from msgspec import Meta

from sunseo.rehearsal.crowd.arrivals import ArrivalKind, Replay
from sunseo.rehearsal.crowd.behaviour import People
from sunseo.rehearsal.crowd.recorded import RecordError, record_text
from sunseo.rehearsal.verdict.slo import read_bound

CAPACITY_PART, CAPACITY_MIN = 10, 10  # one inside for so many units, so many at least

Units = Annotated[int, Meta(ge=1, le=50_000)]
Part = Literal["room", "draw", "sale", "seats", "stock", "site"]
PersonLimit = Annotated[int, Meta(ge=1, le=50)]


class ScenarioError(ValueError):
    """There is no such scenario, or it is wrong: one line says where, and what would be right."""


class _Sale(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind"
):
    """What all kinds of sale have in common in a scenario's file."""


class SeatSale(_Sale, frozen=True, kw_only=True, tag="seats"):
    """One occasion with a seat map: visitors choose, collide, and choose again.

    Attributes:
        units: seats, all together.
        person_limit: so many may one person have.
    """

    units: Units = 2_000
    person_limit: PersonLimit = 4

    def with_units(self, units: int) -> "SeatSale":
        return msgspec.structs.replace(self, units=units)


class StockSale(_Sale, frozen=True, kw_only=True, tag="stock"):
    """One counted stock that everybody wants: its row is the hottest there can be.

    Attributes:
        units: all there are.
        person_limit: so many may one person have.
    """

    units: Annotated[int, Meta(ge=1, le=10_000_000)] = 1_000
    person_limit: PersonLimit = 1

    def with_units(self, units: int) -> "StockSale":
        return msgspec.structs.replace(self, units=units)


class SlotSale(_Sale, frozen=True, kw_only=True, tag="slots"):
    """Many small sales of appointments, in equal parts at each opening of `arrivals`.

    Attributes:
        sales: all of them.
        slots: appointments, one after another, in each sale.
        slot_units: persons whom one appointment takes.
        person_limit: appointments that one person may have in a sale.
    """

    sales: Annotated[int, Meta(ge=1, le=1_000)] = 300
    slots: Annotated[int, Meta(ge=1, le=1_000)] = 24
    slot_units: Annotated[int, Meta(ge=1, le=1_000)] = 3
    person_limit: PersonLimit = 1

    @property
    def units(self) -> int:
        return self.sales * self.slots * self.slot_units

    def with_units(self, units: int) -> "SlotSale":
        """As near to so many as whole slots come."""
        slots = max(1, round(units / (self.sales * self.slot_units)))
        return msgspec.structs.replace(self, slots=slots)


class Room(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The waiting room in front.

    Attributes:
        capacity: visitors inside at once; a tenth of the units if not given, 10 at least.
        draws: who comes before T0 registers, and numbers are drawn; later ones stand behind.
    """

    capacity: Annotated[int, Meta(ge=1, le=1_000_000)] | None = None
    draws: bool = False


class Site(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Somebody else's site that the room protects, and how it gets worse.

    Attributes:
        servers: pages that it can make at once; the others wait in line.
        page_s: one page takes it so long while it is well.
        target_s: its p99 is to be below; the gate tells the room what it is.
        worse_from_s: from then on after T0 pages take longer,
        worse_over_s: ever more for so long,
        slower: until they take so many times as long.
        pages: that a visitor looks at.
    """

    servers: Annotated[int, Meta(ge=1, le=1_000)] = 8
    page_s: Annotated[float, Meta(gt=0, le=60)] = 0.05
    target_s: Annotated[float, Meta(gt=0, le=60)] = 0.5
    worse_from_s: Annotated[float, Meta(ge=0, le=86_400)] = 30.0
    worse_over_s: Annotated[float, Meta(gt=0, le=86_400)] = 10.0
    slower: Annotated[float, Meta(ge=1, le=1_000)] = 3.0
    pages: Annotated[int, Meta(ge=1, le=100)] = 4

    def takes_s(self, at_s: float) -> float:
        """One page, so many seconds after T0."""
        part = min(1.0, max(0.0, (at_s - self.worse_from_s) / self.worse_over_s))
        return self.page_s * (1 + part * (self.slower - 1))

    def stretched(self, factor: float) -> "Site":
        return msgspec.structs.replace(
            self,
            worse_from_s=self.worse_from_s * factor,
            worse_over_s=self.worse_over_s * factor,
        )


class Scenario(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    Attributes:
        title: one line for people.
        visitors: everybody who comes.
        session_s: seconds that a visitor spends inside, about. The times for which holds and passes
            last, and the longest between two polls, follow from it.
        slo: bounds that the verdict holds the run against.
    """

    title: Annotated[str, Meta(min_length=1, max_length=200)]
    visitors: Annotated[int, Meta(ge=1, le=1_000_000)]
    session_s: Annotated[float, Meta(ge=0.1, le=600)]
    arrivals: ArrivalKind
    sale: SeatSale | StockSale | SlotSale | None = None
    room: Room | None = None
    site: Site | None = None
    people: People = People()
    slo: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for slo in self.slo:
            read_bound(slo)
        if (self.sale is None) == (self.site is None):
            raise ValueError("a scenario has a sale or a site: exactly one of [sale] and [site]")
        if self.sale is None:
            if self.room is None or self.room.capacity is None:
                raise ValueError("a site stands behind a room: say [room] with its capacity")
            return
        wanted = len(self.people.party_weights)
        if wanted > self.sale.person_limit:
            raise ValueError(
                f"people.party_weights has {wanted} sizes, sale.person_limit is"
                f" {self.sale.person_limit}: nobody may want more than one person may have"
            )

    @property
    def units(self) -> int:
        """All that is on sale."""
        return 0 if self.sale is None else self.sale.units

    @property
    def sales(self) -> int:
        """How many."""
        if self.sale is None:
            return 0
        return self.sale.sales if isinstance(self.sale, SlotSale) else 1

    @property
    def person_limit(self) -> int:
        """Units that one person may have of a sale."""
        return 0 if self.sale is None else self.sale.person_limit

    @property
    def draws(self) -> bool:
        """Whether numbers are drawn."""
        return self.room is not None and self.room.draws

    @property
    def parts(self) -> frozenset[Part]:
        """What there is to be judged."""
        found: set[Part] = set() if self.room is None else {"room"}
        if self.draws:
            found.add("draw")
        if self.site is not None:
            found.add("site")
        if self.sale is not None:
            found |= {"sale", "seats" if isinstance(self.sale, SeatSale) else "stock"}
        return frozenset(found)

    @property
    def capacity(self) -> int:
        """Visitors whom the room lets in at once; 0 where there is none."""
        if self.room is None:
            return 0
        return self.room.capacity or max(CAPACITY_MIN, self.units // CAPACITY_PART)

    @property
    def duration_s(self) -> float:
        """From T0 to the last arrival."""
        return self.arrivals.duration_s

    def must_sell_in_order(self) -> None:
        """
        Raises:
            ScenarioError: it is about a site, not about a sale, or numbers are drawn.
        """
        if self.sale is None:
            raise ScenarioError(f"this is for scenarios with a sale, and {self.title!r} has none")
        if self.draws:
            raise ScenarioError(f"this is for scenarios without a draw, and {self.title!r} has one")

    def changed(
        self,
        *,
        visitors: int | None = None,
        units: int | None = None,
        capacity: int | None = None,
        duration_s: float | None = None,
        session_s: float | None = None,
        slo: Sequence[str] = (),
    ) -> "Scenario":
        """With what is given instead of its own; all moments of arrival move with the duration.

        Raises:
            ScenarioError: the whole does not fit together any more.
        """
        replace = msgspec.structs.replace
        if capacity and self.room is None:
            raise ScenarioError("capacity stands with a room, and this scenario has none")
        if units and self.sale is None:
            raise ScenarioError("units stand with a sale, and this scenario has none")
        factor = duration_s / self.duration_s if duration_s else 1.0
        changed = replace(
            self,
            visitors=visitors or self.visitors,
            session_s=session_s or self.session_s,
            slo=tuple(slo) or self.slo,
            arrivals=self.arrivals.stretched(duration_s) if duration_s else self.arrivals,
            sale=self.sale.with_units(units) if units and self.sale else self.sale,
            site=self.site.stretched(factor) if self.site else None,
            room=replace(self.room, capacity=capacity) if capacity and self.room else self.room,
        )
        try:  # what a replacement makes is checked by nobody else
            return msgspec.convert(msgspec.to_builtins(changed), Scenario)
        except msgspec.ValidationError as error:
            raise ScenarioError(_told(str(error), {})) from None


def shipped() -> dict[str, Traversable]:
    """The files of the shipped scenarios by name, in alphabetical order."""
    folder = files("sunseo.rehearsal") / "scenarios"
    found = (file for file in folder.iterdir() if file.name.endswith(".toml"))
    return {file.name.removesuffix(".toml"): file for file in sorted(found, key=lambda f: f.name)}


def text_of(name: str) -> str:
    """The TOML of a shipped scenario, or of the file at a path.

    Raises:
        ScenarioError: there is none, or it cannot be read.
    """
    file: Traversable | Path | None = shipped().get(name)
    if file is None:
        if not name.endswith(".toml"):
            raise ScenarioError(
                f"there is no scenario {name!r}: it is one of {', '.join(shipped())},"
                " or the path of a .toml file"
            )
        file = Path(name)
    try:
        return file.read_text("utf-8")
    except OSError as error:
        raise ScenarioError(f"{name}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ScenarioError(f"{name}: not TOML: it must be text in UTF-8") from None


def read_scenario(name: str) -> Scenario:
    """A shipped scenario by its name, or one's own by the path of its .toml file.

    Raises:
        ScenarioError: there is none, or it is wrong.
    """
    try:
        values: dict[str, Any] = tomllib.loads(text_of(name))
    except tomllib.TOMLDecodeError as error:
        raise ScenarioError(f"{name}: not TOML: {error}") from None
    try:
        scenario = msgspec.convert(values, Scenario)
    except msgspec.ValidationError as error:
        raise ScenarioError(f"{name}: {_told(str(error), values)}") from None
    if not isinstance(scenario.arrivals, Replay):
        return scenario
    return msgspec.structs.replace(
        scenario, arrivals=_replayed(name, scenario.arrivals, Path(name).parent)
    )


def _replayed(name: str, replay: Replay, folder: Path) -> Replay:
    """With what its file has recorded."""
    if replay.file is None:
        if replay.moments_s:
            return replay
        raise ScenarioError(f"{name}: arrivals: a replay has a file, or moments_s")
    try:
        return replay.read(record_text((folder / replay.file).read_bytes()))
    except OSError as error:
        raise ScenarioError(f"{name}: arrivals.file: {replay.file}: {error.strerror}") from None
    except RecordError as error:
        raise ScenarioError(f"{name}: arrivals.file: {replay.file}: {error}") from None


def _told(error: str, values: Mapping[str, Any]) -> str:
    """The sentence of msgspec with the field in front, and what is right where it has no word."""
    what, _, where = error.partition(" - at `$")
    field = where.rstrip("`").lstrip(".")
    told = f"{field}: {what}" if field else what
    right = _right(what, field.partition(".")[0], values)
    return f"{told}; {right}" if right else told


def _right(what: str, table: str, values: Mapping[str, Any]) -> str:
    """The fields of a table that has an unknown one, or the kinds of one that has none of them."""
    tables: dict[str, tuple[type[msgspec.Struct], ...]] = {
        "": (Scenario,),
        "arrivals": get_args(ArrivalKind),
        "sale": (SeatSale, StockSale, SlotSale),
        "room": (Room,),
        "site": (Site,),
        "people": (People,),
    }
    structs = {one.__struct_config__.tag: one for one in tables.get(table, ())}
    if what.startswith("Invalid value"):
        return f"it is one of {', '.join(map(str, structs))}"
    if "unknown field" not in what:
        return ""
    inside = values.get(table, {})
    struct = structs.get(inside.get("kind") if isinstance(inside, dict) else None)
    return f"there are {', '.join(struct.__struct_fields__)}" if struct is not None else ""
