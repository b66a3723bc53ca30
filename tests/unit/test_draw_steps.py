"""The steps of a draw from a terminal, in front of a server that notes them down."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from sunseo.room.draw.command import draw

STEP = {"room": 7, "epoch": 2, "state": "sealed", "entrants": 3, "list_hash": "ab" * 32}
REFUSAL = {"outcome": "not_sealed", "detail": "The list of entrants is not sealed yet."}


class Clerk:
    """Answers every step as it was told to, and remembers what it was asked."""

    def __init__(self) -> None:
        self.answer: tuple[int, dict[str, Any]] = (200, STEP)
        self.asked: list[tuple[str, Any, str]] = []
        clerk = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(length)) if length else None
                clerk.asked.append((self.path, body, self.headers["Authorization"]))
                status, answer = clerk.answer
                self.send_response(status)
                self.end_headers()
                self.wfile.write(json.dumps(answer).encode())

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def run(self, *arguments: str | int | Path, url: str | None = None) -> tuple[int, str, str]:
        given = [*map(str, arguments), "--key", "k", "--url", url or self.url]
        told = CliRunner().invoke(draw, given)
        return told.exit_code, told.stdout, told.stderr


@pytest.fixture
def clerk() -> Iterator[Clerk]:
    opened = Clerk()
    thread = threading.Thread(target=opened.server.serve_forever)
    thread.start()
    yield opened
    opened.server.shutdown()
    thread.join()
    opened.server.server_close()


def test_steps_are_sent_as_the_api_has_them(clerk: Clerk, tmp_path: Path) -> None:
    """Each verb is one request; without options a commitment or a secret is the server's own."""
    secret = tmp_path / "secret.txt"
    secret.write_text("00ff" * 16 + "\n")
    notary = ("--commitment", "ab" * 32, "--committer", "A notary", "--independent")
    steps: list[tuple[Any, ...]] = [
        ("commit", 7),
        ("commit", 7, *notary),
        ("seal", 7),
        ("reveal", 7),
        ("reveal", 7, secret),
        ("withhold", 7, "asleep"),
    ]
    codes = [clerk.run(*step)[0] for step in steps]

    promised = {"commitment": "ab" * 32, "committer": "A notary", "independent": True}
    assert codes == [0] * 6
    assert [(path.rpartition("/")[2], body) for path, body, _ in clerk.asked] == [
        ("commit", {}),
        ("commit", promised),
        ("seal", None),
        ("reveal", {}),
        ("reveal", {"secret": "00ff" * 16}),
        ("withhold", {"reason": "asleep"}),
    ]
    assert {path.rpartition("/")[0] for path, _, _ in clerk.asked} == {"/v1/rooms/7/draw"}
    assert {key for _, _, key in clerk.asked} == {"Bearer k"}


def test_a_step_is_told_to_people_and_to_programs(clerk: Clerk) -> None:
    """Text for people; with --json what the server said, and nothing else."""
    code, said, _ = clerk.run("seal", 7)
    assert (code, said.splitlines()) == (
        0,
        ["The draw of room 7, epoch 2, is sealed.", "Entrants: 3", f"List hash: {'ab' * 32}"],
    )
    assert json.loads(clerk.run("seal", 7, "--json")[1]) == STEP


def test_exit_codes_tell_what_went_wrong(clerk: Clerk, tmp_path: Path) -> None:
    """1 where the step is refused, 2 for wrong use, 3 where no server answers; one line each."""
    crooked = tmp_path / "crooked.txt"
    crooked.write_text("not hexadecimal")
    clerk.answer = 409, REFUSAL
    refused = clerk.run("reveal", 7)
    clerk.answer = 404, {"outcome": "unknown_room", "detail": "There is no such room."}
    unknown = clerk.run("seal", 7)
    asked = len(clerk.asked)
    misused = [
        clerk.run("reveal", 7, tmp_path / "missing.txt"),
        clerk.run("reveal", 7, crooked),
        clerk.run("seal", 7, url="ftp://nowhere"),
    ]
    clerk.server.socket.close()
    away = clerk.run("seal", 7)

    assert refused == (1, "", "sunseo: The list of entrants is not sealed yet. (not_sealed)\n")
    assert unknown[0] == 2
    assert [code for code, _, _ in misused] == [2, 2, 2]
    assert all(said.count("\n") == 1 for _, _, said in (*misused, away))
    assert "a secret is written in hexadecimal digits" in misused[1][2]
    assert away[0] == 3
    assert len(clerk.asked) == asked
