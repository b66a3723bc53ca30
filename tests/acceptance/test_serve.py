"""`python -m sunseo serve` as an operator runs it: up, asked, refused, stopped."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from sunseo.cli.main import main
from sunseo.postgres.embedded.running import running_dsn
from sunseo.supervisor import WORKERS_KILL_TIMEOUT_S
from tests.acceptance.serving import (
    Answer,
    Serving,
    ended_at_last,
    free_port,
    running,
    serving,
    token,
    until,
)

BEFORE_WORKERS_ARE_KILLED_S = WORKERS_KILL_TIMEOUT_S - 5
SUSPENDED = {"disk_pause_below_mb": "1000000000", "disk_resume_above_mb": "1000000000"}


@dataclass(frozen=True)
class Prepared:
    """A folder in which a server has run before, so that tests need not make their own."""

    data: Path
    key: str
    sale: int
    hold: str
    """Of the person called early."""

    ended: tuple[int, list[str]]
    """The exit code after SIGTERM, and what was left behind."""

    def copy(self, data: Path) -> Path:
        shutil.copytree(self.data, data)
        return data


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    """Made by the command line, a server and SIGTERM, each of which has a test below."""
    with ended_at_last(serving(tmp_path_factory.mktemp("prepared") / "데이터 1")) as server:
        server.start()
        made = server.run("keys", "create", "the box office")
        assert (made.returncode, made.stderr) == (0, "")
        key = made.stdout.strip()
        sale = server.create_concert(key, hold_ttl_s=3600)
        hold = server.hold(sale, "early", 200).json["hold"]
        return Prepared(server.data, key, sale, hold, (server.stop(), server.left_behind()))


def press_ctrl_c(server: Serving) -> int:
    """Send SIGINT as a terminal does: to supervisor and workers at once, and twice."""
    assert server.process is not None
    server.watch()
    for pid in (*server.workers(), server.process.pid, *server.workers()):
        os.kill(pid, signal.SIGINT)
    return server.process.wait(BEFORE_WORKERS_ARE_KILLED_S)


@pytest.fixture(scope="module")
def server(prepared: Prepared, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """Two workers, for all tests that leave them as they are."""
    data = prepared.copy(tmp_path_factory.mktemp("serve") / "data")
    with running(data, workers=2) as started:
        yield started


@pytest.fixture(scope="module")
def operator(prepared: Prepared) -> str:
    """A key made by the command line."""
    return prepared.key


@pytest.fixture(scope="module")
def sale(server: Serving, operator: str) -> int:
    return server.create_concert(operator)


def lines_of(server: Serving) -> list[dict[str, object]]:
    """What has been logged; every line is JSON, or this fails."""
    return [json.loads(line) for line in server.output.read_text().splitlines()]


def test_ready_says_what_was_checked(server: Serving) -> None:
    """Readiness names each check; liveness needs none."""
    ready = server.ask("GET", "/readyz")

    assert (ready.status, ready.json["ready"]) == (200, True)
    assert set(ready.json["checks"].values()) == {"ok"}
    assert server.ask("GET", "/livez").json == {"alive": True}


def test_openapi_document_is_valid(server: Serving) -> None:
    """The document that the running server gives is valid OpenAPI 3.1."""
    from openapi_spec_validator import OpenAPIV31SpecValidator

    document = server.ask("GET", "/openapi.json").json

    assert document["openapi"].startswith("3.1")
    assert list(OpenAPIV31SpecValidator(document).iter_errors()) == []


def test_metrics_are_those_of_all_workers(server: Serving) -> None:
    """Whichever worker is asked, requests of both are counted, in one line a series."""
    counted = re.compile(
        r'^sunseo_http_requests_total\{[^}]*route="/livez"[^}]*\} (\S+)$', re.MULTILINE
    )

    def count() -> float:
        return sum(map(float, counted.findall(server.ask("GET", "/metrics").body.decode())))

    before = count()
    for _ in range(40):
        server.ask("GET", "/livez")

    assert count() == before + 40
    answered = {line["pid"] for line in lines_of(server) if line.get("route") == "/livez"}
    assert answered <= set(server.workers())
    assert 'sunseo_database_connections{use="lane"}' in server.ask("GET", "/metrics").body.decode()


def test_hold_is_logged_in_one_line(server: Serving, sale: int) -> None:
    """A request's line has its id, route, outcome and times, and nobody's name or token."""
    answer = server.ask(
        "POST",
        f"/v1/sales/{sale}/holds",
        {"seats": [1]},
        bearer=token("somebody in particular"),
        headers={"X-Request-Id": "a-request-to-look-for"},
    )
    assert answer.status == 201

    def logged() -> list[dict[str, object]]:
        return [x for x in lines_of(server) if x.get("request_id") == "a-request-to-look-for"]

    (line,) = until(logged, "it is logged")
    assert line.keys() == {
        "time", "level", "event", "request_id", "method", "route", "status", "outcome",
        "duration_ms", "lane_wait_ms", "db_ms", "person", "pid",
    }  # fmt: skip
    assert (line["route"], line["status"], line["outcome"]) == (
        "/v1/sales/{sale}/holds",
        201,
        "held",
    )
    assert "somebody" not in server.output.read_text()


def test_pause_refuses_new_holds_until_it_goes_on(
    server: Serving, operator: str, sale: int
) -> None:
    """A paused sale refuses holds and takes them again afterwards; releases work throughout."""
    held = server.hold(sale, "early", 11).json["hold"]
    assert server.ask("POST", f"/v1/sales/{sale}/pause", bearer=operator).status == 200

    refused = server.hold(sale, "late", 12)
    released = server.ask("POST", f"/v1/sales/{sale}/holds/{held}/release", bearer=token("early"))
    assert (refused.status, refused.json["outcome"]) == (403, "sale_paused")
    assert (released.status, released.json["state"]) == (200, "released")

    assert server.ask("POST", f"/v1/sales/{sale}/resume", bearer=operator).status == 200
    assert server.hold(sale, "late", 12).status == 201


def test_expiry_shows_without_any_request(server: Serving, operator: str) -> None:
    """A hold that nobody touches comes back by itself, seen by somebody who only looks."""
    brief = server.create_concert(operator, hold_ttl_s=1)
    assert server.hold(brief, "forgetful", 1, 2).status == 201

    def free() -> int:
        seats = server.ask("GET", f"/v1/sales/{brief}/availability").json["occasions"][0]
        return int(seats["free"])

    until(lambda: free() == 198, "the hold is seen")
    until(lambda: free() == 200, "its end is seen")


def test_verify_while_serving(server: Serving, sale: int) -> None:
    """`verify` finds the database of the server that runs, and nothing wrong in it."""
    verified = server.run("verify", "--json")

    assert verified.returncode == 0, verified.stderr
    report = json.loads(verified.stdout)
    assert report["clean"]
    assert report["sales"] >= 1


def test_second_serve_on_the_same_folder_is_refused(server: Serving) -> None:
    """One folder, one server: the second says who has it, and the first goes on."""
    second = server.run("serve", port=str(free_port()))

    assert_refused(second, "in use by process")
    assert server.ask("GET", "/readyz").status == 200


def test_taken_port_is_refused_before_anything_starts(tmp_path: Path) -> None:
    """A port that somebody else has: one line, at once, and no database was made for nothing."""
    with closing(socket.create_server(("127.0.0.1", 0))) as somebody:
        port = somebody.getsockname()[1]
        refused = serving(tmp_path / "data", port=port).run("serve")

    assert_refused(refused, f"port {port}", "in use")
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"workers": "many"}, ("SUNSEO_WORKERS",)),
        ({"jwt_secret": "short"}, ("SUNSEO_JWT_SECRET", "32")),
        ({"colour": "red"}, ("SUNSEO_COLOUR",)),
        ({"host": "nowhere.invalid"}, ("nowhere.invalid",)),
    ],
)
def test_bad_settings_are_refused(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    settings: dict[str, str],
    words: tuple[str, ...],
) -> None:
    """A setting that cannot be right: one line that names it, exit code 2, nothing is made."""
    for name, value in (serving(tmp_path / "data").settings | settings).items():
        monkeypatch.setenv(f"SUNSEO_{name.upper()}", value)
    monkeypatch.setattr("sys.argv", ["sunseo", "serve"])

    with pytest.raises(SystemExit) as ended:
        main()

    told = capsys.readouterr()
    assert (ended.value.code, told.out) == (2, "")
    (line,) = told.err.splitlines()
    for word in words:
        assert word in line
    assert not (tmp_path / "data").exists()


def assert_refused(ended: subprocess.CompletedProcess[str], *words: str) -> None:
    assert ended.returncode == 2
    assert ended.stdout == ""
    (line,) = ended.stderr.splitlines()
    for word in words:
        assert word in line


def test_nearly_full_disk_suspends_selling(prepared: Prepared, tmp_path: Path) -> None:
    """Below the mark no new hold is taken and everybody hears why; giving back still works."""
    sale = prepared.sale
    data = prepared.copy(tmp_path / "data")
    with ended_at_last(serving(data, workers=1, port=None, **SUSPENDED)) as server:
        server.spawn()
        until(lambda: server.ask("GET", "/readyz").status == 503, "it answers", server.give_up)

        refused = server.hold(sale, "late", 3)
        ready = server.ask("GET", "/readyz").json
        released = server.ask(
            "POST", f"/v1/sales/{sale}/holds/{prepared.hold}/release", bearer=token("early")
        )
    assert (refused.status, refused.json["outcome"]) == (503, "disk_nearly_full")
    assert int(refused.headers["retry-after"]) > 0
    assert ready["checks"]["disk"].startswith("disk_nearly_full: ")
    assert ready["checks"]["database"] == "ok"
    assert (released.status, released.json["state"]) == (200, "released")


def test_stop_answers_what_is_under_way(prepared: Prepared, tmp_path: Path) -> None:
    """Ctrl-C in mid-sale: all that was taken is answered, the code is 0, nothing stays.

    It was started on port 0, and both workers listen on the one port that was announced.
    """
    server = serving(prepared.copy(tmp_path / "data"), workers=2, port=0)
    with ended_at_last(server):
        server.spawn()
        server.port = announced_port(server)
        server.await_ready()
        begun = threading.Barrier(9)

        def buy(buyer: int) -> list[Answer]:
            begun.wait()
            answers = []
            for visit in range(10_000):
                seat = 1 + (buyer + visit) % 199
                answers.append(server.hold(prepared.sale, f"{buyer} {visit}", seat))
                if answers[-1].status == 0:
                    break
            return answers

        with ThreadPoolExecutor(8) as crowd:
            buyers = [crowd.submit(buy, buyer) for buyer in range(8)]
            begun.wait()
            until(lambda: len(lines_of(server)) > 50, "the sale is in full swing")
            code = press_ctrl_c(server)
            answers = [answer for buyer in buyers for answer in buyer.result()]

    assert (code, server.left_behind()) == (0, [])
    assert {answer.status for answer in answers} <= {0, 201, 409, 503}
    held = {answer.json["hold"] for answer in answers if answer.status == 201}
    logged = [line for line in lines_of(server) if line.get("outcome") == "held"]
    assert len(logged) == len(held)


def announced_port(server: Serving) -> int:
    told = until(
        lambda: re.search(r"Listening on http://127\.0\.0\.1:(\d+)", server.errors.read_text()),
        "the port is told",
        server.give_up,
    )
    return int(told[1])


def test_sigterm_stops_everything(prepared: Prepared) -> None:
    """As a service manager asks: the code is 0 and neither workers nor PostgreSQL stay."""
    assert prepared.ended == (0, [])


def test_stop_while_starting(prepared: Prepared, tmp_path: Path) -> None:
    """SIGTERM before it is ready: no traceback, code 0, nothing stays."""
    with ended_at_last(serving(prepared.copy(tmp_path / "data"))) as server:
        server.spawn()
        until(server.errors.read_text, "PostgreSQL is up", server.give_up)
        code = server.stop()

    assert (code, server.left_behind()) == (0, [])
    assert "Traceback" not in server.errors.read_text()


def test_verify_without_a_server(prepared: Prepared) -> None:
    """`verify` starts PostgreSQL by itself and stops it again."""
    verified = serving(prepared.data).run("verify")

    assert verified.returncode == 0, verified.stderr
    assert "Clean" in verified.stdout
    assert running_dsn(prepared.data) is None
