"""The guide of faults names every kind, and reports speak of each in both languages."""

import re

import pytest

from sunseo.rehearsal.faults.spec import FaultKind
from sunseo.rehearsal.faults.texts import CATALOGUES
from tests.docs.pages import text_of

GUIDE = "docs/guides/faults.md"


@pytest.mark.parametrize("kind", FaultKind)
def test_kind_is_described(kind: FaultKind) -> None:
    """Each kind stands in the table of what can be done."""
    assert re.search(rf"^\| `{kind.value}` \|", text_of(GUIDE), re.MULTILINE)


def test_incident_report_says_everything_in_both_languages() -> None:
    """No text is missing in either language, nor a word for any kind, and holes are the same."""
    korean, english = CATALOGUES["ko"], CATALOGUES["en"]

    assert korean.keys() == english.keys()
    assert {f"fault.{kind.value}" for kind in FaultKind} <= english.keys()
    assert {f"cause.{kind.value}" for kind in FaultKind} <= english.keys()
    fields = {key: set(re.findall(r"\{\w+\}", text)) for key, text in english.items()}
    assert {key: set(re.findall(r"\{\w+\}", text)) for key, text in korean.items()} == fields
