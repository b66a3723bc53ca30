"""The guides' configurations of nginx, with TLS: what the world reaches, and what operators do."""

import re
import socket
import ssl
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import msgspec
import pytest

from sunseo.postgres.migrate import head_revision
from sunseo.settings import Settings
from sunseo.telemetry.lines import LineWriter
from sunseo.telemetry.logs import Logs
from sunseo.telemetry.metrics import Metrics
from sunseo.web.endpoint import Auth, Endpoint
from sunseo.wiring import Worker, WorkerPlan
from tests.acceptance.gate_wire import Got, free_port, got, process
from tests.acceptance.nginx_examples import certify, nginx_binary, shown, write_configuration
from tests.acceptance.serving import Serving, running
from tests.acceptance.test_gate_nginx import app_served
from tests.gate_room import PATIENCE_S

GUIDES = Path(__file__).parents[2] / "docs" / "guides"
SECRET = "a secret of the tests, of 32 characters"
TICKETS, SHOP, ROOMS = "tickets.example", "shop.example", "rooms.example"
HERE = "127.0.0.1"

INNER = {"/metrics", "/livez", "/readyz"}  # need no key, and are nothing for the world
OF_ROOMS = ("/v1/rooms/", "/r/", "/assets/", "/sunseo.js", "/problems/", "/v1/guests")


class Front(NamedTuple):
    """nginx as a guide has it: its ports, and whose certificate to trust."""

    plain: int
    secure: int
    inner: int
    chain: Path

    def ask(self, host: str, method: str, path: str, body: bytes = b"", **headers: str) -> Got:
        """By TLS, from the world."""
        context = ssl.create_default_context(cafile=str(self.chain))
        with (
            socket.create_connection((HERE, self.secure), PATIENCE_S) as raw,
            context.wrap_socket(raw, server_hostname=host) as wire,
        ):
            return _said(wire, f"{method} {path}", body, {"Host": host} | headers)

    def ask_inside(self, method: str, path: str, body: bytes = b"", **headers: str) -> Got:
        with socket.create_connection((HERE, self.inner), PATIENCE_S) as wire:
            return _said(wire, f"{method} {path}", body, {"Host": "localhost"} | headers)

    def ask_plainly(self, host: str, path: str) -> Got:
        with socket.create_connection((HERE, self.plain), PATIENCE_S) as wire:
            return _said(wire, f"GET {path}", b"", {"Host": host})


def _said(wire: socket.socket, asked: str, body: bytes, headers: dict[str, str]) -> Got:
    lines = [f"{asked} HTTP/1.1", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    if body or asked.startswith(("POST", "PUT", "PATCH")):
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    wire.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
    return got(wire)


def front(stack: ExitStack, folder: Path, guide: str, upstream: int, *hosts: str) -> Front:
    """Run nginx with a guide's configuration before a server of ours."""
    text, chain = shown(GUIDES / guide), certify(folder, *hosts)
    made = Front(free_port(), free_port(), free_port(), chain)
    here = {
        "127.0.0.1:8000": f"{HERE}:{upstream}",
        "listen 80;": f"listen {HERE}:{made.plain};",
        "listen 443 ssl;": f"listen {HERE}:{made.secure} ssl;",
        "listen 127.0.0.1:8080;": f"listen {HERE}:{made.inner};",
        "/var/cache/nginx/rooms": str(folder / "cache"),
    }
    here |= {f"/etc/letsencrypt/live/{host}": str(folder) for host in hosts}
    if "127.0.0.1:8100" in text:  # the verifier and the site behind it: nobody is there
        here |= {"127.0.0.1:8100": f"{HERE}:{free_port()}"}
    file = write_configuration(folder, text, here)
    stack.enter_context(
        process(nginx_binary(), "-p", str(folder), "-c", str(file), port=made.secure)
    )
    return made


@pytest.fixture(scope="module")
def echoed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Front]]:
    """Each guide's nginx, before a server that says what it was asked."""
    with ExitStack() as stack:
        upstream = stack.enter_context(app_served())
        yield {
            guide: front(stack, tmp_path_factory.mktemp("nginx"), guide, upstream, *hosts)
            for guide, hosts in {"nginx.md": (TICKETS,), "gate.md": (ROOMS, SHOP)}.items()
        }


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> list[Endpoint]:
    """Every endpoint that a worker has."""
    folder = tmp_path_factory.mktemp("worker")
    plan = WorkerPlan(
        Settings(), "postgresql://nobody@127.0.0.1/", SECRET, folder, None, head_revision()
    )
    worker = Worker(plan, Metrics(), Logs("error", LineWriter(-1)))
    return worker.endpoints()


