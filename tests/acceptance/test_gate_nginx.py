"""The gate behind a real nginx, with the configuration that the guide shows."""

import re
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from tests.acceptance.gate_wire import PASS, cookie, free_port, get, process, say
from tests.acceptance.nginx_examples import nginx_binary, shown, write_configuration
from tests.gate_room import PATIENCE_S, ROOM, Room, serving

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "gate.md"
SECRET = "the operators' own way in, 32 characters"


class App(BaseHTTPRequestHandler):
    """The guarded site: says what it was asked."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers["content-length"] or 0))
        plain = {"method": self.command, "path": self.path, "headers": dict(self.headers.items())}
        body = msgspec.json.encode(plain)
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        if "command=" in self.path:
            self.send_header("waiting-room-command", self.path.partition("command=")[2])
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        pass


for method in ("POST", "PUT", "PATCH", "OPTIONS", "HEAD", "DELETE", "PROPFIND"):
    setattr(App, f"do_{method}", App.do_GET)


@contextmanager
def app_served() -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), App)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def nginx_configuration(folder: Path, ports: dict[str, int]) -> Path:
    """The guide's configuration, with the tests' ports and folders, and without TLS.

    With it, as it stands in the guide, `test_nginx_examples` runs it.
    """
    plain = re.sub(
        r"^ *(?:ssl_\w+|add_header Strict-Transport-Security) .*;\n",
        "",
        shown(GUIDE),
        flags=re.MULTILINE,
    )
    for name in ("shop", "rooms"):
        secure = f"listen 443 ssl;\n    server_name {name}.example;"
        assert secure in plain
        plain = plain.replace(
            secure, f"listen 127.0.0.1:{ports[name]};\n    server_name {name}.example;"
        )
    here = {
        "127.0.0.1:3000": f"127.0.0.1:{ports['app']}",
        "127.0.0.1:8100": f"127.0.0.1:{ports['gate']}",
        "127.0.0.1:8000": f"127.0.0.1:{ports['sunseo']}",
        "listen 80;": f"listen 127.0.0.1:{free_port()};",
        "listen 127.0.0.1:8080;": f"listen 127.0.0.1:{free_port()};",
        "/var/cache/nginx/rooms": str(folder / "cache"),
    }
    return write_configuration(folder, plain, here)


def gate_program(folder: Path, room: Room, port: int) -> list[str]:
    (folder / "gate-keys.json").write_bytes(msgspec.json.encode(room.keys))
    (folder / "gate.toml").write_text(
        f"""
room = {ROOM}
keys_file = "gate-keys.json"
sunseo_url = "{room.url}"
public_url = "https://rooms.example"
site_url = "https://shop.example"

