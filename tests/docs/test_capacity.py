"""The guide to capacity names every option, and every text is there in both languages."""

import re

import pytest
from typer.main import get_command

from sunseo.rehearsal.capacity.texts import CATALOGUES
from sunseo.rehearsal.command import rehearse
from tests.docs.pages import text_of

GUIDE = "docs/guides/capacity.md"


def options() -> list[str]:
    search = get_command(rehearse).commands["capacity"]  # type: ignore[attr-defined]  # a group
    given = sorted(option for param in search.params for option in param.opts)
    return [option for option in given if option.startswith("--")]


@pytest.mark.parametrize("option", options())
def test_option_is_described(option: str) -> None:
    """Each option of a search stands in the table."""
    assert re.search(rf"^\| `{option}` \|", text_of(GUIDE), re.MULTILINE)


def test_capacity_report_says_everything_in_both_languages() -> None:
    """No text is missing in either language, nor a field in any text."""
    korean, english = CATALOGUES["ko"], CATALOGUES["en"]

    assert korean.keys() == english.keys()
    for key, text in english.items():
        fields, others = (set(re.findall(r"\{\w+\}", one)) for one in (text, korean[key]))
        assert fields == others, key
