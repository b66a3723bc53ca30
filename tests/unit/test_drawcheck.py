"""The verifier finds every kind of tampering, and names the check and the line."""

import io
import json
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sunseo.drawcheck import verifier
from sunseo.drawcheck.verifier import Notes, UnusableError, run, verify
from sunseo.passes.tokens import Receipt
from sunseo.room.draw.file import gzip_compressor
from sunseo.room.draw.rules import commitment_of, seal, seed_of
from tests.draws import OTHER_SECRET, SECRET, PublishedDraw

CHECKS = ["commitment", "list", "count", "list hash", "seed", "numbers"]

Spoil = Callable[[PublishedDraw], object]


def verdict_on(draw: PublishedDraw, notes: Notes | None = None) -> verifier.DrawVerdict:
    return verify(io.BytesIO(draw.text()), notes)


def swap_numbers(draw: PublishedDraw) -> None:
    (one, first), (other, second) = draw.lines[3], draw.lines[9]
    draw.lines[3], draw.lines[9] = (one, second), (other, first)


def rotate_numbers(draw: PublishedDraw) -> None:
    """Everybody but the last moves up one: all are a permutation still."""
    total = len(draw.lines)
    draw.lines = [(entrant, number % total + 1) for entrant, number in draw.lines]


def add_entrant(draw: PublishedDraw) -> None:
    draw.lines = sorted([*draw.lines, ("ab" * 16, len(draw.lines) + 1)])


def exchange_secret(draw: PublishedDraw) -> None:
    draw.header["secret"] = OTHER_SECRET.hex()


def reseed(draw: PublishedDraw) -> None:
    """Recompute list hash, count and seed, as a forger would, but leave the numbers."""
    sealed = seal(bytes.fromhex(entrant) for entrant, _ in draw.lines)
    secret = bytes.fromhex(draw.header["secret"])
    seed = seed_of(
        draw.header["room"], draw.header["epoch"], secret, sealed.list_hash, sealed.total
    )
    draw.header |= {
        "entrants": sealed.total,
        "list_hash": sealed.list_hash.hex(),
        "seed": seed.hex(),
    }


def drop_and_reseed(draw: PublishedDraw) -> None:
    last = max(draw.lines, key=lambda line: line[1])
    draw.lines.remove(last)
    reseed(draw)


def other_room_reseeded(draw: PublishedDraw) -> None:
    draw.header["room"] = 8
    reseed(draw)


TAMPERINGS: dict[str, tuple[Spoil, str, int]] = {
    "two numbers swapped": (swap_numbers, "numbers", 5),
    "all numbers rotated": (rotate_numbers, "numbers", 2),
    "a number given twice": (
        lambda draw: draw.lines.__setitem__(4, (draw.lines[4][0], draw.lines[2][1])),
        "numbers",
        6,
    ),
    "a number above the count": (
        lambda draw: draw.lines.__setitem__(4, (draw.lines[4][0], 51)),
        "numbers",
        6,
    ),
    "an entrant dropped": (lambda draw: draw.lines.pop(20), "count", 51),
    "the last entrant dropped": (lambda draw: draw.lines.pop(), "count", 51),
    "everybody dropped": (lambda draw: draw.lines.clear(), "count", 2),
    "an entrant added": (add_entrant, "count", 52),
    "an entrant dropped and the count with her": (
        lambda draw: (draw.lines.pop(20), draw.header.update(entrants=49)),
        "list hash",
        1,
    ),
    "an entrant exchanged": (
        lambda draw: draw.lines.__setitem__(-1, ("ff" * 16, draw.lines[-1][1])),
        "list hash",
        1,
    ),
    "an entrant dropped, all hashes recomputed": (drop_and_reseed, "numbers", 2),
    "an entrant written twice": (lambda draw: draw.lines.insert(7, draw.lines[7]), "list", 10),
    "two lines reordered": (lambda draw: draw.lines.insert(3, draw.lines.pop(12)), "list", 6),
    "sorted by number": (lambda draw: draw.lines.sort(key=lambda line: line[1]), "list", 3),
    "another secret": (exchange_secret, "commitment", 1),
    "another commitment": (
        lambda draw: draw.header.update(commitment=commitment_of(OTHER_SECRET).hex()),
        "commitment",
        1,
    ),
    "secret and commitment exchanged together": (
        lambda draw: draw.header.update(
            secret=OTHER_SECRET.hex(), commitment=commitment_of(OTHER_SECRET).hex()
        ),
        "seed",
        1,
    ),
    "a short secret": (lambda draw: draw.header.update(secret="00" * 31), "commitment", 1),
    "another room": (lambda draw: draw.header.update(room=8), "seed", 1),
    "another epoch": (lambda draw: draw.header.update(epoch=2), "seed", 1),
    "another room, the seed recomputed": (other_room_reseeded, "numbers", 2),
    "another seed": (lambda draw: draw.header.update(seed="00" * 32), "seed", 1),
    "no seed": (lambda draw: draw.header.update(seed=None), "seed", 1),
    "another list hash": (lambda draw: draw.header.update(list_hash="00" * 32), "list hash", 1),
}


