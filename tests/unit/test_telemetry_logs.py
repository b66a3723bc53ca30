"""Logs: JSON lines in bursts, nothing lost at the end, nothing blocked by a stuck reader."""

import errno
import json
import logging
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sunseo.telemetry.lines import LineWriter
from sunseo.telemetry.logs import Logs, RequestLine, now


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reader, writer = os.pipe()
    yield reader, writer
    os.close(reader)
    os.close(writer)


def to_file(path: Path, **options: Any) -> LineWriter:
    return LineWriter(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND), **options)


def request_line(**changes: Any) -> RequestLine:
    return RequestLine(
        **{
            "time": now(),
            "level": "info",
            "event": "request",
            "request_id": "r",
            "method": "GET",
            "route": "/",
            "status": 200,
            "outcome": "-",
            "duration_ms": 1.5,
            "pid": 1,
            **changes,
        }
    )


def test_lines_are_kept_in_order_and_whole(tmp_path: Path) -> None:
    """Whatever was written before `close` is in the file, in order."""
    writer = to_file(tmp_path / "log")
    for number in range(5000):
        writer.write(b"%d\n" % number)
    writer.close()

    assert (tmp_path / "log").read_bytes() == b"".join(b"%d\n" % n for n in range(5000))


def test_lines_of_several_threads_are_all_there(tmp_path: Path) -> None:
    """Threads that log at once lose nothing."""
    writer = to_file(tmp_path / "log", flush_interval_s=0.001)

    def write(name: int) -> None:
        for number in range(2000):
            writer.write(b"%d-%d\n" % (name, number))

    threads = [threading.Thread(target=write, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    writer.close()

    assert len(set((tmp_path / "log").read_bytes().splitlines())) == 8000


def test_a_warning_is_not_kept_waiting(pipe: tuple[int, int]) -> None:
    """`flush_now` writes at once, however long the interval is."""
    reader, fd = pipe
    writer = LineWriter(fd, flush_interval_s=3600)
    writer.write(b"one\n")
    writer.flush_now()

    assert os.read(reader, 100) == b"one\n"
    writer.close()


def test_stuck_reader_loses_lines_but_never_blocks(pipe: tuple[int, int]) -> None:
    """A full pipe fills the buffer to its limit; what is too much is dropped, counted and told."""
    reader, fd = pipe
    lost: list[int] = []
    writer = LineWriter(fd, flush_interval_s=0, lines_max=100, on_dropped=lost.append)
    line = b"x" * 1023 + b"\n"
    for _ in range(1000):
        writer.write(line)
    assert writer.dropped >= 700

    received = b""
    while b"log_lines_dropped" not in received:
        received += os.read(reader, 65536)
    writer.close()

    told = json.loads(received.splitlines()[-1])
    assert told["lines"] == lost[0]
    assert received.count(line) + lost[0] == 1000


def test_lines_of_two_processes_do_not_mix(pipe: tuple[int, int]) -> None:
    """Into a pipe, no single write is longer than the kernel keeps together."""
    _, fd = pipe
    writer = LineWriter(fd)
    written: list[bytes] = []

    def note(data: bytes) -> int:
        written.append(data)
        return 0

    writer._write_all = note  # type: ignore[method-assign]  # to see the writes
    for _ in range(100):
        writer.write(b"x" * 299 + b"\n")
    writer.close()

    assert max(map(len, written)) <= 4096
    assert all(chunk.endswith(b"\n") for chunk in written)


def test_child_after_fork_writes_its_own_lines_only(tmp_path: Path) -> None:
    """A worker forked from a process with waiting lines does not write those again."""
    writer = to_file(tmp_path / "log", flush_interval_s=3600)
    writer.write(b"parent\n")
    child = os.fork()
    if child == 0:
        writer.write(b"child\n")
        writer.close()
        os._exit(0)
    os.waitpid(child, 0)
    writer.close()

    assert sorted((tmp_path / "log").read_bytes().splitlines()) == [b"child", b"parent"]


def test_broken_pipe_does_not_break_the_server(pipe: tuple[int, int]) -> None:
    """When the reader of the log is gone, writing goes on into nothing."""
    reader, fd = os.pipe()
    os.close(reader)
    writer = LineWriter(fd)
    writer.write(b"one\n")
    writer.close()
    os.close(fd)


def test_lines_that_a_full_disk_does_not_take_are_counted() -> None:
    """Each is lost, counted and, since the disk stays full, told by nobody but the metric."""
    lost: list[int] = []
    fd = os.open("/dev/full", os.O_WRONLY)
    writer = LineWriter(fd, on_dropped=lost.append)
    for _ in range(3):
        writer.write(b"line\n")
    writer.close()
    os.close(fd)

    assert sum(lost) == 3


def test_a_line_cut_off_by_a_full_disk_spoils_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """What follows begins a line of its own, and tells how many are missing."""
    out, room = bytearray(), [8]

    def write(_fd: int, data: memoryview) -> int:
        taken = bytes(data[: room[0]])
        if not taken:
            raise OSError(errno.ENOSPC, "No space left on device")
        room[0] -= len(taken)
        out.extend(taken)
        return len(taken)

    monkeypatch.setattr("sunseo.telemetry.lines.os.write", write)
    lost: list[int] = []
    writer = LineWriter(99, flush_interval_s=3600, on_dropped=lost.append)
    for _ in range(3):
        writer.write(b"line\n")
    writer.close()
    room[0] = 1000
    writer.write(b"after\n")
    writer.close()

    assert lost == [2]
    first, torn, *after = bytes(out).decode().splitlines()
    assert (first, torn, after[0]) == ("line", "lin", "after")
    assert json.loads(after[1])["lines"] == 2


def test_request_line_is_json_without_empty_members(tmp_path: Path) -> None:
    """Times that were not measured are left out."""
    logs = Logs("info", to_file(tmp_path / "log"))
    logs.request(request_line(db_ms=0.25))
    logs.close()

    line = json.loads((tmp_path / "log").read_text())
    assert (line["route"], line["db_ms"]) == ("/", 0.25)
    assert "lane_wait_ms" not in line
    assert line["time"].endswith("Z")


def test_logger_writes_events_with_their_members(tmp_path: Path) -> None:
    """A logger's lines have time, level, logger and what was given; below the level, nothing."""
    logs = Logs("info", to_file(tmp_path / "log"))
    logger = logs.logger("expirer")
    logger.debug("turn")
    logger.info("expired", holds=3, path=Path("/x"))
    logs.close()

    (line,) = (tmp_path / "log").read_text().splitlines()
    event = json.loads(line)
    assert (event["event"], event["holds"], event["logger"]) == ("expired", 3, "expirer")
    assert (event["level"], event["pid"]) == ("info", os.getpid())
    assert event["time"].endswith("Z")


def test_libraries_log_the_same_way(tmp_path: Path) -> None:
    """What comes through the standard library becomes a JSON line, with its traceback."""
    logs = Logs("info", to_file(tmp_path / "log"))
    root = logging.getLogger()
    before = root.handlers[:], root.level
    logs.bridge()
    try:
        try:
            int("broken")
        except ValueError:
            logging.getLogger("uvicorn").exception("it %s", "failed")
    finally:
        root.handlers[:], root.level = before
    logs.close()

    line = json.loads((tmp_path / "log").read_text())
    assert (line["event"], line["logger"], line["level"]) == ("it failed", "uvicorn", "error")
    assert "ValueError: invalid literal" in line["exception"]


def test_unknown_level_stops_the_start() -> None:
    """A level that does not exist is named together with those that do."""
    with pytest.raises(ValueError, match="debug, info, warning, error, critical"):
        Logs("loud")


def test_warnings_only_turns_request_lines_off() -> None:
    """At level `warning` the lines of requests are not even built."""
    assert not Logs("warning", LineWriter(sys.stderr.fileno())).requests_on
