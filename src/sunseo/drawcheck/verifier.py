"""Check a published draw, by itself: this one file and Python 3.9 or newer are all that is needed.

    python verifier.py draw.gz
    python verifier.py draw.gz --receipt 2f1c... --commitment 9a0b... --list-hash 77de...

The file is described in docs/protocol/draw.md: a line of JSON, then a line for each entrant with
her id and her number, ordered by id; as text or gzipped. Checked are

    commitment   SHA-256 of the secret is what was published before anybody registered
    list         every line is an id and a number, the ids ascend, none stands twice
    count        there are as many as the file says
    list hash    SHA-256 of all ids is what was published when registration ended
    seed         it follows from room, epoch, secret, list hash and count
    numbers      each is the rank of HMAC-SHA-256(seed, id)

and, where you noted them earlier, that commitment and list hash are still the same. What cannot be
checked: whether every id belongs to a real person. Exit code 0 if the draw is valid, 1 if not, 2 if
this is no such file, 3 if all is well so far but the secret has not been revealed yet.
"""

from __future__ import annotations

import argparse
import base64
import gzip
import hashlib
import io
import json
import re
import sys
import time
import zlib
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import IO, Any, NamedTuple

VALID, NOT_VALID, UNUSABLE, NOT_DRAWN_YET = 0, 1, 2, 3

HEADER_BYTES_MAX = 16 * 1024 * 1024
LINE_BYTES_MAX = 80
ID_BYTES, HASH_BYTES = 16, 32
PROGRESS_LINES = 50_000

DRAWN_LINE = re.compile(rb"([0-9a-f]{32}) ([1-9][0-9]{0,18})\n")
SEALED_LINE = re.compile(rb"([0-9a-f]{32})()\n")
HEX = re.compile(r"[0-9a-f]+")
RECEIPT_KIND, RECEIPT_BYTES_MIN, RECEIPT_ID_AT = 4, 80, 64

Progress = Callable[[str, int, int], None]
"""Is told what is being done, how much of it is done, and how much there is."""


class UnusableError(Exception):
    """There is nothing to check here; the text says why."""


class FaultError(Exception):
    """A check has failed, on this line of the file (from 1) if on any."""

    def __init__(self, says: str, line: int | None = None) -> None:
        super().__init__(says)
        self.says = says
        self.line = line


class DrawCheck(NamedTuple):
    """One thing that was checked. `line` is the first line of the file at fault, from 1."""

    name: str
    passed: bool
    says: str
    line: int | None = None


class Notes(NamedTuple):
    """What the doubter brings along: her id, and what she wrote down before."""

    entrant: bytes | None = None
    commitment: str | None = None
    list_hash: str | None = None


@dataclass
class Entrants:
    """What was read of the list: compact, since there may be millions."""

    count: int = 0
    hash: Any = field(default_factory=hashlib.sha256)
    ranks: bytearray = field(default_factory=bytearray)  # HMACs in the order of the file
    numbers: array[int] = field(default_factory=lambda: array("Q"))


@dataclass
class DrawVerdict:
    """All that was found out."""

    header: dict[str, Any]
    checks: list[DrawCheck] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    entrants: int = 0
    receipt: dict[str, Any] | None = None
    seconds: float = 0.0

    @property
    def fault(self) -> DrawCheck | None:
        return next((check for check in self.checks if not check.passed), None)

    @property
    def exit_code(self) -> int:
        if self.fault is not None:
            return NOT_VALID
        return NOT_DRAWN_YET if self.header["secret"] is None else VALID

    def attempt(self, name: str, check: Callable[[], str]) -> bool:
        try:
            self.checks.append(DrawCheck(name, True, check()))
        except FaultError as fault:
            self.checks.append(DrawCheck(name, False, fault.says, fault.line))
        return self.checks[-1].passed


