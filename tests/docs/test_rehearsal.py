"""The guide of rehearsals names every option and every check."""

import re
from collections.abc import Iterator
from typing import Any, get_args

import msgspec
import pytest
from typer.main import get_command

from sunseo.rehearsal.command import rehearse
from sunseo.rehearsal.crowd.behaviour import behaviour_of
from sunseo.rehearsal.observe.ledger import Operation
from sunseo.rehearsal.report.texts import CATALOGUES
from sunseo.rehearsal.scenes.kinds import check_names
from sunseo.rehearsal.scenes.scenario import Scenario, read_scenario, shipped
from sunseo.rehearsal.verdict.judge import AFTER, BEFORE
from tests.docs.pages import text_of

GUIDE = "docs/guides/rehearsal.md"


def options() -> list[str]:
    run = get_command(rehearse).commands["run"]  # type: ignore[attr-defined]  # a group
    given = sorted(option for param in run.params for option in param.opts)
    return [option for option in given if option.startswith("--")]


@pytest.mark.parametrize("option", options())
def test_option_is_described(option: str) -> None:
    """Each option of a rehearsal stands in the table."""
    assert re.search(rf"^\| `{option}` \|", text_of(GUIDE), re.MULTILINE)


def fields(kind: Any) -> Iterator[tuple[str, object]]:
    """Every field of a scenario by its name, with its default where it has one."""
    for struct in get_args(kind) or (kind,):
        if not isinstance(struct, type) or not issubclass(struct, msgspec.Struct):
            continue
        if isinstance(struct.__struct_config__.tag, str):
            yield "kind", struct.__struct_config__.tag
        for field in msgspec.structs.fields(struct):
            if isinstance(field.default, msgspec.Struct) or field.name in {
                "arrivals",
                "sale",
                "room",
                "site",
            }:
                yield from fields(field.type)
            else:
                yield field.name, field.default


@pytest.mark.parametrize(("name", "default"), sorted(set(fields(Scenario)), key=str))
def test_field_is_described_with_its_default(name: str, default: object) -> None:
    """Each field of a scenario has a row; a plain default stands in it."""
    row = re.search(rf"^\| `{name}` \|(?P<default>[^|]*)\|", text_of(GUIDE), re.MULTILINE)

    assert row is not None
    if name == "kind":
        assert f"`{default}`" in text_of(GUIDE)
    elif default is not msgspec.NODEFAULT and default is not None:
        shown = list(default) if isinstance(default, tuple) else default
        shown = str(shown).lower() if isinstance(shown, bool) else shown  # as TOML has it
        assert f"`{shown}`" in row["default"]


def test_checks_are_described_in_their_order() -> None:
    """The table of the verdict has every check, in the order in which it is told."""
    table = text_of(GUIDE).split("## The verdict")[1].split("##")[0]

    described = re.findall(r"^\| `([\w-]+)` \|", table, re.MULTILINE)

    assert sorted(described) == sorted(check_names())
    for name in shipped():
        told = [*BEFORE, *read_scenario(name).checks, *AFTER]
        assert [check for check in described if check in told] == told


def test_report_says_everything_in_both_languages() -> None:
    """No text is missing in either language, nor a word for any check or request."""
    korean, english = CATALOGUES["ko"], CATALOGUES["en"]

    assert korean.keys() == english.keys()
    assert {f"check.{name}" for name in check_names()} <= english.keys()
    assert {f"operation.{one.value}" for one in Operation} <= english.keys()
    fields = {key: set(re.findall(r"\{\w+\}", text)) for key, text in english.items()}
    assert {key: set(re.findall(r"\{\w+\}", text)) for key, text in korean.items()} == fields


def test_shares_of_the_crowd_are_those_of_the_guide() -> None:
    """Five thousand people behave in about the proportions that the guide tells."""
    people = read_scenario("concert").people
    crowd = [behaviour_of(number, 1, people, 4.0) for number in range(1, 5_001)]

    def share(count: int) -> float:
        return 100 * count / len(crowd)

    assert 38 < share(sum(one.is_guest for one in crowd)) < 42
    assert 6.5 < share(sum(one.stays_away_after_s is not None for one in crowd)) < 9.5
    assert 31 < share(sum(one.patience_s < 3600 for one in crowd)) < 36
    assert 5.5 < share(sum(one.tabs > 1 for one in crowd)) < 8.5
    assert 1 < share(sum(one.refresh_s is not None for one in crowd)) < 2.2
    assert 1.3 < share(sum("order" in one.loses for one in crowd)) < 2.7
    assert 1.3 < share(sum(one.cheat is not None for one in crowd)) < 2.7
