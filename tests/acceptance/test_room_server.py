"""A room on a real server of two workers: from the line to the pass, and changed while it runs."""

import base64
import hashlib
import http.client
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import psutil
import pytest

from tests.acceptance.serving import Answer, Serving, running, seen_by_all, token, until
from tests.command_line import Run


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with running(tmp_path_factory.mktemp("rooms") / "data", workers=2) as started:
        yield started


@pytest.fixture(scope="module")
def operator(server: Serving) -> str:
    return server.create_key()


def created(server: Serving, operator: str, sale: int | None = None, **settings: Any) -> int:
    """A room that both workers know."""
    body = {"name": "Room", "sale": sale, "settings": settings}
    answer = server.ask("POST", "/v1/rooms", body, bearer=operator)
    assert answer.status == 201, answer
    room: int = answer.json["room"]
    seen_by_all(server, room, lambda state: bool(state["epoch"]))
    return room


def change(server: Serving, operator: str, room: int, **settings: Any) -> None:
    answer = server.ask(
        "PATCH",
        f"/v1/rooms/{room}",
        {"settings": settings},
        bearer=operator,
        headers={"Idempotency-Key": str(uuid4())},
    )
    assert answer.status == 200, answer


def base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


class Guest:
    """A browser: a secret, a place, a pass."""

    def __init__(self, server: Serving, room: int) -> None:
        self.server = server
        self.path = f"/v1/rooms/{room}"
        self.secret = os.urandom(32)
        nonce = server.ask("POST", f"{self.path}/nonces")
        assert nonce.status == 201, nonce
        self.nonce = nonce.json["nonce"]
        self.place = ""
        self.ticket = ""

    def join(self) -> Answer:
        binding = base64url(hashlib.sha256(self.secret).digest()[:16])
        answer = self.server.ask("PUT", f"{self.path}/places/{self.nonce}", {"binding": binding})
        self.place = answer.json.get("place", "")
        return answer

    def enter(self) -> Answer:
        body = {"place": self.place, "secret": base64url(self.secret)}
        answer = self.server.ask("POST", f"{self.path}/enter", body)
        self.ticket = answer.json.get("pass", self.ticket)
        return answer

    def inside(self) -> Answer:
        """Enter as soon as it is one's turn."""
        return until(lambda: a if (a := self.enter()).status in (200, 201) else None, "it enters")

    def say(self, what: str) -> Answer:
        answer = self.server.ask("POST", f"{self.path}/{what}", {"pass": self.ticket})
        self.ticket = answer.json.get("pass", self.ticket)
        return answer


def test_a_visitor_from_the_line_to_the_exit(server: Serving, operator: str) -> None:
    """Joined, called by the leader, entered, renewed, left: and the slot goes to the next one."""
    room = created(server, operator, capacity=1)
    first, second = Guest(server, room), Guest(server, room)

    joined = [first.join(), first.join(), second.join()]
    entered = first.inside()
    again = first.enter()
    renewed = first.say("renew")
    left = first.say("leave")
    follower = second.inside()

    assert [answer.status for answer in joined] == [201, 200, 201]
    assert [answer.json["number"] for answer in joined] == [1, 1, 2]
    assert (entered.status, again.status, again.json["pass"]) == (201, 200, entered.json["pass"])
    assert renewed.status == 200
    assert renewed.json["pass"] != entered.json["pass"]
    assert (left.status, follower.status) == (200, 201)
    line = server.ask("GET", f"/v1/rooms/{room}", bearer=operator).json["line"]
    assert (line["live"], line["departed"], line["issued"]) == (1, 1, 2)


def test_settings_change_on_every_worker_while_it_runs(server: Serving, operator: str) -> None:
    """A message, a pause and a resumption are shown by both workers."""
    room = created(server, operator)

    change(server, operator, room, message={"ko": "잠시만요", "en": "One moment"})
    seen_by_all(
        server, room, lambda state: state["message"] == {"ko": "잠시만요", "en": "One moment"}
    )
    assert server.ask("POST", f"/v1/rooms/{room}/pause", bearer=operator).status == 200
    seen_by_all(server, room, lambda state: state["phase"] == "paused")
    assert server.ask("POST", f"/v1/rooms/{room}/resume", bearer=operator).status == 200
    seen_by_all(server, room, lambda state: state["phase"] == "open")
    change(server, operator, room, mode="closed")
    seen_by_all(server, room, lambda state: state["phase"] == "closed")
    assert Guest(server, room).join().json["outcome"] == "room_closed"


