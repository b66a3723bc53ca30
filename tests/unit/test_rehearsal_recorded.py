"""Recorded arrivals: CSV files and access logs become moments from T0, and crowds of any size."""

import codecs
import gzip
from pathlib import Path

import pytest

from sunseo.rehearsal.crowd.arrivals import Replay, arrival_times
from sunseo.rehearsal.crowd.recorded import RecordError, moments_of, record_text
from sunseo.rehearsal.scenes.scenario import read_scenario, text_of
from sunseo.rehearsal.scenes.scene import ScenarioError

LOG = """\
203.0.113.7 - - [22/Nov/2026:09:00:00 +0900] "GET / HTTP/1.1" 200 12
203.0.113.8 - frank [22/Nov/2026:08:59:58 +0900] "GET /buy HTTP/1.1" 200 12 "-" "Mozilla"
203.0.113.7 - - [22/Nov/2026:09:00:01 +0900] "GET /style.css HTTP/1.1" 200 12
2001:db8::1 - - [22/Nov/2026:00:00:03 +0000] "GET / HTTP/1.1" 200 12
"""


AT = "[30/Nov/2026:12:00:00 +0900]"
NOON = 1_796_007_600.0


@pytest.mark.parametrize(
    ("text", "moments"),
    [
        ("at\n1800000000.5\n1800000000\n", [1_800_000_000.0, 1_800_000_000.5]),
        ("1800000000250,GET\n1800000001000,PUT\n", [1_800_000_000.25, 1_800_000_001.0]),
        ("2027-01-15T08:00:00Z\n2027-01-15 08:00:01\n", [1_800_000_000.0, 1_800_000_001.0]),
        ('"2027-01-15T17:00:00+09:00",x\n', [1_800_000_000.0]),
        ("0\n2.5\n", [0.0, 2.5]),
        ("-1.5\n2.5\n0\n", [-1.5, 0.0, 2.5]),
        ("at_us\n1800000000250000\n", [1_800_000_000.25]),
        ("1800000000250000000\n", [1_800_000_000.25]),
        ("1.8e9\n", [1_800_000_000.0]),
        ("\ufeff1800000000\n1800000001\n", [1_800_000_000.0, 1_800_000_001.0]),
        ("1800000000;a\r\n\r\n1800000001\tb\r\n", [1_800_000_000.0, 1_800_000_001.0]),
        ('1800000000,"a ""quoted"" name\u2028of a browser"\n', [1_800_000_000.0]),
        ("2026-11-30T12:00:00+0900\n", [NOON]),
        ("30/Nov/2026:12:00:00 +0900\n", [NOON]),
    ],
)
def test_moments_of_a_csv(text: str, moments: list[float]) -> None:
    """Seconds, milliseconds and ISO 8601 are told apart; a header and other columns are ignored."""
    assert moments_of(text) == moments


def test_visitors_of_an_access_log() -> None:
    """Each client address comes once, with its first request, whatever the zones of its lines."""
    moments = moments_of(LOG)

    assert [moment - moments[0] for moment in moments] == [0.0, 2.0, 5.0]


@pytest.mark.parametrize(
    "front",
    [
        *("", "shop.example:443 ", "10.0.0.1 ", "- ", "10.0.0.1, ", "[2001:db8::9]:443 "),
        *("Nov 30 12:00:00 web1 nginx: ", "Nov 30 12:00:00 10.0.0.9 nginx[7]: "),
        "<134>1 2026-11-30T03:00:00Z host nginx 1 - - ",
        *("2026-11-30T03:00:00.000000000Z stdout F ", "web-1  | ", '{"log":"'),
    ],
)
@pytest.mark.parametrize("client", ["{}", "{}, 10.0.0.7", '"{}"', "{}:50123", "::ffff:{}"])
def test_a_client_is_found_behind_whatever_stands_in_front(front: str, client: str) -> None:
    """Two addresses are two arrivals, and the same one again is none, in every form of log."""
    if front == "10.0.0.1, ":  # a list, of which the first is the client
        front, client = "", "{}, 10.0.0.1, 10.0.0.7"
    clients = ("203.0.113.1", "203.0.113.2", "203.0.113.1")
    lines = [f'{front}{client.format(one)} - kim {AT} "GET / HTTP/1.1" 200 1' for one in clients]

    assert moments_of("\n".join(lines)) == [NOON, NOON]


def test_hosts_by_name_and_users_with_blanks_are_clients() -> None:
    """A server that looks names up writes them in the address's place; users may be two words."""
    log = f"a.example - - {AT}\nB.example - - {AT}\nb.example - - {AT}\n203.0.113.1 - a b {AT}"

    assert moments_of(log) == [NOON] * 3


def test_the_earliest_request_counts_where_lines_are_out_of_order() -> None:
    """Servers log a request when it ends, so that a later line may tell of an earlier moment."""
    late = AT.replace("12:00:00", "12:00:05").replace(" ", ".250 ")
    log = f"203.0.113.1 - - {late}\n203.0.113.2 - - {late}\n203.0.113.1 - - {AT}\n"

    assert moments_of(log) == [NOON, NOON + 5.25]