@pytest.mark.parametrize("tampering", TAMPERINGS)
def test_tampering_is_found_by_its_check(tampering: str) -> None:
    """The first check that fails is the one that guards against it, and names the line."""
    spoil, name, line = TAMPERINGS[tampering]
    draw = PublishedDraw()
    spoil(draw)
    verdict = verdict_on(draw)

    assert verdict.exit_code == 1
    assert verdict.fault is not None
    assert (verdict.fault.name, verdict.fault.line) == (name, line)


@pytest.mark.parametrize("entrants", [0, 1, 2, 50, 1000])
def test_untouched_draw_is_valid(entrants: int) -> None:
    """What the drawing side publishes passes every check."""
    verdict = verdict_on(PublishedDraw(entrants))

    assert [check.name for check in verdict.checks] == CHECKS
    assert all(check.passed for check in verdict.checks)
    assert (verdict.exit_code, verdict.entrants, verdict.warnings) == (0, entrants, [])


SPOILED_BYTES: dict[str, tuple[Callable[[bytes], bytes], int]] = {
    "cut within a line": (lambda text: text[:-5], 51),
    "without the last line feed": (lambda text: text[:-1], 51),
    "lines of another system": (lambda text: _below(text, lambda b: b.replace(b"\n", b"\r\n")), 2),
    "capital letters": (lambda text: _below(text, bytes.upper), 2),
    "a zero before the number": (lambda text: _below(text, lambda b: b.replace(b" ", b" 0")), 2),
    "two spaces": (lambda text: _below(text, lambda b: b.replace(b" ", b"  ")), 2),
    "an empty line at the end": (lambda text: text + b"\n", 52),
    "a line without end": (lambda text: text + b"0" * 1_000_000, 52),
    "text after the list": (lambda text: text + b"thank you\n", 52),
    "UTF-16 below the header": (
        lambda text: _below(text, lambda b: b.decode().encode("utf-16-le")), 2),
    "digits of another alphabet": (
        lambda text: _below(text, lambda b: b.decode().replace("1", "\u0661").encode()), 2),
}  # fmt: skip


def _below(text: bytes, change: Callable[[bytes], bytes]) -> bytes:
    head, _, rest = text.partition(b"\n")
    return head + b"\n" + change(rest)


@pytest.mark.parametrize("fault", SPOILED_BYTES)
def test_line_that_is_not_as_described_is_at_fault(fault: str) -> None:
    """One draw has one spelling; the first line that is spelt otherwise is named."""
    spoil, line = SPOILED_BYTES[fault]
    verdict = verify(io.BytesIO(spoil(PublishedDraw().text())))

    assert verdict.fault is not None
    assert verdict.fault.name == "list"
    assert verdict.fault.line is not None
    assert verdict.fault.line >= line if "alphabet" in fault else verdict.fault.line == line


@given(st.data())
def test_no_byte_of_the_list_can_be_changed(data: st.DataObject) -> None:
    """Whatever byte below the header becomes another one, the draw is no longer valid."""
    text = PublishedDraw(12).text()
    at = data.draw(st.integers(text.index(b"\n") + 1, len(text) - 1))
    other = data.draw(st.integers(0, 255).filter(lambda byte: byte != text[at]))
    verdict = verify(io.BytesIO(text[:at] + bytes([other]) + text[at + 1 :]))

    assert verdict.exit_code == 1


