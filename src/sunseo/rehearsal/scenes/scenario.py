"""A scenario: who comes, when, for what, through which room. Read from TOML and checked whole.

docs/guides/rehearsal.md describes every field. The shipped ones lie in `scenarios`; whoever wants
another one copies the nearest.
"""

import tomllib
from collections.abc import Mapping, Sequence
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated, Any, get_args

import msgspec
from msgspec import Meta

from sunseo.rehearsal.crowd.arrivals import ArrivalKind, Replay
from sunseo.rehearsal.crowd.behaviour import People
from sunseo.rehearsal.crowd.recorded import RecordError, record_text
from sunseo.rehearsal.scenes.kinds import Room, Sale, entrance_of
from sunseo.rehearsal.scenes.scene import Entrance, ScenarioError, Scene
from sunseo.rehearsal.scenes.site import Site
from sunseo.rehearsal.verdict.evidence import CheckFunction, Evidence
from sunseo.rehearsal.verdict.slo import read_bound


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
    sale: Sale | None = None
    room: Room | None = None
    site: Site | None = None
    people: People = People()
    slo: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for slo in self.slo:
            read_bound(slo)
        if (self.sale is None) == (self.site is None):
            raise ValueError("a scenario has a sale or a site: exactly one of [sale] and [site]")
        self.scene.must_fit(self.people, None if self.room is None else self.room.capacity)

    @property
    def scene(self) -> Scene:
        """What opens."""
        scene = self.site if self.sale is None else self.sale
        if scene is None:
            raise TypeError("a scenario has a sale or a site")
        return scene

    @property
    def entrance(self) -> Entrance:
        """How people come in."""
        return entrance_of(self.room)

    @property
    def units(self) -> int:
        """All that is on sale."""
        return self.scene.units

    @property
    def sales(self) -> int:
        """How many."""
        return self.scene.sales

    @property
    def capacity(self) -> int:
        """Visitors whom the room lets in at once; 0 where there is none."""
        return self.entrance.capacity(self.units)

    @property
    def checks(self) -> Mapping[str, CheckFunction]:
        """Those of the verdict that not every rehearsal has."""
        return {**self.scene.checks, **self.entrance.checks}

    def evidence(self, **seen: Any) -> Evidence:
        """What was `seen`, by its names, beside what there was to be seen."""
        return Evidence(
            capacity=self.capacity,
            units=self.units,
            person_limit=self.scene.person_limit,
            checks=self.checks,
            **seen,
        )

    @property
    def duration_s(self) -> float:
        """From T0 to the last arrival."""
        return self.arrivals.duration_s

    def must_sell_in_order(self) -> None:
        """
        Raises:
            ScenarioError: it is about a site, not about a sale, or numbers are drawn.
        """
        for part in (self.scene, self.entrance):
            if part.unsuited:
                reason = part.unsuited.format(title=self.title)
                raise ScenarioError(f"this is for scenarios {reason}")

    def with_room_for(self, capacity: int) -> "Scenario":
        """With so many inside at once, where there is a room."""
        if self.room is None:
            return self
        replace = msgspec.structs.replace
        return replace(self, room=replace(self.room, capacity=capacity))

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
        if capacity and self.room is None:
            raise ScenarioError("capacity stands with a room, and this scenario has none")
        replace = msgspec.structs.replace
        scene = self.scene.with_units(units) if units else self.scene
        scene = scene.stretched(duration_s / self.duration_s if duration_s else 1.0)
        changed = replace(
            self,
            visitors=visitors or self.visitors,
            session_s=session_s or self.session_s,
            slo=tuple(slo) or self.slo,
            arrivals=self.arrivals.stretched(duration_s) if duration_s else self.arrivals,
            room=replace(self.room, capacity=capacity) if capacity and self.room else self.room,
            **{scene.table: scene},
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
        "sale": get_args(Sale),
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