def verify(
    stream: IO[bytes], notes: Notes | None = None, progress: Progress | None = None
) -> DrawVerdict:
    """Read a draw once from its beginning and check all of it.

    Raises:
        UnusableError: it is no published draw, or of a later version.
    """
    started = time.monotonic()
    notes = notes or Notes()
    progress = progress or (lambda _what, _done, _total: None)
    header = read_header(stream)
    seed = None if header["secret"] is None else seed_of(header)
    verdict, found = DrawVerdict(header, warnings=warnings_of(header)), Entrants()

    verdict.attempt("commitment", lambda: check_commitment(header, notes))
    lines = read_lines(stream, header, seed, progress)
    if verdict.attempt("list", lambda: check_list(lines, found, verdict, notes)):
        verdict.attempt("count", lambda: check_count(header, found))
        verdict.attempt("list hash", lambda: check_list_hash(header, notes, found))
        if seed is not None:
            verdict.attempt("seed", lambda: check_seed(header, seed))
            verdict.attempt("numbers", lambda: check_numbers(found, progress))

    verdict.entrants = found.count
    verdict.seconds = time.monotonic() - started
    return verdict


# The file


def read_header(stream: IO[bytes]) -> dict[str, Any]:
    try:
        line = stream.readline(HEADER_BYTES_MAX)
        header = json.loads(line.decode("utf-8"))
    except (ValueError, RecursionError):
        raise UnusableError("The first line is not JSON in UTF-8.") from None
    except (EOFError, OSError, zlib.error) as error:
        raise UnusableError(f"The file cannot be read: {error}") from None
    if not isinstance(header, dict) or header.get("format") != "sunseo-draw":
        raise UnusableError("The first line does not say that this is a published draw.")
    if header.get("version") != 1 or header.get("method") != "commit-reveal":
        raise UnusableError(
            f"This verifier knows version 1 with the method commit-reveal, and the file has "
            f"version {header.get('version')!r} with {header.get('method')!r}. Get a newer one."
        )
    check_fields(header)
    return header


def check_fields(header: dict[str, Any]) -> None:
    limits = {"room": 2**64, "epoch": 2**32, "entrants": 2**63}
    for name, limit in limits.items():
        value = header.get(name)
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < limit:
            raise UnusableError(f"`{name}` in the first line is no number, or too large.")
    fields = {"commitment": HASH_BYTES, "list_hash": HASH_BYTES, "secret": None, "seed": HASH_BYTES}
    for name, size in fields.items():
        value = header.setdefault(name, None)
        if (value is None and name in ("secret", "seed")) or is_hex(value, size):
            continue
        raise UnusableError(f"`{name}` in the first line is not as many hexadecimal digits.")


def is_hex(value: Any, size: int | None) -> bool:
    """Whether it is lower-case hexadecimal of so many bytes, or of any number of them."""
    if not isinstance(value, str) or len(value) % 2 or not HEX.fullmatch(value):
        return False
    return size is None or len(value) == 2 * size


def read_lines(
    stream: IO[bytes], header: dict[str, Any], seed: bytes | None, progress: Progress
) -> Iterator[tuple[int, bytes, bytes, int | None]]:
    """Line, id, HMAC and number of each entrant; without a seed the latter two are empty.

    Raises:
        FaultError: a line is not as it must be, or the file breaks off.
    """
    line, total = 1, header["entrants"]
    pattern = SEALED_LINE if seed is None else DRAWN_LINE
    rank = ranker(seed) if seed is not None else lambda _entrant: b""
    try:
        while text := stream.readline(LINE_BYTES_MAX):
            line += 1
            match = pattern.fullmatch(text)
            if match is None:
                raise FaultError(f"line {line} is {described(text, seed is not None)}", line)
            entrant = bytes.fromhex(match[1].decode("ascii"))
            yield line, entrant, rank(entrant), int(match[2]) if match[2] else None
            if line % PROGRESS_LINES == 0:
                progress("reading", line, total)
    except (EOFError, OSError, zlib.error) as error:
        raise FaultError(f"the file breaks off after line {line}: {error}", line) from None


def described(line: bytes, drawn: bool) -> str:
    if not line.endswith(b"\n"):
        return f"cut off or too long: {line!r}"
    return f"not {'an id, a space and a number' if drawn else 'an id'}: {line!r}"