def example_of(endpoint: Endpoint) -> str:
    """A path that the endpoint would answer."""
    kinds = {"int": "7", "uuid": "0f8fad5b-d9cb-469f-a165-70867728950e", "str": "eyJ.a_b-c"}
    return re.sub(r"\{\w+:(\w+)\}", lambda found: kinds[found[1]], endpoint.path)


@pytest.mark.parametrize(("guide", "host"), [("nginx.md", TICKETS), ("gate.md", ROOMS)])
def test_the_world_reaches_what_is_for_visitors_and_nothing_else(
    echoed: dict[str, Front], table: list[Endpoint], guide: str, host: str
) -> None:
    """Of all endpoints, operators' and those about the server itself are for the inner listener."""
    nginx = echoed[guide]
    for endpoint in table:
        path, method = example_of(endpoint), endpoint.method
        is_open = endpoint.auth is not Auth.OPERATOR and endpoint.path not in INNER
        if guide == "gate.md":
            is_open = is_open and endpoint.path.startswith(OF_ROOMS)
        methods = [method, *(["HEAD"] if method == "GET" else [])]
        methods += ["OPTIONS"] if endpoint.cross_origin else []
        for one in methods:
            answer = nginx.ask(host, one, path)
            assert answer.status == (200 if is_open else 403), f"{guide}: {one} {path}"
            assert nginx.ask_inside(one, path).status == 200
        if is_open:
            seen = nginx.ask(host, method, path, X_Forwarded_For="203.0.113.9").seen
            assert (seen["method"], seen["path"]) == (method, path)
            assert seen["headers"]["Host"] == host
            if not path.endswith("/state"):  # which is the same for everybody
                assert seen["headers"]["X-Forwarded-For"] == HERE
                assert seen["headers"]["X-Forwarded-Proto"] == "https"
    assert nginx.ask(host, "GET", "/v2/whatever-comes").status == 403
    assert nginx.ask(host, "DELETE", "/v1/rooms/7/state").status == 403


@pytest.mark.parametrize(
    ("guide", "host"), [("nginx.md", TICKETS), ("gate.md", ROOMS), ("gate.md", SHOP)]
)
def test_plain_http_is_sent_to_https(echoed: dict[str, Front], guide: str, host: str) -> None:
    """To the same address of the same site, whatever Host was sent along."""
    answer = echoed[guide].ask_plainly(host, "/r/7?return=a%2Fb")
    assert answer.status == 308
    assert answer.header("location") == f"https://{host}/r/7?return=a%2Fb"


@pytest.fixture(scope="module")
def sunseo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with running(tmp_path_factory.mktemp("service") / "data", trusted_proxies=HERE) as server:
        yield server


@pytest.fixture(scope="module")
def bearer(sunseo: Serving) -> str:
    return f"Bearer {sunseo.create_key()}"


@pytest.fixture(scope="module")
def service(
    sunseo: Serving, bearer: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Front]:
    """A whole service behind nginx, as the guide has it."""
    with ExitStack() as stack:
        folder = tmp_path_factory.mktemp("nginx")
        nginx = front(stack, folder, "nginx.md", sunseo.port, TICKETS)
        as_operator(nginx, bearer, "/v1/rooms", {"name": "The first"})
        yield nginx


def as_operator(service: Front, bearer: str, path: str, body: Any, room: int = 0) -> Any:
    """Set something up through the inner listener, with a body of at least so many bytes."""
    encoded = msgspec.json.encode(body)
    answer = service.ask_inside(
        "POST",
        path,
        encoded + b" " * (room - len(encoded)),
        Authorization=bearer,
        Idempotency_Key=str(uuid4()),
    )
    assert answer.status == 201, answer
    return msgspec.json.decode(answer.body)


