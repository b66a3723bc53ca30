"""A rehearsal against servers that do wrong: each wrong is caught by the check meant for it."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance import defective_server, serving
from tests.acceptance.serving import Serving

PATIENCE_S = 300
CROWD = """
title = "Few visitors, a large hall, and many who try to enter before they are called"
visitors = {visitors}
session_s = 0.3
[arrivals]
kind = "herd"
duration_s = 2.0
early_s = 0.5
herd_mean_s = 0.5
[sale]
kind = "seats"
units = 1000
[room]
capacity = 40
[people]
absent_share = 0.0
impatient_share = 0.0
jumper_share = 0.2
"""


@pytest.fixture(scope="module")
def defects(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file that tells the server what to do wrong."""
    file = tmp_path_factory.mktemp("defects") / "defect"
    file.write_text("")
    return file


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, defects: Path) -> Iterator[Serving]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(defective_server.DEFECTS, str(defects))
        server = serving.serving(tmp_path_factory.mktemp("server") / "data")
        server.program = defective_server.__name__
        with serving.ended_at_last(server):
            server.start()
            yield server


def rehearse(server: Serving, told: Path, visitors: int) -> dict[str, dict[str, Any]]:
    """Send a crowd to a server; the checks of its verdict by their names."""
    crowd = told.with_name("crowd.toml")
    crowd.write_text(CROWD.format(visitors=visitors))
    rehearsal = subprocess.run(
        [
            *(sys.executable, "-m", "sunseo", "rehearse", str(crowd), "--seed", "11"),
            *("--target", server.url, "--operator-key", server.create_key()),
            *("--database-url", server.dsn(), "--json-file", str(told)),
        ],
        env=os.environ | {"TMPDIR": str(told.parent)},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert told.exists(), rehearsal.stdout + rehearsal.stderr
    outcome = json.loads(told.read_text())
    checks = {check["name"]: check for check in outcome["checks"]}
    assert (outcome["standing"], rehearsal.returncode) == ("broken", 1)
    return checks


CASES: list[tuple[str, int, set[str]]] = [
    # More of them: after the first buyer of the chosen seat somebody else has to want it.
    (defective_server.OVERSELLS, 220, {"one-owner", "invariants"}),
    (defective_server.LOSES, 150, {"told-is-true", "invariants"}),
    (defective_server.JUMPS, 150, {"above-serving"}),
]


@pytest.mark.parametrize(
    ("defect", "visitors", "broken"), CASES, ids=["oversells", "loses", "jumps"]
)
def test_defect_of_a_server_is_caught_by_its_check(
    server: Serving,
    defects: Path,
    tmp_path: Path,
    *,
    defect: str,
    visitors: int,
    broken: set[str],
) -> None:
    """What a server does wrong breaks the check that looks for it, and nothing else."""
    defects.write_text(defect)
    checks = rehearse(server, tmp_path / "told.json", visitors)

    assert {name for name, check in checks.items() if check["standing"] == "broken"} == broken
    assert {check["standing"] for check in checks.values()} <= {"held", "broken"}
