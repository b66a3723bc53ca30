"""Asks servers over the wire, exactly as written, and runs programs that listen."""

import re
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import msgspec

from tests.gate_room import PATIENCE_S, ROOM

PASS = f"sunseo_pass_{ROOM}"


class Got(NamedTuple):
    """An answer as it came over the wire."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key == name), None)

    @property
    def seen(self) -> Any:
        """What the app was asked, by the app's own account."""
        return msgspec.json.decode(self.body)


def say(port: int, lines: str) -> Got:
    """Send these lines as they are: a client library would tidy them up."""
    with socket.create_connection(("127.0.0.1", port), PATIENCE_S) as sent:
        head = lines if "\r\nConnection:" in lines else lines + "\r\nConnection: close"
        sent.sendall(head.encode("latin-1") + b"\r\n\r\n")
        return got(sent)


def got(wire: socket.socket) -> Got:
    """All that comes until the other end hangs up, which is one answer."""
    answer = b""
    while chunk := wire.recv(65_536):
        answer += chunk
    start, _, body = answer.partition(b"\r\n\r\n")
    first, *rest = start.decode("latin-1").split("\r\n")
    headers = [
        (name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in rest)
    ]
    if ("transfer-encoding", "chunked") in headers:
        body = b"".join(re.findall(rb"[0-9a-f]+\r\n(.*?)\r\n", body, re.DOTALL))
    return Got(int(first.split(" ", 2)[1]), headers, body)


def get(port: int, target: str = "/buy", **headers: str) -> Got:
    lines = [f"GET {target} HTTP/1.1", "Host: shop.example"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return say(port, "\r\n".join(lines))


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


@contextmanager
def process(*command: str, port: int) -> Iterator[None]:
    """A program that listens on a port when it is ready."""
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        _await_port(running, port)
        yield
    finally:
        running.send_signal(signal.SIGTERM)
        output, _ = running.communicate(timeout=PATIENCE_S)
        print(output)  # noqa: T201 - shown when a test fails


def _await_port(running: "subprocess.Popen[str]", port: int) -> None:
    pause = threading.Event()
    for _ in range(int(PATIENCE_S / 0.05)):
        assert running.poll() is None, running.communicate()[0]
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            pause.wait(0.05)
        else:
            return
    raise TimeoutError(port)


def cookie(text: str) -> str:
    return f"{PASS}={text}"
