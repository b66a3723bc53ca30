"""The watch on free disk space: its pure rule, and its reading of a real disk."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sunseo.postgres.disk import DiskState, DiskWatch, free_bytes, judge

OK, LOW, UNREADABLE = DiskState
MEGABYTE = 1024 * 1024


@pytest.mark.parametrize(
    ("before", "free", "after"),
    [
        (OK, 99, LOW),
        (OK, 100, OK),
        (OK, 200, OK),
        (LOW, 100, LOW),
        (LOW, 200, LOW),
        (LOW, 201, OK),
        (LOW, 0, LOW),
        (UNREADABLE, 150, LOW),
        (UNREADABLE, 201, OK),
    ],
)
def test_state_changes_only_outside_of_the_two_marks(
    before: DiskState, free: int, after: DiskState
) -> None:
    """Below 100 it is low, above 200 it is well, and between the marks it stays as it was."""
    assert judge(before, free, 100, 200) is after


@given(st.lists(st.integers(100, 200)), st.sampled_from(DiskState))
def test_nothing_between_the_marks_changes_the_state(frees: list[int], first: DiskState) -> None:
    """However often free space moves between the marks, selling is neither paused nor resumed."""
    known = state = judge(first, 150, 100, 200)
    for free in frees:
        state = judge(state, free, 100, 200)
    assert state is known
    assert known is first or first is UNREADABLE


def test_watch_pauses_and_resumes_with_distance() -> None:
    """A watch remembers its state from check to check."""
    readings = iter([300, 150, 99, 150, 200, 201, 150])
    watch = DiskWatch(Path("/"), 100, 200, read=lambda _: next(readings))
    assert [watch.check() for _ in range(7)] == [OK, OK, LOW, LOW, LOW, OK, OK]
    assert watch.free == 150


def test_disk_that_cannot_be_asked_is_not_sold_on(tmp_path: Path) -> None:
    """A folder that has vanished fails closed, and the watch recovers when it is back."""
    folder = tmp_path / "gone"
    watch = DiskWatch(folder, 0, 0)
    assert watch.check() is UNREADABLE
    assert watch.free is None
    folder.mkdir()
    assert watch.check() is OK
    assert watch.free is not None


@pytest.mark.parametrize("marks", [(2, 1), (-1, 5)])
def test_marks_in_the_wrong_order_are_refused(marks: tuple[int, int]) -> None:
    """The upper mark cannot be below the lower one, nor the lower one negative."""
    with pytest.raises(ValueError, match="resume_above_bytes"):
        DiskWatch(Path("/"), *marks)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 8 MB."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small file system")
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"mounting a small file system is not permitted here: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_watch_reads_a_real_disk(small_disk: Path) -> None:
    """Filling a disk makes it low, freeing it makes it well."""
    watch = DiskWatch(small_disk, 2 * MEGABYTE, 4 * MEGABYTE)
    assert watch.check() is OK
    assert free_bytes(small_disk) == 8 * MEGABYTE

    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(7 * MEGABYTE))
    assert watch.check() is LOW
    assert watch.free == MEGABYTE

    os.truncate(ballast, 5 * MEGABYTE)
    assert watch.check() is LOW
    ballast.unlink()
    assert watch.check() is OK
