"""Arrivals that were recorded somewhere: a CSV of moments, or an access log. Pure.

Of a CSV the first column counts: seconds, milliseconds, micro- or nanoseconds since 1970, seconds
from any beginning of one's own, or ISO 8601; a first line that begins like no number is a header.
Of an access log the earliest request of each client is an arrival, whatever stands in front of the
client: the virtual host, a balancer, what syslog or a container's log put before the line.

Every line is either understood or named with its number: a crowd that is quietly another one than
was recorded would be rehearsed for nothing.
"""

import gzip
import re
import zlib
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta, timezone
from io import BytesIO

from sunseo.core.networks import address_of

BYTES_MAX = 1 << 30  # unpacked; a day of a large shop
DAY_S = 86_400.0  # what is replayed has a day at most, as all arrivals do

_LOG_MOMENT = re.compile(
    r"\[(?P<day>[0-9]{1,2})/(?P<month>[A-Z][a-z]{2})/(?P<year>[0-9]{4})"
    r":(?P<time>[0-9]{2}:[0-9]{2}:[0-9]{2})(?P<part>\.[0-9]{1,6})?"
    r" (?P<zone>[+-][0-9]{2}:?[0-9]{2})\]"
)
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_HOST_NAME = re.compile(r"(?=[^.]*[a-zA-Z.])[a-zA-Z0-9_](?:[a-zA-Z0-9._-]*[a-zA-Z0-9_])?")
_CELL = re.compile(r"\s*(?:\"(?P<quoted>[^\"]*)\"|(?P<bare>[^,;\t]*))")
_HEADER = re.compile(r"[^0-9+.-]")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,2})?")
_UNITS = (1, 1_000, 1_000_000, 1_000_000_000)  # of a second, as clocks since 1970 count
_EARLIEST = datetime(2000, 1, 1, tzinfo=UTC).timestamp()  # nothing was sold on the web before
_LATEST = datetime(2100, 1, 1, tzinfo=UTC).timestamp()
_BINARIES = (
    (b"PK\x03\x04", "a zip archive"),
    (b"BZh", "packed with bzip2"),
    (b"\xfd7zXZ\x00", "packed with xz"),
    (b"\x28\xb5\x2f\xfd", "packed with zstd"),
    (b"SQLite format 3", "an SQLite database"),
    (b"PAR1", "a Parquet file"),
    (b"%PDF", "a PDF"),
)
_ECHO_MAX = 60

Line = tuple[int, str]


class RecordError(ValueError):
    """What was recorded cannot be read; one line says where."""


def record_text(data: bytes) -> str:
    """The text of a file, which may be packed with gzip.

    Raises:
        RecordError: it is no text; what it is instead, where that can be seen.
    """
    if data.startswith(b"\x1f\x8b"):
        data = _unpacked(data)
    if len(data) > BYTES_MAX:
        raise RecordError(f"it has more than {BYTES_MAX >> 20} MiB: give a part of it")
    for magic, name in _BINARIES:
        if data.startswith(magic):
            raise RecordError(f"it is {name}, and neither text nor packed with gzip")
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):  # as PowerShell writes
        return data.decode("utf-16", "replace")
    head = data[:65_536]
    odd = sum(byte < 0x20 and byte not in b"\t\n\r\f\x1b" for byte in head)
    if b"\x00" in head or odd * 10 > len(head):
        raise RecordError("it is no text, and not packed with gzip either")
    return data.decode("utf-8-sig", "replace")  # a browser's name may be in any encoding


def moments_of(text: str) -> list[float]:
    """Moments of arrival in seconds since 1970, or since any beginning; the first one first.

    Raises:
        RecordError: it is neither a CSV of moments nor an access log, or a line of it is wrong.
    """
    written = text.removeprefix("\ufeff").split(
        "\n"
    )  # other ends of lines stand in browsers' names
    lines = [(number, line.strip()) for number, line in enumerate(written, 1) if line.strip()]
    if not lines:
        raise RecordError("it is empty")
    found = _from_log(lines) if _is_log(lines) else _from_csv(lines)
    if not found:
        raise RecordError("there is no moment in it")
    found.sort()
    (first, first_line), (last, last_line) = found[0], found[-1]
    if last - first > DAY_S:
        raise RecordError(
            f"lines {first_line} and {last_line} are {(last - first) / 3600:.0f} hours apart,"
            " and at most 24 can be replayed"
        )
    return [moment for moment, _ in found]


def moment_of(word: str) -> float | None:
    """A number, or ISO 8601 (UTC where it names no zone), or as an access log has it."""
    if _NUMBER.fullmatch(word):
        return _counted(float(word))
    if logged := _LOG_MOMENT.fullmatch(f"[{word.strip('[]')}]"):
        return _log_moment(logged)
    try:
        moment = datetime.fromisoformat(word)
        seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None
    return seconds if _EARLIEST <= seconds < _LATEST else None


