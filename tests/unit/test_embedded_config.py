"""The settings of the embedded PostgreSQL, and the sentences of its error."""

from pathlib import Path

import pytest

from sunseo.postgres.embedded.binaries import Binaries
from sunseo.postgres.embedded.config import (
    MEGABYTE,
    ServerSetting,
    files,
    memory_bytes,
    settings,
    shared_buffers,
)
from sunseo.postgres.embedded.error import explain, is_still_occupied, last_error_line, read_tail
from sunseo.postgres.embedded.identity import Identity

NOBODY_ELSE = Identity("same", 1000, 1000)


@pytest.mark.parametrize(
    ("memory", "buffers"), [(256, 64), (512, 64), (2048, 256), (8192, 1024), (65536, 1024)]
)
def test_shared_buffers_are_an_eighth_of_memory_within_bounds(memory: int, buffers: int) -> None:
    """Megabytes of memory, and of buffers."""
    assert shared_buffers(memory * MEGABYTE) == buffers * MEGABYTE


def test_memory_is_known() -> None:
    """Whatever limits there are, some memory is left."""
    assert memory_bytes() > 64 * MEGABYTE


@pytest.mark.parametrize("durable", [True, False])
def test_every_setting_has_a_reason_and_stands_once(durable: bool) -> None:
    """No setting without its why, none twice, and durable means durable."""
    binaries = Binaries(Path("/nonexistent"), "18.6")
    chosen = settings(binaries, Path("/run/s"), Path("/data"), durable=durable)
    names = [setting.name for setting in chosen]
    assert len(names) == len(set(names))
    assert all(setting.reason for setting in chosen)
    assert ("fsync", "on" if durable else "off") in [(s.name, s.value) for s in chosen]
    assert "shared_preload_libraries" not in names


def test_quotes_in_a_path_do_not_end_the_value() -> None:
    """A path with a quote and a backslash is one value of the configuration file."""
    written = files([ServerSetting("hba_file", "/it's\\here", "why")], NOBODY_ELSE)["sunseo.conf"]
    assert written.splitlines()[1] == "hba_file = '/it''s\\\\here'  # why"


def test_only_unix_sockets_and_named_peers_are_let_in() -> None:
    """No line lets anybody in over the network or without his name."""
    hba = files([], NOBODY_ELSE)["sunseo_hba.conf"].splitlines()[1:]
    assert hba == ["local all all peer map=sunseo", "local replication all peer map=sunseo"]


def test_last_complaint_is_found_among_other_lines() -> None:
    """The line that says why is told, without its time and process."""
    log = (
        "2026-01-01 00:00:00.000 UTC [7] LOG:  starting\n"
        '2026-01-01 00:00:00.001 UTC [7] FATAL:  could not open file "x"\n'
        "2026-01-01 00:00:00.002 UTC [7] LOG:  database system is shut down\n"
    )
    assert last_error_line(log) == 'FATAL:  could not open file "x"'
    assert last_error_line("only this\n") == "only this"
    assert last_error_line("") == "it said nothing"


def test_full_disk_and_occupied_folder_are_recognised() -> None:
    """Two causes that call for something else than reading the log."""
    full = "PANIC:  could not write to file: No space left on device"
    assert "the disk is full" in str(explain("starting", Path("/data"), full))
    assert is_still_occupied("FATAL:  pre-existing shared memory block (key 1) is still in use")
    assert not is_still_occupied(full)


def test_tail_begins_where_it_is_told(tmp_path: Path) -> None:
    """Only what was written since is read, unless the log has been cut meanwhile."""
    log = tmp_path / "log"
    log.write_text("old\nnew\n", "utf-8")
    assert read_tail(log, since=4) == "new\n"
    assert read_tail(log, since=400) == "old\nnew\n"
    assert read_tail(tmp_path / "missing") == ""
