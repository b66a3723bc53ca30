"""What the documents say of draws is what happens."""

import re
import shutil
import subprocess
from typing import Any

import pytest
from typer.testing import CliRunner

from sunseo.operators.command import OperatorCommands
from sunseo.room.draw.command import draw
from sunseo.room.draw.outcomes import DRAW_OUTCOMES
from sunseo.room.draw.routes import draw_endpoints
from sunseo.room.postgres.draws import PostgresDraws
from sunseo.web.endpoint import Endpoint
from tests.docs.pages import ROOT, blocks_of, text_of

PROTOCOL = "docs/protocol/draw.md"
GUIDE = "docs/guides/draw.md"
EXAMPLE = ROOT / "docs" / "protocol" / "draw-example.txt"
TOOLS = ("bash", "sha256sum", "openssl", "xxd")


@pytest.mark.skipif(
    not all(map(shutil.which, TOOLS)), reason=f"there is not all of {', '.join(TOOLS)}: make tools"
)
def test_worked_example_gives_what_it_says() -> None:
    """Commitment, list hash, seed and numbers by other people's programs are those of the page."""
    script, said = (block.text for block in blocks_of(PROTOCOL))
    done = subprocess.run(["bash", "-euc", script], capture_output=True, text=True, check=True)

    assert done.stdout == said
    shown = EXAMPLE.read_text("utf-8")
    drawn = {row.split()[2]: row.split()[0] for row in said.splitlines()[3:]}
    for line in said.splitlines()[:3]:
        assert line.split()[-1] in shown
    assert shown.splitlines()[1:] == [f"{entrant} {drawn[entrant]}" for entrant in sorted(drawn)]


def test_guide_shows_what_the_command_prints() -> None:
    """The verdict in the guide is the one on the published example."""
    (said,) = (block.text for block in blocks_of(GUIDE))
    asked = ["verify", str(EXAMPLE), "--receipt", "02" * 16]
    told = CliRunner().invoke(draw, asked)

    assert told.exit_code == 0
    assert told.stdout.startswith(said)


OUTCOMES = {outcome.code for outcome in DRAW_OUTCOMES} - {"key_reused"}  # as for all who write
NO_DATABASE: Any = None  # endpoints are described here, not called


@pytest.mark.parametrize("code", sorted(OUTCOMES))
def test_outcome_of_a_draw_is_described(code: str) -> None:
    """Each answer stands in the operator's table."""
    assert re.search(rf"^\| [^|]*`{code}`[^|]* \|", text_of(GUIDE), re.MULTILINE)


@pytest.mark.parametrize(
    "endpoint",
    draw_endpoints(PostgresDraws(NO_DATABASE, OperatorCommands(NO_DATABASE, 1))),
    ids=lambda endpoint: endpoint.name,
)
def test_endpoint_of_a_draw_is_described(endpoint: Endpoint) -> None:
    """Each endpoint stands in the guide, with method and path."""
    path = re.sub(r":\w+\}", "}", endpoint.path)

    assert f"`{endpoint.method} {path}`" in text_of(GUIDE)


def test_every_member_of_the_header_is_described() -> None:
    """What stands in the first line of the file stands in the table."""
    described = text_of(PROTOCOL)
    for name in re.findall(r'"(\w+)":', EXAMPLE.read_text("utf-8").split('"log"')[0]):
        assert re.search(rf"^\| [^|]*`{name}`", described, re.MULTILINE), name