@given(st.integers(0, 40), st.integers(0, 2**32))
def test_round_trip(entrants: int, seed: int) -> None:
    """Any list drawn with any secret passes the check, gzipped or not."""
    secret = random.Random(seed).randbytes(40)
    draw = PublishedDraw(entrants, seed=seed, secret=secret)

    assert verdict_on(draw).exit_code == 0


@pytest.mark.parametrize(
    "change",
    [
        {"format": "lottery"},
        {"version": 2},
        {"method": "drand"},
        {"room": -1},
        {"room": "7"},
        {"room": 2**64},
        {"epoch": None},
        {"epoch": True},
        {"entrants": 1.5},
        {"commitment": None},
        {"commitment": "00"},
        {"list_hash": "zz" * 32},
        {"secret": "ABCD" * 16},
        {"secret": "0" * 65},
        {"seed": 5},
    ],
    ids=str,
)
def test_header_that_cannot_be_read_is_unusable(change: dict[str, Any]) -> None:
    """It is said that there is nothing to check; a later version is not guessed at."""
    draw = PublishedDraw()
    text = draw.text().partition(b"\n")[2]
    header = json.dumps(draw.header | change).encode()

    with pytest.raises(UnusableError):
        verify(io.BytesIO(header + b"\n" + text))


@pytest.mark.parametrize(
    "text",
    [b"", b"\n", b"[]\n", b"null\n", b"{}\n", b"\xff\xfe{\0}\0", b"[" * 100_000, b"0" * 100_000],
    ids=lambda text: repr(text[:10]),
)
def test_other_files_are_unusable(text: bytes) -> None:
    """What is no published draw is neither valid nor invalid."""
    with pytest.raises(UnusableError):
        verify(io.BytesIO(text))


def test_sealed_list_is_sound_but_not_drawn() -> None:
    """Before the reveal the list can be checked already, and nobody takes it for a draw."""
    draw = PublishedDraw()
    draw.sealed_only()
    verdict = verdict_on(draw, Notes(entrant=bytes.fromhex(draw.lines[3][0])))

    assert (verdict.exit_code, [check.name for check in verdict.checks]) == (3, CHECKS[:4])
    assert verdict.receipt == {"entrant": draw.lines[3][0], "listed": True, "number": None}
    draw.lines.pop()
    assert verdict_on(draw).exit_code == 1


def test_forgery_of_everything_is_found_by_what_was_noted_before() -> None:
    """Another draw that is sound in itself has another list hash and another commitment."""
    first, forged = PublishedDraw(), PublishedDraw(seed=2, secret=OTHER_SECRET)
    hashes = Notes(list_hash=first.header["list_hash"])
    commitment = Notes(commitment=first.header["commitment"])

    assert verdict_on(forged).exit_code == 0
    for notes, name in ((hashes, "list hash"), (commitment, "commitment")):
        assert verdict_on(first, notes).exit_code == 0
        verdict = verdict_on(forged, notes)
        assert verdict.fault is not None
        assert verdict.fault.name == name


def test_weaknesses_are_said_though_nothing_is_wrong() -> None:
    """An operator's own secret, a late commitment and a withheld secret stand in the verdict."""
    draw = PublishedDraw()
    draw.header["independent"] = False
    draw.header["log"] = [
        {"at": "2026-11-22T08:00:00.000Z", "event": "committed", "registered": 12},
        {"at": "2026-11-22T09:00:00.000Z", "event": "withheld", "reason": "asleep"},
        "\x1b[2Jnonsense",
    ]
    verdict = verdict_on(draw)

    assert verdict.exit_code == 0
    assert [warning.split()[0] for warning in verdict.warnings] == ["The", "This", "The"]


