"""`sunseo rehearse capacity`: a short search on a real server."""

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from sunseo.rehearsal.capacity.result import CapacityResult
from tests.command_line import Run

PATIENCE_S = 840  # a machine that stands still makes it search far down
SHORT = ("--from", "4", "--to", "8", "--precision", "1", "--probe", "4", "--session", "0.5")


def search(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    folder.mkdir(exist_ok=True)
    return subprocess.run(
        [sys.executable, "-m", "sunseo", "rehearse", "capacity", *options],
        env=os.environ | {"TMPDIR": str(folder), "SUNSEO_PORT": "1"},  # not for its own server
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


def test_short_search_ends_with_probes_laws_and_advice(tmp_path: Path) -> None:
    """Probes are real, each says whether its bounds held, and what was found is all told.

    Which rate that is depends on how busy this machine is, and is not asserted.
    """
    told, page = tmp_path / "told.json", tmp_path / "page.html"
    ended = search(
        tmp_path / "tmp",
        *(*SHORT, "--slo", "p99(hold) <= 60 s", "--json-file", str(told), "--report", str(page)),
    )

    capacity = msgspec.json.decode(told.read_bytes(), type=CapacityResult)
    assert ended.returncode == capacity.exit_code, ended.stdout + ended.stderr
    assert capacity.whole
    assert len(capacity.probes) >= 3
    assert all(probe.held == (not probe.broken) for probe in capacity.probes)
    assert (capacity.best is None) == (capacity.advice == [])
    html = page.read_text("utf-8")
    for text in ("What binds", "무엇이 한계인가", "p99(hold) &lt;= 60 s"):
        assert text in html
    for way in ("src=", "href=", "url(", "<script"):
        assert way not in html
    assert "Again:  sunseo rehearse capacity concert" in ended.stdout
    assert list((tmp_path / "tmp").glob("sunseo-rehearsal-*")) == []


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (("--slo", "fast"), "is not like"),
        (("--slo", "p99(dance) <= 1s"), "is no request"),
        (("--from", "9", "--to", "3"), "--from"),
        (("no-such-scenario",), "no scenario"),
        (("--target", "http://127.0.0.1:9"), "--operator-key"),
        (("--report", "/no/such/folder/page.html"), "there is no folder"),
    ],
)
def test_what_cannot_be_searched_says_so(
    options: tuple[str, ...], word: str, command_line: Run
) -> None:
    """Misuse ends with a line and exit code 2."""
    ended = command_line("rehearse", "capacity", *options)

    assert ended.code == 2
    assert word in ended.err