@pytest.mark.parametrize(
    "data",
    [
        gzip.compress(LOG.encode()),
        codecs.BOM_UTF8 + LOG.encode(),
        LOG.encode("utf-16"),
        LOG.replace("Mozilla", "브라우저").encode("euc-kr"),
    ],
)
def test_a_record_is_read_as_it_was_kept(data: bytes) -> None:
    """Packed, with a mark in front, or with a browser's name in another encoding."""
    assert moments_of(record_text(data)) == moments_of(LOG)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"PK\x03\x04" + bytes(range(256)), "a zip archive"),
        (b"\x28\xb5\x2f\xfd" + bytes(range(256)), "packed with zstd"),
        (bytes(range(256)), "no text"),
        (gzip.compress(LOG.encode())[:-12], "packed with gzip, and cannot be unpacked"),
        (gzip.compress(b"PK\x03\x04", mtime=0), "a zip archive"),
    ],
)
def test_what_is_no_text_is_named_and_not_echoed(data: bytes, told: str) -> None:
    """One short line says what it is instead."""
    with pytest.raises(RecordError, match=told) as refused:
        record_text(data)

    assert str(refused.value).isascii()
    assert len(str(refused.value)) < 100


def test_an_opening_lies_within_a_day_of_what_was_recorded() -> None:
    """A slip in `opens_at` does not start a rehearsal that waits for a year."""
    with pytest.raises(RecordError, match=r"opens_at: .* more than a day"):
        Replay(opens_at="2025-11-22T09:00:00+09:00").read(LOG)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "empty"),
        ("at\n", "no moment in it"),
        ("1800000000\nyesterday\n", "line 2: 'yesterday' is no moment"),
        ("31/02/2026\n", "line 1: '31/02/2026' is no moment"),
        ("1800000000\n\n,x\n", "line 3: '' is no moment"),
        ("1800000000\nnan\n", "line 2: 'nan' is no moment"),
        ("1800000000\n1_800_000_001\n", "line 2: '1_800_000_001' is no moment"),
        ("20261130120000\n", "line 1: '20261130120000' is no moment"),
        ("1800000000\n1900-01-01\n", "line 2: '1900-01-01' is no moment"),
        ("0\n1800000000\n", "lines 1 and 2 are 500000 hours apart, and at most 24"),
        (f"203.0.113.7 - - {AT.replace('30/Nov', '31/Nov')}", "line 1: '.31/Nov.* is no moment"),
        (f"203.0.113.7 - - {AT.replace('12:00:00', '25:00:00')}", "line 1: .* is no moment"),
        (f"203.0.113.7 - - {AT.replace('Nov', 'Nob')}", "line 1: .* is no moment"),
        (f"203.0.113.7 - - {AT}\n- - - {AT}\n", "line 2 is without the address of a client"),
        (f"shop.example:443 - - - {AT}\n" * 9, "9 of 9 lines, from line 1 on, are without the add"),
        (f'unix: - - {AT} "GET / HTTP/1.1"\n', "line 1 is without the address of a client"),
        (f"113.7 - - [30/N\n{LOG}", "line 1 is no request of an access log; was it cut?"),
        (f"{LOG}\n203.0.113.9 - - [22/Nov/20", "line 6 is no request of an access log"),
        (f"2026/11/30 [error] 7#7: oops\n{LOG}", "line 1 is no request of an access log"),
        (f"10.0.0.1 - - {AT}\n" * 5, "all 5 requests are of one client, 10.0.0.1: if that is a ba"),
    ],
)
def test_what_is_no_record_is_refused(text: str, told: str) -> None:
    """The sentence says which line is wrong."""
    with pytest.raises(RecordError, match=told):
        moments_of(text)


def test_replay_brings_everybody_back() -> None:
    """As many as were recorded come at just their moments; before T0 where they came before."""
    replay = Replay(opens_at="2026-11-22T09:00:00+09:00").read(LOG)

    assert replay.moments_s == (-2.0, 0.0, 3.0)
    assert replay.early_from_s == 2.0
    assert [int(at // 1) for at in arrival_times(replay, 3, 1)] == [-2, 0, 3]


def test_replay_of_another_size_keeps_its_shape() -> None:
    """A part of them is drawn; of many more, each recorded moment is used about as often."""
    replay = Replay(moments_s=(0.0, 1.0, 5.0, 5.0))

    assert set(arrival_times(replay, 2, 1)) <= {0.0, 1.0, 5.0}
    many = arrival_times(replay, 401, 1)
    assert len(many) == 401
    assert 200 <= many.count(5.0) <= 201
    assert arrival_times(replay, 401, 1) == many
    assert replay.stretched(120.0).moments_s == (0.0, 2.0, 10.0, 10.0)


def of_file(folder: Path, recorded: str) -> Path:
    """A concert whose crowd is that of a file beside it."""
    (folder / "opening.log").write_text(recorded, "utf-8")
    head, _, tail = text_of("concert").partition("[arrivals]")
    arrivals = '[arrivals]\nkind = "replay"\nfile = "opening.log"\n\n[sale]'
    mine = folder / "mine.toml"
    mine.write_text(head + arrivals + tail.partition("[sale]")[2], "utf-8")
    return mine


def test_scenario_finds_its_record_beside_it(tmp_path: Path) -> None:
    """The path is seen from the scenario's own file, and the duration is what was recorded."""
    scenario = read_scenario(str(of_file(tmp_path, LOG)))

    assert isinstance(scenario.arrivals, Replay)
    assert scenario.arrivals.moments_s == (0.0, 2.0, 5.0)
    assert scenario.duration_s == 6.0
    assert scenario.changed(duration_s=12.0).duration_s == 12.0


def test_record_that_cannot_be_read_is_told_in_a_line(tmp_path: Path) -> None:
    """A wrong or missing file is named, with the field that names it."""
    wrong = of_file(tmp_path, "yesterday\ntoday\n")
    with pytest.raises(ScenarioError, match=r"arrivals\.file: opening\.log: line 2"):
        read_scenario(str(wrong))

    (tmp_path / "opening.log").unlink()
    with pytest.raises(ScenarioError, match=r"arrivals\.file: opening\.log: No such file"):
        read_scenario(str(wrong))
