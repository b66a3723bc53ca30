"""Processes that end with the one that started them, and may open many files."""

import signal
import subprocess
import sys

import pytest

PROGRAM = "from sunseo.core.processes import exit_with_parent; exit_with_parent({}); print('alive')"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells of a parent's death")
def test_a_parent_that_died_before_is_not_missed() -> None:
    """Whoever is somebody else's child by now ends at once."""
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM.format("parent=1")], capture_output=True, check=False
    )

    assert (ended.returncode, ended.stdout) == (-signal.SIGTERM, b"")


def test_a_living_parent_is_no_reason_to_end() -> None:
    """With its parent there, a process goes on."""
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM.format("")], capture_output=True, check=False
    )

    assert (ended.returncode, ended.stdout) == (0, b"alive\n")


LIMITED = """
import resource
from sunseo.core.processes import raise_file_limit
_, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
raise_file_limit()
print(resource.getrlimit(resource.RLIMIT_NOFILE)[0] == hard)
"""


def test_files_are_limited_by_the_system_alone() -> None:
    """A shell's low limit of open files is raised as far as the system allows."""
    ended = subprocess.run([sys.executable, "-c", LIMITED], capture_output=True, check=False)

    assert (ended.returncode, ended.stdout) == (0, b"True\n")


STREAMS = """
import os, sys
from sunseo.core.processes import open_standard_streams
open_standard_streams()
print("lost", file=sys.stderr)
assert all(os.get_inheritable(number) for number in range(3))
assert os.open(os.devnull, os.O_RDONLY) > 2
"""


@pytest.mark.parametrize("closed", ["2>&-", ">&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_closed_standard_streams_are_nobody_elses(closed: str) -> None:
    """A program that was started without them prints into nothing; no file gets their number."""
    words = ["sh", "-c", f'exec "$0" -c "$1" {closed}', sys.executable, STREAMS]
    ended = subprocess.run(words, check=False)

    assert ended.returncode == 0
