"""Draws made for tests, as the published file, and the ways to spoil one."""

import gzip
import json
import random
from pathlib import Path
from typing import Any

from sunseo.room.draw.file import DrawHeader, drawn_lines, header_line
from sunseo.room.draw.rules import commitment_of, numbers_of, seal, seed_of

SECRET = bytes(range(32))
OTHER_SECRET = bytes(range(1, 33))

Line = tuple[str, int]


class PublishedDraw:
    """A draw that can be changed before it is written; unchanged, it is valid."""

    def __init__(self, entrants: int = 50, *, seed: int = 1, secret: bytes = SECRET) -> None:
        dice = random.Random(seed)
        sealed = seal({dice.randbytes(16) for _ in range(entrants)})
        key = seed_of(7, 1, secret, sealed.list_hash, sealed.total)
        numbers = numbers_of(key, sealed.entrants)
        self.lines: list[Line] = [
            (entrant.hex(), number)
            for entrant, number in zip(sealed.entrants, numbers, strict=True)
        ]
        self.header: dict[str, Any] = json.loads(
            header_line(
                DrawHeader(
                    state="revealed",
                    room=7,
                    epoch=1,
                    commitment=commitment_of(secret).hex(),
                    committer="A notary",
                    independent=True,
                    entrants=sealed.total,
                    list_hash=sealed.list_hash.hex(),
                    secret=secret.hex(),
                    seed=key.hex(),
                    registrations=[],
                    log=[{"at": "2026-11-22T08:00:00.000Z", "event": "committed", "registered": 0}],
                )
            )
        )

    def sealed_only(self) -> None:
        """Take back what comes after sealing."""
        self.header |= {"state": "sealed", "secret": None, "seed": None}

    def text(self) -> bytes:
        head = json.dumps(self.header).encode() + b"\n"
        if self.header["secret"] is None:
            return head + "".join(f"{entrant}\n" for entrant, _ in self.lines).encode()
        return head + drawn_lines(
            (bytes.fromhex(entrant), number) for entrant, number in self.lines
        )

    def write(self, folder: Path, *, zipped: bool = False) -> Path:
        path = folder / "draw.gz"
        path.write_bytes(gzip.compress(self.text()) if zipped else self.text())
        return path