def ranker(seed: bytes) -> Callable[[bytes], bytes]:
    """HMAC-SHA-256 with this key, its two paddings hashed once."""
    inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in seed) + b"\x36" * 32)
    outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in seed) + b"\x5c" * 32)

    def rank(entrant: bytes) -> bytes:
        inside, outside = inner.copy(), outer.copy()
        inside.update(entrant)
        outside.update(inside.digest())
        return outside.digest()

    return rank


# The checks, in their order


def check_commitment(header: dict[str, Any], notes: Notes) -> str:
    promised = header["commitment"]
    if notes.commitment not in (None, promised):
        raise FaultError(f"it is {promised}, and not the one that you noted", 1)
    if header["secret"] is None:
        return f"{promised}; the secret is still to come"
    secret = bytes.fromhex(header["secret"])
    if len(secret) < HASH_BYTES:
        raise FaultError(f"the secret has {len(secret)} bytes, and could have been guessed", 1)
    digest = hashlib.sha256(secret).hexdigest()
    if digest != promised:
        raise FaultError(f"the secret hashes to {digest}, and {promised} was promised", 1)
    return "the secret is the one that was promised"


def check_list(
    lines: Iterator[tuple[int, bytes, bytes, int | None]],
    found: Entrants,
    verdict: DrawVerdict,
    notes: Notes,
) -> str:
    """Read all lines: their form and order. Keep what the checks that follow need."""
    previous = b""
    for line, entrant, rank, number in lines:
        if entrant <= previous:
            fault = "stands there twice" if entrant == previous else "is out of order"
            raise FaultError(f"entrant {entrant.hex()} on line {line} {fault}", line)
        previous = entrant
        found.count += 1
        found.hash.update(entrant)
        if number is not None:
            found.ranks += rank
            found.numbers.append(number)
        if entrant == notes.entrant:
            verdict.receipt = {"entrant": entrant.hex(), "listed": True, "number": number}
    if notes.entrant is not None and verdict.receipt is None:
        verdict.receipt = {"entrant": notes.entrant.hex(), "listed": False, "number": None}
    return f"{found.count:,} entrants, in order, each once"


def check_count(header: dict[str, Any], found: Entrants) -> str:
    if found.count != header["entrants"]:
        raise FaultError(
            f"there are {found.count:,} entrants, and the file says {header['entrants']:,}",
            min(found.count, header["entrants"]) + 2,
        )
    return f"{found.count:,}, as the file says"


def check_list_hash(header: dict[str, Any], notes: Notes, found: Entrants) -> str:
    digest = found.hash.hexdigest()
    if digest != header["list_hash"]:
        raise FaultError(f"the ids hash to {digest}, and the file says {header['list_hash']}", 1)
    if notes.list_hash not in (None, digest):
        raise FaultError(f"it is {digest}, and not the one that you noted", 1)
    return "the list is the one whose hash was published when registration ended"


def seed_of(header: dict[str, Any]) -> bytes:
    parts = [
        b"sunseo:draw:v1",
        header["room"].to_bytes(8, "big"),
        header["epoch"].to_bytes(4, "big"),
        bytes.fromhex(header["secret"]),
        bytes.fromhex(header["list_hash"]),
        header["entrants"].to_bytes(8, "big"),
    ]
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(4, "big"))
        digest.update(part)
    return digest.digest()


def check_seed(header: dict[str, Any], derived: bytes) -> str:
    if header["seed"] != derived.hex():
        raise FaultError(f"it must be {derived.hex()}, and the file says {header['seed']}", 1)
    return "it follows from room, epoch, secret, list and count"


def check_numbers(found: Entrants, progress: Progress) -> str:
    """See that HMACs ascend with the numbers, for which nothing needs to be sorted."""
    places = array("Q", bytes(8 * found.count))  # by number: its line's place in the file, from 1
    for place, number in enumerate(found.numbers, 1):
        if number > found.count:
            raise FaultError(f"line {place + 1} has number {number:,}, above the count", place + 1)
        if earlier := places[number - 1]:
            lines = f"lines {earlier + 1} and {place + 1}"
            raise FaultError(f"number {number:,} stands on {lines}", place + 1)
        places[number - 1] = place
    ranks, previous = memoryview(found.ranks), b""
    for number, place in enumerate(places, 1):
        rank = bytes(ranks[HASH_BYTES * (place - 1) : HASH_BYTES * place])
        if rank <= previous:  # equal only if SHA-256 were broken
            raise wrong_number(found)
        previous = rank
        if number % PROGRESS_LINES == 0:
            progress("ranking", number, found.count)
    return "each is the rank of the entrant's keyed hash"


