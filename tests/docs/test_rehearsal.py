"""The guide of rehearsals names every option and every check."""

import re

import pytest
from typer.main import get_command

from sunseo.rehearsal.command import rehearse
from sunseo.rehearsal.habits import habits_of
from sunseo.rehearsal.ledger import Operation
from sunseo.rehearsal.report.texts import CATALOGUES
from sunseo.rehearsal.verdict import CHECKS
from tests.docs.pages import text_of

GUIDE = "docs/guides/rehearsal.md"


def options() -> list[str]:
    concert = get_command(rehearse).commands["concert"]  # type: ignore[attr-defined]  # a group
    return sorted(option for param in concert.params for option in param.opts)


@pytest.mark.parametrize("option", options())
def test_option_is_described(option: str) -> None:
    """Each option of the concert stands in the table."""
    assert re.search(rf"^\| `{option}` \|", text_of(GUIDE), re.MULTILINE)


def test_checks_are_described_in_their_order() -> None:
    """The table of the verdict has every check, in the order in which it is told."""
    table = text_of(GUIDE).split("## The verdict")[1].split("##")[0]

    assert re.findall(r"^\| `([\w-]+)` \|", table, re.MULTILINE) == list(CHECKS)


def test_report_says_everything_in_both_languages() -> None:
    """No text is missing in either language, nor a word for any check or request."""
    korean, english = CATALOGUES["ko"], CATALOGUES["en"]

    assert korean.keys() == english.keys()
    assert {f"check.{name}" for name in CHECKS} <= english.keys()
    assert {f"operation.{one.value}" for one in Operation} <= english.keys()
    fields = {key: set(re.findall(r"\{\w+\}", text)) for key, text in english.items()}
    assert {key: set(re.findall(r"\{\w+\}", text)) for key, text in korean.items()} == fields


def test_shares_of_the_crowd_are_those_of_the_guide() -> None:
    """Five thousand people behave in about the proportions that the guide tells."""
    crowd = [habits_of(number, 1, 4.0) for number in range(1, 5_001)]

    def share(count: int) -> float:
        return 100 * count / len(crowd)

    assert 38 < share(sum(one.is_guest for one in crowd)) < 42
    assert 6.5 < share(sum(one.stays_away_after_s is not None for one in crowd)) < 9.5
    assert 31 < share(sum(one.patience_s < 3600 for one in crowd)) < 36
    assert 5.5 < share(sum(one.tabs > 1 for one in crowd)) < 8.5
    assert 1 < share(sum(one.refresh_s is not None for one in crowd)) < 2.2
    assert 1.3 < share(sum("order" in one.loses for one in crowd)) < 2.7
    assert 1.3 < share(sum(one.trick is not None for one in crowd)) < 2.7