[bypass]
paths = ["/static"]
operator_secret = "{SECRET}"
user_agents = ["Googlebot"]
""",
        "utf-8",
    )
    start = (
        "import sys; from pathlib import Path;"
        "from sunseo.auth_request import read_options, run_gate;"
        "run_gate(read_options(Path(sys.argv[1])), port=int(sys.argv[2]))"
    )
    return [sys.executable, "-c", start, str(folder / "gate.toml"), str(port)]


class Site(NamedTuple):
    """nginx, the verifier, the app and the room, all running."""

    room: Room
    shop: int
    rooms: int
    gate: int


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("nginx")
    with ExitStack() as stack:
        room = stack.enter_context(serving())
        ports = {name: free_port() for name in ("gate", "shop", "rooms")}
        ports["app"] = stack.enter_context(app_served())
        ports["sunseo"] = int(room.url.rpartition(":")[2])
        stack.enter_context(process(*gate_program(folder, room, ports["gate"]), port=ports["gate"]))
        configured = nginx_configuration(folder, ports)
        command = (nginx_binary(), "-p", str(folder), "-c", str(configured))
        stack.enter_context(process(*command, port=ports["shop"]))
        yield Site(room, ports["shop"], ports["rooms"], ports["gate"])


def test_pass_opens_the_site_behind_nginx(site: Site) -> None:
    """The app learns the id; its command for the gate does not leave the house."""
    ticket = site.room.ticket()
    text = site.room.sealed(ticket)
    for answer in (get(site.shop, Cookie=cookie(text)), get(site.shop, Sunseo_Pass=text)):
        assert answer.status == 200
        assert answer.seen["headers"]["Sunseo-Pass-Id"] == str(ticket.pass_id)
        assert answer.seen["headers"]["Sunseo-Pass"] == text
        assert answer.header("waiting-room-command") is None


def test_nobody_gets_in_without_a_pass(site: Site) -> None:
    """Browsers are sent to the line, programs get the document, neither reaches the app."""
    browser = get(site.shop, "/buy?seat=7", Accept="text/html")
    assert browser.status == 303
    assert browser.header("location") == (
        "https://rooms.example/r/42?return=https%3A%2F%2Fshop.example%2Fbuy%3Fseat%3D7"
    )
    program = get(site.shop, Accept="application/json")
    assert program.status == 403
    assert program.header("content-type") == "application/problem+json"
    assert msgspec.json.decode(program.body)["outcome"] == "pass_required"


@pytest.mark.parametrize("method", ["POST", "PUT", "OPTIONS", "HEAD", "DELETE", "PROPFIND"])
def test_no_method_opens_the_site(site: Site, method: str) -> None:
    """Nor one that is meant to be taken for another."""
    lines = f"{method} /buy HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 0"
    assert say(site.shop, lines).status == 303
    assert say(site.shop, lines + "\r\nX-HTTP-Method-Override: GET").status == 303
    assert say(site.shop, lines + "\r\nUser-Agent: Googlebot").status == (
        303 if method != "HEAD" else 200
    )


def test_body_of_a_guarded_post_arrives(site: Site) -> None:
    """Asking the gate first does not lose what the visitor sent."""
    with socket.create_connection(("127.0.0.1", site.shop), PATIENCE_S) as sent:
        sent.sendall(
            b"POST /buy HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 5\r\n"
            b"Connection: close\r\nCookie: "
            + cookie(site.room.sealed()).encode()
            + b"\r\n\r\nseat7"
        )
        answer = b"".join(iter(lambda: sent.recv(65_536), b""))
    assert answer.startswith(b"HTTP/1.1 200")
    assert b'"Content-Length":"5"' in answer


@pytest.mark.parametrize(
    "target",
    [
        "/static/../buy",
        "/static/..%2fbuy",
        "/static/%2e%2e/buy",
        "/static%2f..%2fbuy",
        "/static/%252e%252e/buy",
        "/static//../buy",
        "//static/a.css",
        "/static;/../buy",
        "/static\\..\\buy",
        "/static/..%5cbuy",
        "/STATIC/a.css",
        "http://shop.example/buy",
        "http://shop.example/static/../buy",
        "/buy?x=/static",
        "/buy#/static",
        "/staticx",
    ],
)
def test_path_tricks_open_nothing(site: Site, target: str) -> None:
    """The open prefix /static opens what is in it, however the address is written."""
    assert get(site.shop, target).status in (303, 400)


def test_open_prefix_is_open(site: Site) -> None:
    """And the app is told of no pass there."""
    answer = get(site.shop, "/static/a.css")
    assert answer.status == 200
    assert "Sunseo-Pass-Id" not in answer.seen["headers"]


def test_headers_of_nginx_cannot_be_smuggled(site: Site) -> None:
    """A client's copies of what nginx tells the verifier are overwritten."""
    smuggled = (
        "GET /buy HTTP/1.1\r\nHost: shop.example\r\n"
        "X-Original-URI: /static/a.css\r\nX-Original-Method: GET\r\n"
        "X-Original-Host: evil.example\r\n"
        "X-Original-Address: 127.0.0.1\r\nX-Original-Scheme: https\r\nX-Sunseo-Ask: answer\r\n"
        "X_Original_URI: /static/a.css\r\nX-Original-URL: /static/a.css\r\n"
        "X-Rewrite-URL: /static/a.css\r\nX-Forwarded-For: 127.0.0.1"
    )
    answer = say(site.shop, smuggled)
    assert answer.status == 303
    assert "evil" not in str(answer.headers)
    doubled = "GET /buy HTTP/1.1\r\nHost: shop.example\r\n" + "X-Original-URI: /static/a\r\n" * 3
    assert say(site.shop, doubled.rstrip()).status == 303


def test_headers_of_ours_cannot_be_made_up(site: Site) -> None:
    """With a pass they are replaced, on open paths they are gone."""
    ticket = site.room.ticket()
    spoofed = "Sunseo-Pass-Id: made-up\r\nSunseo_Pass_Id: made-up\r\nSUNSEO-PASS-ID: made-up"
    lines = f"GET /buy HTTP/1.1\r\nHost: shop.example\r\n{spoofed}\r\nCookie: "
    seen = say(site.shop, lines + cookie(site.room.sealed(ticket))).seen["headers"]
    assert seen["Sunseo-Pass-Id"] == str(ticket.pass_id)
    assert "made-up" not in seen.values()
    open_path = say(site.shop, f"GET /static/a HTTP/1.1\r\nHost: shop.example\r\n{spoofed}")
    assert "made-up" not in open_path.seen["headers"].values()


def test_rewriting_headers_do_not_reach_the_app(site: Site) -> None:
    """An app that honours X-Original-URL is not sent to another path than the gate judged."""
    lines = "GET /static/a HTTP/1.1\r\nHost: shop.example\r\nX-Original-URL: /buy"
    assert say(site.shop, lines).status == 303
    with_pass = f"{lines}\r\nCookie: {cookie(site.room.sealed())}"
    assert "X-Original-URL" not in say(site.shop, with_pass).seen["headers"]