def _counted(number: float) -> float | None:
    """Seconds: of a beginning of one's own, or since 1970 by the unit in which that makes sense."""
    if abs(number) <= DAY_S:
        return number
    seconds = (round(number / one, 6) for one in _UNITS)
    return next((one for one in seconds if _EARLIEST <= one < _LATEST), None)


def _unpacked(data: bytes) -> bytes:
    try:
        with gzip.open(BytesIO(data)) as file:
            return file.read(BYTES_MAX + 1)
    except (OSError, EOFError, zlib.error):
        raise RecordError("it is packed with gzip, and cannot be unpacked") from None


def _is_log(lines: Sequence[Line]) -> bool:
    """Whether more lines are of a log than of a CSV: one that was cut decides nothing."""
    logged = sum(_LOG_MOMENT.search(line) is not None for _, line in lines)
    return logged > sum(moment_of(_first_cell(line)) is not None for _, line in lines)


def _from_log(lines: Sequence[Line]) -> list[tuple[float, int]]:
    """Each client's earliest request, which need not be the first that was written."""
    first: dict[str, tuple[float, int]] = {}
    others, nobodys = [], []
    for number, line in lines:
        logged = _LOG_MOMENT.search(line)
        moment = None if logged is None else _log_moment(logged)
        if logged is None:
            others.append(number)
        elif moment is None:
            raise RecordError(f"line {number}: {logged[0]!r} is no moment")
        elif (client := _client_of(line[: logged.start()])) is None:
            nobodys.append(number)
        else:
            first[client] = min(first.get(client, (moment, number)), (moment, number))
    if nobodys:
        raise RecordError(f"{_lines(nobodys, len(lines))} without the address of a client")
    if others:
        raise RecordError(f"{_lines(others, len(lines))} no request of an access log; was it cut?")
    if len(first) == 1 and len(lines) > 1:
        raise RecordError(
            f"all {len(lines)} requests are of one client, {next(iter(first))}: if that is a"
            " balancer, log the address that it forwards"
        )
    return list(first.values())


def _client_of(head: str) -> str | None:
    """Of what stands before a request's moment: the address nearest to it, or a host's name.

    Of a list of addresses, as in X-Forwarded-For, the first is the client's. Without an address
    the word before identity and user counts, which servers that look names up write.
    """
    words = head.split()
    bare = [word.rstrip('",').rpartition('"')[2] for word in words]  # a container's JSON begins so
    client = None
    for word, text in zip(reversed(words), reversed(bare), strict=True):
        address = address_of(text)
        is_list = word.endswith(",") and address is not None
        if client is not None and not is_list:
            break
        client = address or client
    if client is not None:
        return str(client)
    name = bare[-3] if len(bare) >= 3 else ""
    return name.lower() if _HOST_NAME.fullmatch(name) else None


def _log_moment(logged: re.Match[str]) -> float | None:
    if logged["month"] not in _MONTHS:
        return None
    sign, zone = logged["zone"][0], logged["zone"][1:].replace(":", "")
    ahead = timedelta(hours=int(zone[:2]), minutes=int(zone[2:])) * (-1 if sign == "-" else 1)
    hour, minute, second = map(int, logged["time"].split(":"))
    month = _MONTHS.index(logged["month"]) + 1
    try:
        whole = datetime(
            int(logged["year"]),
            month,
            int(logged["day"]),
            hour,
            minute,
            second,
            tzinfo=timezone(ahead),
        )
        seconds = whole.timestamp() + float(logged["part"] or 0)
    except (ValueError, OverflowError):
        return None
    return seconds if _EARLIEST <= seconds < _LATEST else None


def _from_csv(lines: Iterable[Line]) -> list[tuple[float, int]]:
    found: list[tuple[float, int]] = []
    for place, (number, line) in enumerate(lines):
        cell = _first_cell(line)
        moment = moment_of(cell)
        if moment is not None:
            found.append((moment, number))
        elif place > 0 or not _HEADER.match(cell):
            raise RecordError(f"line {number}: {cell[:_ECHO_MAX]!r} is no moment")
    return found


def _first_cell(line: str) -> str:
    cell = _CELL.match(line)
    return "" if cell is None else (cell["quoted"] or cell["bare"] or "").strip()


def _lines(numbers: Sequence[int], total: int) -> str:
    """Lines by their numbers, those behind the first few by how many they are."""
    if len(numbers) == 1:
        return f"line {numbers[0]} is"
    if len(numbers) <= 5:
        return f"lines {', '.join(map(str, numbers))} are"
    return f"{len(numbers)} of {total} lines, from line {numbers[0]} on, are"
