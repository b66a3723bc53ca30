"""A rehearsal in which a worker is killed and the network is cut, and one that is interrupted."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.command_line import Run

PATIENCE_S = 180.0
SMALL = ("--visitors", "150", "--seats", "60", "--duration", "8", "--session", "0.5", "--seed", "5")
FAULTS = "kill-worker@2s,cut-network@4s:500ms"


def start(folder: Path, *options: str) -> subprocess.Popen[str]:
    folder.mkdir(exist_ok=True)
    return subprocess.Popen(
        [sys.executable, "-m", "sunseo", "rehearse", "concert", *SMALL, *options],
        env=os.environ | {"TMPDIR": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


class Rehearsed:
    """What a rehearsal with faults has left: its screen, its figures, and its two reports."""

    def __init__(self, folder: Path) -> None:
        self.markdown, self.page = folder / "incident.md", folder / "incident.html"
        told = folder / "told.json"
        reports = ("--incident", str(self.markdown), "--incident", str(self.page))
        rehearsal = start(folder, "--fault", FAULTS, *reports, "--json-file", str(told))
        self.screen, self.errors = rehearsal.communicate(timeout=PATIENCE_S)
        self.code = rehearsal.returncode
        self.told: dict[str, Any] = json.loads(told.read_text())


@pytest.fixture(scope="module")
def rehearsed(tmp_path_factory: pytest.TempPathFactory) -> Rehearsed:
    return Rehearsed(tmp_path_factory.mktemp("faults"))


def test_everything_holds_through_a_kill_and_a_cut(rehearsed: Rehearsed) -> None:
    """Both faults are done to something, both are noticed, and nothing that was told is lost."""
    assert rehearsed.code == 0, rehearsed.screen + rehearsed.errors
    killed, cut = rehearsed.told["incidents"]

    assert {check["standing"] for check in rehearsed.told["checks"]} <= {"held", "not_checked"}
    assert rehearsed.told["sold"] == 60
    assert (killed["kind"], len(killed["processes"]), killed["lost"]) == ("kill-worker", 1, 0)
    assert "worker_died" in {logged["event"] for logged in killed["log_events"]}
    assert (cut["kind"], cut["lost"]) == ("cut-network", 0)
    assert cut["connections"] > 0
    assert cut["lasted_s"] >= 0.5
    assert "readyz" in cut["noticed"]
    assert f"--fault {FAULTS.replace('500ms', '0.5s')}" in rehearsed.screen


def test_reports_stand_alone_and_speak_both_languages(rehearsed: Rehearsed) -> None:
    """Markdown and page tell every chapter in Korean and in English; the page loads nothing."""
    markdown, page = rehearsed.markdown.read_text("utf-8"), rehearsed.page.read_text("utf-8")

    for text in (markdown, page):
        for word in ("장애 보고서", "Incident report", "A worker is killed", "네트워크가 끊김"):
            assert word in text
        for part in ("Timeline", "Impact", "Cause", "Recovery", "What held", "지켜진 것"):
            assert text.count(part) >= 2
    assert "src=" not in page
    assert "href=" not in page
    assert "url(" not in page
    assert page.count("<svg") == 8  # two pictures of two incidents, in two languages


@pytest.fixture
def paused(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    rehearsal = start(tmp_path / "tmp", "--fault", "pause-server@1s:10m")
    yield rehearsal
    if rehearsal.poll() is None:
        rehearsal.kill()
        rehearsal.wait()


def test_interrupted_pause_leaves_nothing_stopped(
    paused: subprocess.Popen[str], tmp_path: Path
) -> None:
    """SIGINT while the server is paused lets it go on, judges, and leaves no process behind."""
    assert paused.stdout is not None
    for line in paused.stdout:
        if "pause-server: " in line:
            break
    below = psutil.Process(paused.pid).children(recursive=True)

    paused.send_signal(signal.SIGINT)
    output, errors = paused.communicate(timeout=PATIENCE_S)

    assert paused.returncode == 2, output + errors
    _, alive = psutil.wait_procs(below, timeout=PATIENCE_S)
    assert alive == []
    assert list((tmp_path / "tmp").glob("sunseo-rehearsal-*")) == []


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (("--fault", "kill-server@20"), "write it like 20s"),
        (
            ("--fault", "kill-db@2s", "--target", "http://127.0.0.1:9", "--operator-key", "k"),
            "a server of our own only",
        ),
        (("--incident", "report.md"), "--incident stands with --fault"),
        (("--fault", "kill-db@2s", "--incident", "report.txt"), "writes .md or .html, not"),
    ],
)
def test_bad_fault_is_refused(options: tuple[str, ...], word: str, command_line: Run) -> None:
    """What is written wrongly or cannot be done ends with a line and exit code 2."""
    ended = command_line("rehearse", "concert", *SMALL, *options)

    assert ended.code == 2
    assert word in ended.out + ended.err
