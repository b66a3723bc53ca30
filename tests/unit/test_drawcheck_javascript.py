"""The verifier in JavaScript says the same as the one in Python, on the same files."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.docs.pages import ROOT
from tests.draws import PublishedDraw
from tests.unit.test_drawcheck import SPOILED_BYTES, TAMPERINGS

VERIFIER = ROOT / "docs" / "protocol" / "verify-draw.mjs"
NODE = shutil.which("node")

pytestmark = pytest.mark.skipif(NODE is None, reason="there is no Node: make tools")

# All files are checked in one process: starting Node fifty times would take longer than the tests.
ALL = """
import { openAsBlob } from "node:fs";
const { verifyDraw } = await import(process.argv[2]);
const verdicts = {};
for (const file of process.argv.slice(3))
  verdicts[file] = await verifyDraw((await openAsBlob(file)).stream());
console.log(JSON.stringify(verdicts));
"""


def node(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(NODE), *map(str, arguments)], capture_output=True, text=True, check=False
    )


def verdicts_on(files: dict[str, bytes], folder: Path) -> dict[str, dict[str, Any]]:
    paths = {name: folder / f"{place}.draw" for place, name in enumerate(files)}
    for name, path in paths.items():
        path.write_bytes(files[name])
    driver = folder / "all.mjs"
    driver.write_text(ALL)
    done = node("--no-warnings", driver, VERIFIER, *paths.values())
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    return {name: told[str(path)] for name, path in paths.items()}


def test_tampering_is_found_by_the_same_check_on_the_same_line(tmp_path: Path) -> None:
    """Two programs by the same text agree on every spoiled draw."""
    files = {}
    for name, (spoil, _, _) in TAMPERINGS.items():
        draw = PublishedDraw()
        spoil(draw)
        files[name] = draw.text()
    told = {
        name: (verdict["exitCode"], verdict["fault"]["name"], verdict["fault"]["line"])
        for name, verdict in verdicts_on(files, tmp_path).items()
    }

    assert told == {name: (1, check, line) for name, (_, check, line) in TAMPERINGS.items()}


def test_spoiled_bytes_are_found(tmp_path: Path) -> None:
    """One draw has one spelling, in JavaScript too."""
    files = {name: spoil(PublishedDraw().text()) for name, (spoil, _) in SPOILED_BYTES.items()}
    verdicts = verdicts_on(files, tmp_path)

    assert {verdict["exitCode"] for verdict in verdicts.values()} == {1}
    assert {verdict["fault"]["name"] for verdict in verdicts.values()} == {"list"}


def test_sound_draws_of_all_sizes(tmp_path: Path) -> None:
    """Valid where all is well, with empty lists and lists larger than one read."""
    files = {f"{size}": PublishedDraw(size, seed=size).text() for size in (0, 1, 2, 50, 5000)}
    sealed = PublishedDraw()
    sealed.sealed_only()
    files["sealed"], files["other"] = sealed.text(), b"something else\n"
    verdicts = verdicts_on(files, tmp_path)

    assert {verdicts[f"{size}"]["exitCode"] for size in (0, 1, 2, 50, 5000)} == {0}
    assert (verdicts["sealed"]["exitCode"], verdicts["other"]["exitCode"]) == (3, 2)


def test_command_tells_number_and_verdict(tmp_path: Path) -> None:
    """As a command it reads gzip, tells an entrant her number, and exits as the other one does."""
    draw = PublishedDraw()
    path = draw.write(tmp_path, zipped=True)
    entrant, number = draw.lines[5]
    done = node(VERIFIER, path, "--receipt", entrant)

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-2:] == [f"Entrant {entrant} has number {number}.", "VALID"]
    assert node(VERIFIER, path, "--list-hash", "00" * 32).returncode == 1
    assert node(VERIFIER, tmp_path / "none").returncode == 2
    assert json.loads(node(VERIFIER, path, "--json").stdout)["verdict"] == "valid"
