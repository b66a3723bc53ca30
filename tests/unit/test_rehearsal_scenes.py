"""Kinds of openings: each answers for itself, and nobody else knows one by its name."""

import ast
import re

import msgspec
import pytest

from sunseo.rehearsal.observe.ledger import DriverRecord, Figures, Ledger
from sunseo.rehearsal.report.texts import CATALOGUES
from sunseo.rehearsal.scenes.kinds import ENTRANCES, SCENES
from sunseo.rehearsal.scenes.scenario import read_scenario, shipped
from sunseo.rehearsal.scenes.scene import Scene, ScenePart
from tests.tidy.sources import ROOT, SOURCE, files, tree

NOTHING = DriverRecord(Ledger(), Figures(), whole=True, seconds=0.0, cpu_s=0.0, memory_mb=0.0)
KINDS = [kind.__module__.rpartition(".")[2] for kind in (*SCENES, *ENTRANCES)]
SCENES_OWN = SOURCE / "rehearsal" / "scenes"


@pytest.mark.parametrize("kind", [*SCENES, *ENTRANCES], ids=KINDS)
def test_kind_has_words_for_all_that_it_counts_and_checks(kind: type[ScenePart]) -> None:
    """Checks, tiles and steps of the funnel of each kind have a text in both languages."""
    part = kind()
    wanted = {f"check.{name}" for name in part.checks}
    wanted |= {f"tile.{name}" for name in part.tiles}
    wanted |= {f"funnel.{name}" for name in part.funnel(NOTHING)}

    for language in CATALOGUES:
        assert wanted <= CATALOGUES[language].keys()


@pytest.mark.parametrize("name", shipped())
def test_scene_stands_in_its_table_and_begins_its_report(name: str) -> None:
    """A scene knows where a scenario's file has it, and with which text a report begins."""
    scenario = read_scenario(name)

    assert getattr(scenario, scenario.scene.table) is scenario.scene
    assert {scenario.scene.lead} <= CATALOGUES["en"].keys() & CATALOGUES["ko"].keys()


def test_nobody_but_the_scenes_knows_a_kind() -> None:
    """No file outside of `scenes` imports one kind: all ask `Scene` and `Entrance`."""
    found = [
        f"{path}:{node.lineno}"
        for path in files(".py", under=("src/sunseo/rehearsal",))
        if SCENES_OWN not in path.parents
        for node in ast.walk(tree(path))
        if isinstance(node, ast.ImportFrom)
        and node.module in {f"sunseo.rehearsal.scenes.{kind}" for kind in KINDS}
    ]

    assert not found


def test_the_example_of_a_kind_works_as_it_is_written() -> None:
    """The kind that CONTRIBUTING shows is read, sold, judged and told of with nothing added."""
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "CONTRIBUTING.md").read_text(), re.DOTALL)
    (source,) = [block for block in blocks if "CountedSale" in block]
    written: dict[str, type[Scene]] = {}
    exec(source, written)  # noqa: S102 - our own document
    kind = written["TicketSale"]

    scene = msgspec.convert({"kind": "tickets", "units": 7}, kind)
    assert scene.with_units(3).units == 3
    assert scene.stock()[1]["products"] == [  # type: ignore[attr-defined]  # a sale
        {"name": "Ticket", "price": 0, "draws": [{"stock": 1}]}
    ]
    assert list(scene.checks) == ["within-stock", "person-limit", "orders-told"]
    assert scene.journey(None).done == "bought"
    assert kind.lead in kind.texts["ko"].keys() & kind.texts["en"].keys()
