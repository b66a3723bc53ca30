"""The suite's order and its last words: a plugin of the suite.

Files are handed out whole, so that what a file shares is made once, and the longest first, by the
seconds in `durations.json`. At the end the slowest tests are named, and all that were skipped. A
run leaves its own seconds in `build/durations.json`; `make durations` keeps those of a whole run.

Tests marked `campaign` are left out, but for `--campaigns`: of each there is a smaller one.
"""

import json
import os
from collections import defaultdict
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadFileScheduling

from tests.tidy.sources import ROOT

KEPT = Path(__file__).with_name("durations.json")
MEASURED = ROOT / "build" / "durations.json"
TOGETHER = ("tests/attacks/",)
"""Folders whose files share a server, and so are one piece of work."""

TOOLS = ROOT / ".tools" / "bin"
"""What `make tools` has put into this checkout."""

SLOWEST = 10


class LongestFirst(LoadFileScheduling):  # type: ignore[misc]  # xdist has no types
    """Hands out pieces whole, in the order in which they were collected."""

    def _split_scope(self, nodeid: str) -> str:
        return piece_of(nodeid)


def piece_of(nodeid: str) -> str:
    """What a test is handed out with."""
    file = nodeid.split("::", 1)[0]
    return next((folder for folder in TOGETHER if file.startswith(folder)), file)


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("sunseo")
    group.addoption("--campaigns", action="store_true", help="leave out no test that takes long")
    group.addoption("--no-skips", action="store_true", help="fail if anything is skipped")
    group.addoption("--skipped-before", metavar="FILE", help="what else was skipped, a line each")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "campaign: takes long; a smaller one is in every run")
    os.environ["PATH"] = os.pathsep.join([str(TOOLS), os.environ["PATH"], "/usr/sbin"])
    if not hasattr(config, "workerinput"):  # the process that hands out and hears of everything
        config.option.loadscopereorder = False
        config.pluginmanager.register(LastWords(config), "last words")


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LongestFirst | None:
    return LongestFirst(config, log) if config.getvalue("dist") == "loadfile" else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The longest piece first; one that nobody has measured yet may be longer than any."""
    if not config.getoption("--campaigns"):
        config.hook.pytest_deselected(items=[one for one in items if is_campaign(one)])
        items[:] = [one for one in items if not is_campaign(one)]
    known = json.loads(KEPT.read_text("utf-8"))
    items.sort(key=lambda item: -known.get(piece_of(item.nodeid), float("inf")))


def is_campaign(item: pytest.Item) -> bool:
    return item.get_closest_marker("campaign") is not None


class LastWords:
    """Hears how long each test took and what was skipped, and tells it in the end."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self._skipped: dict[str, str] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._seconds[report.nodeid] += report.duration
        if report.skipped and isinstance(report.longrepr, tuple):
            self._skipped[report.nodeid] = report.longrepr[2].removeprefix("Skipped: ")

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self._config.getoption("--no-skips") and list(self._all_skipped()):
            session.exitstatus = session.exitstatus or pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        if self._config.option.collectonly:
            return
        slowest = sorted(self._seconds.items(), key=lambda one: -one[1])[:SLOWEST]
        terminalreporter.write_sep("=", f"slowest {len(slowest)} tests")
        for nodeid, seconds in slowest:
            terminalreporter.write_line(f"{seconds:6.1f} s  {nodeid}")
        skipped = list(self._all_skipped())
        failing = " (which fails it)" if skipped and self._config.getoption("--no-skips") else ""
        terminalreporter.write_sep("=", f"{len(skipped)} skipped{failing}")
        for line in skipped:
            terminalreporter.write_line(line)
        self._keep()

    def _all_skipped(self) -> Iterator[str]:
        before = self._config.getoption("--skipped-before")
        lines = Path(before).read_text("utf-8").splitlines() if before else []
        return chain(lines, (f"{what}: {why}" for what, why in self._skipped.items()))

    def _keep(self) -> None:
        pieces: defaultdict[str, float] = defaultdict(float)
        for nodeid, seconds in self._seconds.items():
            pieces[piece_of(nodeid)] += seconds
        MEASURED.parent.mkdir(exist_ok=True)
        told = {piece: round(seconds, 1) for piece, seconds in sorted(pieces.items())}
        MEASURED.write_text(json.dumps(told, indent=1) + "\n", "utf-8")
