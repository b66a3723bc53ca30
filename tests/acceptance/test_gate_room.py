"""The gate before a running room: a visitor joins, waits, enters, is renewed, and completes."""

import secrets
from collections.abc import Iterator
from hashlib import sha256
from typing import Any
from urllib.parse import urlsplit

import pytest

from sunseo.core.signing import encode_base64url
from sunseo.gate.sender import SignalOptions
from tests.acceptance.gate_sites import Asgi, Elsewhere, fastapi_app
from tests.acceptance.serving import PATIENCE_S, Serving, running, until
from tests.gate_room import watched

SITE = "https://shop.example"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with running(tmp_path_factory.mktemp("gate") / "data") as server:
        yield server


class Visitor:
    """A browser that has joined a room, with the secret that it made up."""

    def __init__(self, server: Serving, room: int) -> None:
        self.server = server
        self.base = f"/v1/rooms/{room}"
        self.secret = secrets.token_bytes(32)
        nonce = server.ask("POST", f"{self.base}/nonces").json["nonce"]
        binding = encode_base64url(sha256(self.secret).digest()[:16])
        joined = server.ask("PUT", f"{self.base}/places/{nonce}", {"binding": binding})
        assert joined.status == 201, joined
        self.place: str = joined.json["place"]
        self.number: int = joined.json["number"]

    def enter(self) -> str:
        """Wait until the number is called, and take the pass."""
        until(self._is_called, "the number is called")
        body = {"place": self.place, "secret": encode_base64url(self.secret)}
        entered = self.server.ask("POST", f"{self.base}/enter", body)
        assert entered.status in (200, 201), entered
        text: str = entered.json["pass"]
        return text

    def _is_called(self) -> bool:
        serving: int = self.server.ask("GET", f"{self.base}/state").json["serving"]
        return serving >= self.number


def opened(server: Serving, **settings: Any) -> tuple[str, int]:
    """An operator's key, and a room at the server."""
    operator = server.create_key()
    made = server.ask(
        "POST",
        "/v1/rooms",
        {"name": "shop", "settings": {"return_hosts": [SITE], **settings}},
        bearer=operator,
    )
    assert made.status == 201, made
    return operator, made.json["room"]


def gate_before(server: Serving, operator: str, room: int, **options: Any) -> Asgi:
    keys = server.ask("GET", f"/v1/rooms/{room}/keys", bearer=operator)
    assert keys.status == 200, keys
    return Asgi(fastapi_app(), Elsewhere(server.url, keys.body), room=room, **options)


@pytest.mark.parametrize("signature", ["hmac", "ed25519"])
def test_visit_from_the_line_to_the_end(server: Serving, signature: str) -> None:
    """With the running server's keys, documents, passes and renewals, by either signature."""
    operator, room = opened(
        server, pass_ttl_s=6, renewal_grace_s=2, pass_signature=signature, capacity=5
    )
    site = gate_before(server, operator, room, renewal_wait_s=PATIENCE_S)
    until(lambda: server.ask("GET", f"/v1/rooms/{room}/state").status == 200, "the room is seen")
    with watched(site.core):
        assert site.core.poller.state is not None

        refused = site.ask("/buy?seat=7")
        line = urlsplit(refused.headers["location"])
        assert server.ask("GET", f"{line.path}?{line.query}").status == 200

        text = Visitor(server, room).enter()
        back = site.ask(f"/buy?seat=7&sunseo_pass={text}")
        kept = {"cookie": back.cookies[0].split(";")[0]}
        inside = site.ask("/buy?seat=7", kept)
        assert inside.status == 200

        renewed = until(lambda: site.ask("/buy", kept).cookies, "the pass is renewed")
        kept = {"cookie": renewed[0].split(";")[0]}
        again = site.ask("/buy", kept)
        assert again.json["headers"]["sunseo-pass"] != text
        assert again.json["headers"]["sunseo-pass-id"] == inside.json["headers"]["sunseo-pass-id"]

        assert site.ask("/buy?command=complete", kept).status == 200
        assert site.ask("/buy", kept).status == 303
        until(lambda: _live(server, operator, room) == 0, "the slot is free")


def _live(server: Serving, operator: str, room: int) -> int:
    live: int = server.ask("GET", f"/v1/rooms/{room}", bearer=operator).json["line"]["live"]
    return live


def test_reset_line_voids_passes_at_the_gate(server: Serving) -> None:
    """When the operator resets the line, the gate refuses the passes of before by itself."""
    operator, room = opened(server, capacity=5)
    site = gate_before(server, operator, room)
    until(lambda: server.ask("GET", f"/v1/rooms/{room}/state").status == 200, "the room is seen")
    with watched(site.core):
        kept = {"sunseo-pass": Visitor(server, room).enter()}
        assert site.ask("/buy", kept).status == 200
        reset = server.ask("POST", f"/v1/rooms/{room}/reset", {"epoch": 1}, bearer=operator)
        assert reset.status == 200, reset
        refused = until(
            lambda: answer if (answer := site.ask("/buy", kept)).status == 303 else None,
            "the gate knows of the reset",
        )
        assert "refused=epoch" in refused.headers["location"]
        line = urlsplit(refused.headers["location"])
        assert server.ask("GET", f"{line.path}?{line.query}").status == 200


def test_mode_and_health_travel_between_gate_and_room(server: Serving) -> None:
    """`passthrough` opens the gate within a tick; the gate's p99 is taken as a signal."""
    operator, room = opened(server)
    signals = SignalOptions(operator, 0.5, "shop")
    site = gate_before(server, operator, room, signals=signals)
    until(lambda: server.ask("GET", f"/v1/rooms/{room}/state").status == 200, "the room is seen")
    with watched(site.core):
        assert site.ask("/buy").status == 303
        change = {"settings": {"mode": "passthrough"}}
        key = {"Idempotency-Key": "mode"}
        changed = server.ask("PATCH", f"/v1/rooms/{room}", change, bearer=operator, headers=key)
        assert changed.status == 200, changed
        until(lambda: site.ask("/buy").status == 200, "the gate is open")
    body = {"source": "shop", "measured": 0.1, "target": 0.5}
    answered = site.core.sender._origin.ask(
        "POST", f"/v1/rooms/{room}/signals", body, {"authorization": f"Bearer {operator}"}
    )
    assert answered.status == 200, answered
