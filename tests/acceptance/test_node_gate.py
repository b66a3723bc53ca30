"""The gate for Node: its own tests, and in front of a site beside a running room."""

import http.client
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.acceptance.serving import PATIENCE_S, Answer, Serving, running, until
from tests.acceptance.test_gate_room import SITE, Visitor, opened
from tests.tidy.sources import ROOT

GATE = ROOT / "clients" / "node-gate"
MODULES = GATE / "node_modules"

pytestmark = pytest.mark.skipif(shutil.which("node") is None, reason="there is no Node: make tools")
HOSTS = [
    "node:http",
    pytest.param(
        "Express",
        marks=pytest.mark.skipif(
            not (MODULES / "express").exists(),
            reason="Express is not installed: make tools",
        ),
    ),
]


def test_its_own_tests_pass() -> None:
    """`node --test`: the published vectors, path and header tricks, failure, renewal."""
    tests = sorted(str(path.relative_to(GATE)) for path in (GATE / "test").glob("*.test.js"))
    ran = subprocess.run(
        ["node", "--test", *tests],
        cwd=GATE,
        check=False,
        capture_output=True,
        text=True,
        timeout=2 * PATIENCE_S,
    )
    assert ran.returncode == 0, ran.stdout[-5000:]
    assert "\n# fail 0\n" in ran.stdout


@pytest.mark.skipif(
    not (MODULES / "typescript").exists(),
    reason="TypeScript is not installed: make tools",
)
def test_its_types_hold() -> None:
    """The hand-written types fit what Express and plain Node take, as ESM and as CommonJS."""
    ran = subprocess.run(
        ["npm", "run", "--silent", "types"],
        cwd=GATE,
        check=False,
        capture_output=True,
        text=True,
        timeout=2 * PATIENCE_S,
    )
    assert ran.returncode == 0, ran.stdout


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with running(tmp_path_factory.mktemp("node") / "data") as server:
        yield server


@contextmanager
def site(**options: Any) -> Iterator[int]:
    """A site behind the gate, in a process of its own; its port."""
    given = {**os.environ, "SITE": json.dumps(options)}
    with subprocess.Popen(
        ["node", str(GATE / "test" / "site.js")],
        env=given,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield int(process.stdout.readline())
        process.stdin.close()
        process.wait(PATIENCE_S)


def get(port: int, path: str, headers: dict[str, str] | None = None) -> Answer:
    """One request; redirects are answers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", path, headers={"Accept": "text/html", **(headers or {})})
        response = connection.getresponse()
        found = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, found, response.read())
    finally:
        connection.close()


def cookie_in(answer: Answer) -> dict[str, str]:
    return {"Cookie": answer.headers["set-cookie"].split(";")[0]}


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("signature", ["hmac", "ed25519"])
def test_visit_from_the_line_to_the_end(server: Serving, signature: str, host: str) -> None:
    """With the running server's keys, documents, passes and renewals, by either signature."""
    operator, room = opened(
        server, pass_ttl_s=6, renewal_grace_s=2, pass_signature=signature, capacity=5
    )
    keys = server.ask("GET", f"/v1/rooms/{room}/keys", bearer=operator).json
    until(lambda: server.ask("GET", f"/v1/rooms/{room}/state").status == 200, "the room is seen")
    express = host == "Express"
    with site(room=room, keys=keys, sunseoUrl=server.url, siteUrl=SITE, express=express) as port:
        refused = get(port, "/buy?seat=7")
        assert refused.status == 303
        line = urlsplit(refused.headers["location"])
        assert server.ask("GET", f"{line.path}?{line.query}").status == 200

        text = Visitor(server, room).enter()
        back = get(port, f"/buy?seat=7&sunseo_pass={text}")
        assert (back.status, back.headers["location"]) == (303, "/buy?seat=7")
        kept = cookie_in(back)
        inside = get(port, "/buy?seat=7", kept)
        assert inside.status == 200

        renewed = until(
            lambda: answer if "set-cookie" in (answer := get(port, "/buy", kept)).headers else None,
            "the pass is renewed",
        )
        kept = cookie_in(renewed)
        again = get(port, "/buy", kept)
        assert again.json["headers"]["sunseo-pass"] != text
        assert again.json["headers"]["sunseo-pass-id"] == inside.json["headers"]["sunseo-pass-id"]
        assert again.json["waitingRoom"]["pass"]["renewal"] == 1

        assert get(port, "/buy?command=complete", kept).status == 200
        assert "refused=revoked" in get(port, "/buy", kept).headers["location"]
        until(lambda: live(server, operator, room) == 0, "the slot is free")


def live(server: Serving, operator: str, room: int) -> int:
    found: int = server.ask("GET", f"/v1/rooms/{room}", bearer=operator).json["line"]["live"]
    return found


def test_reset_line_voids_passes_at_the_gate(server: Serving) -> None:
    """When the operator resets the line, the gate refuses the passes of before by itself."""
    operator, room = opened(server, capacity=5)
    keys = server.ask("GET", f"/v1/rooms/{room}/keys", bearer=operator).json
    until(lambda: server.ask("GET", f"/v1/rooms/{room}/state").status == 200, "the room is seen")
    with site(room=room, keys=keys, sunseoUrl=server.url) as port:
        kept = {"Sunseo-Pass": Visitor(server, room).enter()}
        assert get(port, "/buy", kept).status == 200
        reset = server.ask("POST", f"/v1/rooms/{room}/reset", {"epoch": 1}, bearer=operator)
        assert reset.status == 200, reset
        refused = until(
            lambda: answer if (answer := get(port, "/buy", kept)).status == 303 else None,
            "the gate knows of the reset",
        )
        assert "refused=epoch" in refused.headers["location"]