def test_a_reset_makes_old_places_void(server: Serving, operator: str) -> None:
    """The epoch that is named ends; its places are told so and can join again."""
    room = created(server, operator)
    guest = Guest(server, room)
    guest.join()
    path = f"/v1/rooms/{room}/reset"

    unnamed = server.ask("POST", path, {}, bearer=operator)
    reset = server.ask("POST", path, {"epoch": 1}, bearer=operator)
    seen_by_all(server, room, lambda state: state["epoch"] == 2)

    assert (unnamed.status, reset.status, reset.json["places"]) == (422, 200, 1)
    assert guest.enter().json["outcome"] == "other_epoch"


def test_a_room_of_a_sale_knows_what_is_left(server: Serving, operator: str) -> None:
    """Units left come from the sale's availability; its holders are persons."""
    sale = server.create_concert(operator, rows=1, seats_per_row=5, standing=7)
    room = created(server, operator, sale=sale)
    nonce = server.ask("POST", f"/v1/rooms/{room}/nonces").json["nonce"]
    path = f"/v1/rooms/{room}/places/{nonce}"

    stranger = Guest(server, room).join()
    person = server.ask("PUT", path, {}, bearer=token("kim"))

    assert (stranger.json["outcome"], person.status) == ("person_required", 201)
    until(
        lambda: server.ask("GET", f"/v1/rooms/{room}/state").json["units_left"] == 12,
        "the leader says what is left",
    )


def test_events_tell_of_every_change(server: Serving, operator: str) -> None:
    """A stream begins with the state and goes on with each change of it."""
    room = created(server, operator)
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    connection.request("GET", f"/v1/rooms/{room}/events")
    stream = connection.getresponse()
    first = next_state(stream)
    Guest(server, room).join()
    seen = next_state(stream)
    while seen["serving"] < 1:
        seen = next_state(stream)
    connection.close()

    assert stream.headers["content-type"] == "text/event-stream"
    assert (first["issued"], seen["issued"], seen["serving"]) == (0, 1, 1)


def next_state(stream: http.client.HTTPResponse) -> Any:
    while line := stream.readline():
        if line.startswith(b"data: "):
            return json.loads(line.removeprefix(b"data: "))
    raise AssertionError("the stream has ended")


def test_the_line_moves_on_when_the_leader_dies(server: Serving, operator: str) -> None:
    """All workers are killed, the leader too: another leads, passes and numbers stand."""
    room = created(server, operator, capacity=10)
    guest = Guest(server, room)
    guest.join()
    guest.inside()
    late = Guest(server, room)
    for worker in server.workers():
        psutil.Process(worker).send_signal(signal.SIGKILL)

    until(lambda: late.join().status in (200, 201), "it joins")
    assert late.inside().status in (200, 201)
    until(lambda: guest.enter().status == 200, "the first one is still inside")


def test_operators_work_from_a_terminal(server: Serving, operator: str, command_line: Run) -> None:
    """A room is made, changed and shown by commands; wrong use is one line and exit code 2."""
    at = ("--key", operator, "--url", server.url)
    made = command_line("room", "create", "콘서트", "capacity=5", "time_zone=Asia/Seoul", *at)
    room = str(json.loads(made.out)["room"])
    command_line("room", "set", room, "capacity=7", 'message={"ko":"곧"}', *at)
    command_line("room", "pause", room, *at)
    shown = json.loads(command_line("room", "show", room, *at).out)
    told = json.loads(command_line("room", "reset", room, "--epoch", "1", *at).out)
    refused = command_line("room", "set", room, "capacity=0", *at)

    settings = shown["settings"]
    assert (shown["name"], shown["phase"], settings["capacity"]) == ("콘서트", "paused", 7)
    assert (settings["time_zone"], settings["message"]) == ("Asia/Seoul", {"ko": "곧", "en": ""})
    assert (told["done"], told["epoch"]) == (False, 1)
    assert (shown["halted"], shown["draw"]) == ("paused", None)
    assert (refused.code, refused.out) == (2, "")
    assert refused.err == (
        "sunseo: `settings.capacity` must be a whole number >= 1. (invalid_field)\n"
    )


def test_the_api_document_has_the_room(server: Serving) -> None:
    """State and events are in the document, though they are served ahead of the router."""
    paths = server.ask("GET", "/openapi.json").json["paths"]

    assert "get" in paths["/v1/rooms/{room}/state"]
    assert "get" in paths["/v1/rooms/{room}/events"]
    assert {"post", "get"} <= set(paths["/v1/rooms"])


def test_it_stops_with_a_stream_open(tmp_path: Path) -> None:
    """A stream never ends by itself; a server that is told to stop ends it."""
    with running(tmp_path / "data") as server:
        room = created(server, server.create_key())
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
        connection.request("GET", f"/v1/rooms/{room}/events")
        stream = connection.getresponse()
        next_state(stream)

        assert server.stop() == 0
        assert stream.read().endswith(b"\n")  # and not cut off, which would raise
        connection.close()
        assert "killed" not in server.errors.read_text()