def test_receipt_tells_its_number(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As id, as UUID or as the receipt itself; one who is not listed is told so."""
    draw = PublishedDraw()
    path = str(draw.write(tmp_path, zipped=True))
    entrant, number = draw.lines[17]
    asked = [entrant, entrant.upper(), str(UUID(entrant)), receipt(7, 1, entrant)]
    told = []
    for text in asked:
        assert run(path, receipt=text, as_json=True) == 0
        told.append(json.loads(capsys.readouterr().out)["receipt"])

    assert told == [{"entrant": entrant, "listed": True, "number": number}] * 4
    assert run(path, receipt="00" * 16) == 0
    assert "is NOT in this list" in capsys.readouterr().out


@pytest.mark.parametrize("text", ["", "12", "!!", "A" * 128, "ab" * 17])
def test_what_is_no_receipt_is_unusable(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody is told a number by mistake."""
    path = str(PublishedDraw().write(tmp_path))

    assert run(path, receipt=text) == 2
    assert capsys.readouterr().out == ""


def test_receipt_of_another_draw_is_unusable(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A receipt names its room and epoch."""
    draw = PublishedDraw()
    path = str(draw.write(tmp_path))

    assert run(path, receipt=receipt(7, 2, draw.lines[0][0])) == 2
    assert "another draw: room 7, epoch 2" in capsys.readouterr().err


def receipt(room: int, epoch: int, entrant: str) -> str:
    """A receipt as the server seals it."""
    from sunseo.passes.keys import KeyRing

    token = Receipt(
        room=room,
        epoch=epoch,
        issued_at_ms=0,
        holder=UUID(int=5),
        binding=bytes(16),
        account=True,
        entrant=UUID(entrant),
    )
    return KeyRing(1, {0: bytes(32)}, 0).seal(token)


def test_command_runs_as_one_file_copied_out(tmp_path: Path) -> None:
    """The verifier needs nothing but itself, in a Python that has no Sunseo."""
    path = PublishedDraw().write(tmp_path, zipped=True)
    copy = tmp_path / "check.py"
    copy.write_bytes(Path(verifier.__file__).read_bytes())
    for command in ([sys.executable, "-I", copy], [sys.executable, "-m", "sunseo.drawcheck"]):
        done = subprocess.run([*command, path], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.splitlines()[-2].startswith("VALID: ")


@pytest.mark.parametrize("keep", [0.02, 0.5, 0.99])
def test_gzip_that_breaks_off_is_found(keep: float, tmp_path: Path) -> None:
    """The end of the stream is missed, wherever it breaks off."""
    path = PublishedDraw(2000).write(tmp_path, zipped=True)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * keep)])

    assert run(str(path)) in ((2,) if keep == 0.02 else (1,))


def test_exit_codes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """0 valid, 1 not valid, 2 unusable, 3 not drawn yet; JSON says the same."""
    draw = PublishedDraw()
    valid = run(str(draw.write(tmp_path)), as_json=True)
    swap_numbers(draw)
    tampered = run(str(draw.write(tmp_path)), as_json=True)
    draw.sealed_only()
    sealed = run(str(draw.write(tmp_path)), as_json=True)
    missing = run(str(tmp_path / "none"), as_json=True)
    folder = run(str(tmp_path))

    assert (valid, tampered, sealed, missing, folder) == (0, 1, 3, 2, 2)
    told = [json.loads(line)["verdict"] for line in capsys.readouterr().out.splitlines()]
    assert told == ["valid", "not valid", "not drawn yet", "unusable"]


def test_progress_is_told_on_long_work() -> None:
    """Reading and ranking tell how far they are."""
    told: list[tuple[str, int, int]] = []
    text = PublishedDraw(100_000).text()
    verify(io.BytesIO(text), progress=lambda what, done, total: told.append((what, done, total)))

    assert told == [
        ("reading", 50_000, 100_000),
        ("reading", 100_000, 100_000),
        ("ranking", 50_000, 100_000),
        ("ranking", 100_000, 100_000),
    ]


def test_gzipped_stream_has_no_time_and_no_name() -> None:
    """Whoever compresses a draw, whenever: the file is the same."""
    text = PublishedDraw().text()
    first, second = gzip_compressor(), gzip_compressor()
    files = [squeeze.compress(text) + squeeze.flush() for squeeze in (first, second)]

    assert files[0] == files[1]
    assert files[0][:10] == b"\x1f\x8b\x08" + bytes(6) + b"\x03"


def test_commitment_stands_in_the_file_as_hash_of_its_secret() -> None:
    """Known by heart from sha256sum."""
    header = PublishedDraw().header

    assert header["secret"] == SECRET.hex()
    assert header["commitment"].startswith("630dcd2966c43366")