def test_made_up_host_changes_no_way_back(site: Site) -> None:
    """`site_url` decides; and nginx refuses a Host that is none."""
    evil = say(site.shop, "GET /buy HTTP/1.1\r\nHost: evil.example\r\nAccept: text/html")
    assert "evil" not in str(evil.headers)
    assert say(site.shop, "GET /buy HTTP/1.1\r\nHost: a/../b").status == 400


def test_operators_pass_without_telling_the_app_how(site: Site) -> None:
    """Their secret opens the gate and stays at the gate."""
    answer = get(site.shop, Sunseo_Operator=SECRET)
    assert answer.status == 200
    assert SECRET not in answer.seen["headers"].values()
    assert get(site.shop, Sunseo_Operator=SECRET + "x").status == 303


def test_back_from_the_line_through_nginx(site: Site) -> None:
    """The pass in the address becomes a cookie, also behind auth_request."""
    text = site.room.sealed()
    back = get(site.shop, f"/buy?seat=7&sunseo_pass={text}")
    assert back.status == 303
    assert back.header("location") == "/buy?seat=7"
    assert f"{PASS}={text}" in (back.header("set-cookie") or "")


def test_renewed_pass_comes_through_nginx(site: Site) -> None:
    """As a cookie on the app's own answer."""
    now_ms = site.room.now_ms
    old = site.room.ticket(expires_at_ms=now_ms + 20_000, issued_at_ms=now_ms - 40_000)
    kept = ""
    for _ in range(3):  # the room's answer may take longer than the gate waits
        kept = get(site.shop, Cookie=cookie(site.room.sealed(old))).header("set-cookie") or ""
        if kept.startswith(PASS):
            break
        assert site.room.was_told.wait(PATIENCE_S)
    text = kept.split(";")[0].partition("=")[2]
    assert site.room.ring.open_pass(text, ROOM).renewal == 1


@pytest.mark.parametrize("command", ["complete", "revoke"])
def test_the_app_ends_a_pass_through_nginx(site: Site, command: str) -> None:
    """By a header that nginx keeps to itself; the gate and the room know at once."""
    text = site.room.sealed()
    site.room.told.clear()
    site.room.was_told.clear()
    answer = get(site.shop, f"/buy?command={command}", Cookie=cookie(text))
    assert answer.status == 200
    assert answer.header("waiting-room-command") is None

    assert site.room.was_told.wait(PATIENCE_S)
    told = {
        "complete": ("complete", {"pass": text}),
        "revoke": ("leave", {"pass": text, "revoke": True}),
    }
    assert site.room.told == [told[command]]
    assert get(site.shop, Cookie=cookie(text)).status == 303


def test_a_client_ends_nobodys_pass(site: Site) -> None:
    """What nginx tells the verifier of commands cannot be sent by a visitor."""
    text = site.room.sealed()
    headers = {"X_Sunseo_Ask": "command", "X_Sunseo_Command": "complete", "Cookie": cookie(text)}
    assert get(site.shop, **headers).status == 200
    assert get(site.shop, Waiting_Room_Command="complete", Cookie=cookie(text)).status == 200
    assert get(site.shop, Cookie=cookie(text)).status == 200


def test_the_verifier_answers_only_nginx(site: Site) -> None:
    """Asked without nginx's headers, or with two of one, it denies."""
    lines = "GET /buy HTTP/1.1\r\nHost: x\r\nX-Sunseo-Ask: check\r\nX-Original-Method: GET"
    with_uri = f"{lines}\r\nX-Original-Host: shop.example\r\nX-Original-URI: /static/a"
    assert say(site.gate, with_uri).status == 204
    assert say(site.gate, lines).status == 401
    assert say(site.gate, with_uri + "\r\nX-Original-URI: /static/b").status == 401


def test_polls_behind_nginx_cost_the_room_nothing(site: Site) -> None:
    """Four hundred polls with cache-busting queries and cookies are a few requests to the room."""
    before = site.room.polls
    for number in range(400):
        answer = get(site.rooms, f"/v1/rooms/{ROOM}/state?bust={number}", Cookie=f"a={number}")
        assert answer.status == 200
        assert answer.body.startswith(b'{"room":42')
    assert site.room.polls - before < 40


def test_gate_options_are_read_from_a_file(tmp_path: Path) -> None:
    """What is wrong with it is said in one line."""
    from sunseo.auth_request import read_options

    with pytest.raises(ValueError, match="cannot read"):
        read_options(tmp_path / "gate.toml")
    (tmp_path / "gate.toml").write_text("room = 'x'", "utf-8")
    with pytest.raises(ValueError, match="room"):
        read_options(tmp_path / "gate.toml")