def wrong_number(found: Entrants) -> FaultError:
    """Find the first line whose number is wrong; slow, and only needed once there is one."""
    ranks = [
        bytes(found.ranks[HASH_BYTES * at : HASH_BYTES * (at + 1)]) for at in range(found.count)
    ]
    right = array("Q", bytes(8 * found.count))
    for number, at in enumerate(sorted(range(found.count), key=ranks.__getitem__), 1):
        right[at] = number
    at = next(at for at in range(found.count) if found.numbers[at] != right[at])
    says = f"line {at + 2} has number {found.numbers[at]:,}, and must have {right[at]:,}"
    return FaultError(says, at + 2)


def warnings_of(header: dict[str, Any]) -> list[str]:
    """What is not wrong, and yet weakens the draw."""
    warnings = []
    if header.get("independent") is not True:
        warnings.append(
            "The operator kept the secret, and could have tried lists until one suited."
        )
    log = header.get("log")
    for entry in log if isinstance(log, list) else []:
        if not isinstance(entry, dict):
            continue
        at, late = entry.get("at"), entry.get("registered")
        if entry.get("event") == "withheld":
            warnings.append(f"The secret was withheld, as logged at {at!r}.")
        if entry.get("event") == "committed" and late:
            warnings.append(f"This commitment came after {late!r} had registered, at {at!r}.")
    return warnings


# The command


def entrant_of(text: str, header: dict[str, Any] | None = None) -> bytes:
    """The id in a receipt, or one written as 32 hexadecimal digits or as a UUID.

    The receipt's signature is not checked: only the server has the key.

    Raises:
        UnusableError: it is neither, or a receipt of another room's draw.
    """
    text = text.strip()
    plain = text.lower().replace("-", "")
    if is_hex(plain, ID_BYTES):
        return bytes.fromhex(plain)
    try:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        raw = b""
    if len(raw) < RECEIPT_BYTES_MIN or raw[1] != RECEIPT_KIND:
        raise UnusableError("--receipt takes a receipt or an id of 32 hexadecimal digits.")
    room, epoch = int.from_bytes(raw[4:12], "big"), int.from_bytes(raw[12:16], "big")
    if header is not None and (room, epoch) != (header["room"], header["epoch"]):
        raise UnusableError(f"The receipt is for another draw: room {room}, epoch {epoch}.")
    return raw[RECEIPT_ID_AT : RECEIPT_ID_AT + ID_BYTES]


def open_draw(path: str, stack: ExitStack) -> IO[bytes]:
    """Open a file, or standard input for `-`, and unpack it where it is gzipped."""
    source = sys.stdin.fileno() if path == "-" else path
    plain = stack.enter_context(open(source, "rb"))  # noqa: PTH123, SIM115 - of a descriptor or a path; the stack closes it
    if plain.peek(2)[:2] == b"\x1f\x8b":
        return io.BufferedReader(gzip.GzipFile(fileobj=plain))
    return plain