def test_a_service_sells_behind_nginx(service: Front, bearer: str) -> None:
    """Operators set it up inside, also with a large import; visitors book by TLS."""
    sale = {
        "name": "Hall",
        "currency": "KRW",
        "time_zone": "Asia/Seoul",
        "opens_at": "2026-01-01T00:00:00Z",
        "price_classes": [{"name": "Free", "price": 0}],
        "occasions": [{"name": "One", "starts_at": "2090-01-01T00:00:00Z"}],
    }
    number = as_operator(service, bearer, "/v1/sales", sale)["sale"]
    block = {"occasion": 1, "price_class": 1, "section": "A", "rows": 9, "seats_per_row": 9}
    path = f"/v1/sales/{number}"
    as_operator(service, bearer, f"{path}/seats", {"blocks": [block]}, room=8_000_000)

    guest = msgspec.json.decode(service.ask(TICKETS, "POST", "/v1/guests").body)["token"]
    seats = service.ask(TICKETS, "GET", f"{path}/seats", Accept_Encoding="gzip")
    held = service.ask(
        TICKETS,
        "POST",
        f"{path}/holds",
        b'{"seats":[7]}',
        Authorization=f"Bearer {guest}",
        Idempotency_Key="hold",
    )
    assert (seats.status, seats.header("content-encoding")) == (200, "gzip")
    assert (seats.header("etag") or "").startswith('"')  # a strong one, which nginx left alone
    assert held.status == 201, held
    assert held.header("strict-transport-security") == "max-age=31536000"

    room = as_operator(service, bearer, "/v1/rooms", {"name": "Line", "sale": number})["room"]
    page = service.ask(TICKETS, "GET", f"/r/{room}", Accept="text/html")
    assert page.status == 200
    cookies = [value for name, value in page.headers if name == "set-cookie"]
    assert cookies
    assert all("; Secure" in cookie for cookie in cookies)  # nginx is believed that it is https


@pytest.mark.parametrize(
    "target",
    [
        "/v1/rooms",
        "/v1/rooms/1/keys",
        "/v1/rooms/1/state/../keys",
        "/v1/rooms/1/keys/../state",
        "/v1/rooms/1/keys%2f..%2fstate",
        "/v1/rooms/1/state%2f..%2fkeys",
        "/v1/rooms/1/%6beys",
        "//v1/rooms/1/keys",
        "/v1//rooms/1/keys",
        "/v1/rooms/1/keys/",
        "/v1/rooms/1/keys?/state",
        "/v1/rooms/1/keys%3f/../state",
        "/v1/rooms/1/keys;/../state",
        "http://tickets.example/v1/rooms/1/keys",
        "/metrics",
        "/./metrics",
        "/%6detrics",
        "/metrics/../openapi.json",
        "/r/../metrics",
        "/readyz",
    ],
)
def test_no_spelling_reaches_what_is_for_operators(
    service: Front, bearer: str, target: str
) -> None:
    """Not even with a good key, and whatever a server could take the address for."""
    inside = service.ask_inside("GET", "/v1/rooms/1/keys", Authorization=bearer)
    assert b'"key' in inside.body
    answer = service.ask(TICKETS, "GET", target, Authorization=bearer)
    if target.endswith("state"):  # nginx may take it for that, which is open to all
        assert answer.status in (400, 403, 404) or b'"phase":' in answer.body
    else:
        assert answer.status in (400, 403, 404)
    assert b"sunseo_" not in answer.body
    assert b'"key' not in answer.body


def test_what_the_world_is_refused_is_answered_inside(service: Front, bearer: str) -> None:
    """Figures, readiness, and an operator's list of rooms."""
    assert b"sunseo_http_requests_total" in service.ask_inside("GET", "/metrics").body
    assert service.ask_inside("GET", "/readyz").status == 200
    rooms = service.ask_inside("GET", "/v1/rooms", Authorization=bearer)
    assert rooms.status == 200
