"""`sunseo demo`: a small one, to its end."""

import os
import subprocess
import sys
from pathlib import Path

import msgspec

from sunseo.rehearsal.report.result import Result

PATIENCE_S = 180
SMALL = ("--visitors", "60", "--seats", "20", "--duration", "3", "--seed", "5")


def test_small_demo_sells_out_and_tells_it_as_json(tmp_path: Path) -> None:
    """A demo ends with a clean verdict and a page, and leaves nothing else behind."""
    folder, page = tmp_path / "tmp", tmp_path / "page.html"
    folder.mkdir()
    demo = subprocess.run(
        [sys.executable, "-m", "sunseo", "demo", *SMALL, "--json", "--report", str(page)],
        env=os.environ | {"TMPDIR": str(folder), "SUNSEO_PORT": "1"},  # not for the demo's server
        capture_output=True,
        timeout=PATIENCE_S,
        check=False,
    )

    assert demo.returncode == 0, demo.stderr
    outcome = msgspec.json.decode(demo.stdout, type=Result)
    assert outcome.standing == "held"
    assert outcome.sold == 20
    assert b"Everything held." in demo.stderr
    assert page.read_text("utf-8").startswith("<!doctype html>")
    assert list(folder.glob("sunseo-*")) == []