class Bar:
    """Progress on a terminal, and silence elsewhere."""

    def __init__(self, out: IO[str]) -> None:
        self._out = out
        self._shown = out.isatty()
        self._last = 0.0

    def __call__(self, what: str, done: int, total: int) -> None:
        now = time.monotonic()
        if self._shown and now - self._last >= 0.2:
            self._last = now
            share = min(100, 100 * done // max(1, total))
            self._out.write(f"\r{what}: {done:,} of {total:,} ({share} %) ")
            self._out.flush()

    def clear(self) -> None:
        if self._shown and self._last:
            self._out.write("\r\x1b[K")
            self._out.flush()


def run(
    path: str,
    *,
    receipt: str | None = None,
    commitment: str | None = None,
    list_hash: str | None = None,
    as_json: bool = False,
) -> int:
    """Verify a file and print the verdict; the exit code."""
    bar = Bar(sys.stderr)
    try:
        notes = Notes(
            None if receipt is None else entrant_of(receipt),
            noted(commitment, "--commitment"),
            noted(list_hash, "--list-hash"),
        )
        with ExitStack() as stack:
            verdict = verify(open_draw(path, stack), notes, bar)
        if receipt is not None:
            entrant_of(receipt, verdict.header)  # of this room, and not of another
    except UnusableError as error:
        return refuse(str(error), as_json)
    except OSError as error:
        return refuse(f"{path}: {error.strerror or error}", as_json)
    finally:
        bar.clear()
    sys.stdout.write(to_json(verdict) if as_json else to_text(verdict))
    return verdict.exit_code


def noted(value: str | None, option: str) -> str | None:
    value = None if value is None else value.strip().lower()
    if value is not None and not is_hex(value, HASH_BYTES):
        raise UnusableError(f"{option} takes {2 * HASH_BYTES} hexadecimal digits.")
    return value


def refuse(says: str, as_json: bool) -> int:
    if as_json:
        sys.stdout.write(json.dumps({"verdict": "unusable", "says": says}) + "\n")
    sys.stderr.write(f"drawcheck: {says}\n")
    return UNUSABLE


VERDICTS = {VALID: "valid", NOT_VALID: "not valid", NOT_DRAWN_YET: "not drawn yet"}


def to_json(verdict: DrawVerdict) -> str:
    fault = verdict.fault
    found = {
        "verdict": VERDICTS[verdict.exit_code],
        "room": verdict.header["room"],
        "epoch": verdict.header["epoch"],
        "entrants": verdict.entrants,
        "checks": [check._asdict() for check in verdict.checks],
        "fault": None if fault is None else fault._asdict(),
        "warnings": verdict.warnings,
        "receipt": verdict.receipt,
        "seconds": round(verdict.seconds, 3),
    }
    return json.dumps(found) + "\n"


def to_text(verdict: DrawVerdict) -> str:
    header = verdict.header
    lines = [f"Draw of room {header['room']}, epoch {header['epoch']}"]
    lines += [f"  secret kept by {header.get('committer')!r}"]
    lines += [
        f"  {'ok  ' if check.passed else 'FAIL'}  {check.name:<11} {check.says}"
        for check in verdict.checks
    ]
    lines += [f"  note  {warning}" for warning in verdict.warnings]
    if verdict.receipt is not None:
        lines.append(receipt_line(verdict.receipt))
    lines.append(VERDICT_LINES[verdict.exit_code].format(verdict.seconds))
    return "\n".join(lines) + "\n"


def receipt_line(receipt: dict[str, Any]) -> str:
    if not receipt["listed"]:
        return f"Entrant {receipt['entrant']} is NOT in this list."
    if receipt["number"] is None:
        return f"Entrant {receipt['entrant']} is in this list."
    return f"Entrant {receipt['entrant']} has number {receipt['number']:,}."


VERDICT_LINES = {
    VALID: "VALID: the numbers follow from the secret and the list ({:.1f} s). Whether every "
    "entrant is\na real person cannot be seen from here.",
    NOT_VALID: "NOT VALID ({:.1f} s).",
    NOT_DRAWN_YET: "NOT DRAWN YET: the list is sealed and sound, the secret is still to come "
    "({:.1f} s).",
}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="drawcheck",
        description="Check a published draw.",
        epilog="Exit codes: 0 valid, 1 not valid, 2 no such file, 3 not drawn yet.",
    )
    parser.add_argument("file", help="the published draw, gzipped or not; - for standard input")
    parser.add_argument("--receipt", help="your receipt or id: tells your number")
    parser.add_argument("--commitment", help="the commitment that you noted before registration")
    parser.add_argument("--list-hash", help="the list hash that you noted before the reveal")
    parser.add_argument("--json", action="store_true", help="print JSON instead of text")
    given = parser.parse_args(arguments)
    return run(
        given.file,
        receipt=given.receipt,
        commitment=given.commitment,
        list_hash=given.list_hash,
        as_json=given.json,
    )


if __name__ == "__main__":
    sys.exit(main())
