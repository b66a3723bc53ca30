"""What visitors of rooms meet is described where they read."""

import re
from typing import Any, cast

import pytest

from sunseo.core.outcome import Outcome
from sunseo.room.admission.admission import AdmissionOutcome
from sunseo.room.line.commands import EndPassOutcome, EnterOutcome, JoinOutcome, RenewOutcome
from sunseo.room.line.routes import room_endpoints
from sunseo.room.line.service import HolderOutcome
from sunseo.web.endpoint import Endpoint
from sunseo.web.problems import STATUS_OF_KIND
from tests.docs.pages import text_of

GUIDE = "docs/guides/room-visitor.md"
TABLES: dict[str, type[Outcome]] = {
    "Joining": JoinOutcome,
    "Entering": EnterOutcome,
    "Renewing": RenewOutcome,
    "Leaving, completing, revoking": EndPassOutcome,
}


def rows_of(title: str) -> list[tuple[str, int]]:
    """The outcomes of a table with their statuses, in its order."""
    table = text_of(GUIDE).split(f"### {title}\n")[1].split("###")[0]
    rows = re.findall(r"^\| (`[^|]+) \| (\d+) \|", table, re.MULTILINE)
    return [(code, int(status)) for row, status in rows for code in re.findall(r"`(\w+)`", row)]


@pytest.mark.parametrize("title", TABLES)
def test_outcomes_stand_in_their_precedence_with_their_status(title: str) -> None:
    """Each table has all outcomes of its command, in the order in which they are given."""
    for (code, status), outcome in zip(rows_of(title), TABLES[title], strict=True):
        made = title in ("Joining", "Entering") and outcome.kind.value == "done"
        assert (code, status) == (outcome.code, 201 if made else STATUS_OF_KIND[outcome.kind])


def test_what_never_reaches_the_line_is_described() -> None:
    """Refusals by token, holder, limit and challenge have their rows."""
    expected = {
        outcome.code: STATUS_OF_KIND[outcome.kind]
        for outcome in (*HolderOutcome, *AdmissionOutcome)
    }
    assert dict(rows_of("What is refused before the line hears of it")) == expected


@pytest.mark.parametrize(
    "endpoint",
    room_endpoints(cast("Any", None), cast("Any", None)),
    ids=lambda endpoint: endpoint.name,
)
def test_endpoint_is_described(endpoint: Endpoint) -> None:
    """Each endpoint stands in the walk, with method and path."""
    path = re.sub(r":\w+\}", "}", endpoint.path)

    assert f"`{endpoint.method} {path}`" in text_of(GUIDE)
