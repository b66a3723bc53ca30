"""A whole worker in this process, and for each row of its endpoint table a request that is right.

No loop turns by itself: boards are read when a test says so, and so nothing that is asked depends
on what happened to be in memory.
"""

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import pytest

from sunseo.core.signing import encode_base64url
from sunseo.identity.operator_keys import new_operator_key
from sunseo.operators.keys import KeyFinder
from sunseo.postgres.migrate import head_revision
from sunseo.room.pages.cookies import BrowserVisit, cookie_of
from sunseo.settings import Settings
from sunseo.telemetry.lines import LineWriter
from sunseo.telemetry.logs import Logs
from sunseo.telemetry.metrics import Metrics
from sunseo.web.endpoint import Auth, Endpoint
from sunseo.wiring import Worker, WorkerPlan
from tests.asgi import Response, ask

SECRET = "a secret that only these tests know"
OPERATOR = new_operator_key()

BODIES: dict[str, dict[str, Any]] = {
    "create_sale": {
        "name": "A sale",
        "currency": "KRW",
        "time_zone": "Asia/Seoul",
        "opens_at": "2020-01-01T00:00:00Z",
        "price_classes": [{"name": "free", "price": 0}],
        "occasions": [{"name": "Friday", "starts_at": "2090-01-01T00:00:00Z"}],
    },
    "change_sale": {"name": "The same sale"},
    "add_seats": {
        "blocks": [
            {"occasion": 1, "price_class": 1, "section": "{key}", "rows": 1, "seats_per_row": 9}
        ]
    },
    "add_stocks": {"stocks": [{"occasion": 1, "name": "Standing {key}", "capacity": 9}]},
    "place_hold": {"seats": ["{seat}"]},
    "place_order": {"hold": "{hold}"},
    "create_room": {"name": "A room", "settings": {"mode": "passthrough"}},
    "change_room": {"name": "The same room"},
    "reset_room": {"epoch": 1, "dry_run": True},
    "revoke_pass": {"pass_id": "{pass_id}"},
    "send_room_signal": {"source": "probe", "measured": 1.0, "target": 1.0},
    "join_room": {"binding": "{binding}"},
    "enter_room": {"place": "{place}", "secret": "{secret}"},
    "renew_pass": {"pass": "{pass}"},
    "leave_room": {"pass": "{pass}"},
    "complete_visit": {"pass": "{pass}"},
    "commit_draw": {"commitment": "0" * 64, "committer": "A notary", "independent": True},
    "reveal_draw": {"secret": "0" * 64},
    "withhold_draw": {"reason": "None of any weight"},
    "join_by_page": {"token": "{form}"},
    "enter_by_page": {"token": "{form}"},
}


class WholeWorker:
    """See the module. `known` is what requests are filled in with."""

    def __init__(self, dsn: str, folder: Path) -> None:
        settings = Settings(secret=SECRET)
        plan = WorkerPlan(settings, dsn, SECRET, folder, disk=None, revision=head_revision())
        self.worker = Worker(plan, Metrics(), Logs("error", LineWriter(-1)))
        self.app = self.worker.app()
        table = self.worker.endpoints()
        self.endpoints: dict[str, Endpoint] = {endpoint.name: endpoint for endpoint in table}
        visit = BrowserVisit.fresh("")
        self.known: dict[str, Any] = {
            "secret": visit.secret,
            "binding": encode_base64url(visit.binding),
            "form": visit.form_token,
            "pass_id": str(uuid4()),
            "file": "page.css",
            "key": uuid4().hex[:8],
        }

    async def set_up(self) -> None:
        """Make a sale with a hold and an order, and a room with a place and a pass."""
        await self.read_boards()
        await self._learn("create_guest", "token")
        await self._learn("create_sale", "sale")
        await self._do("add_seats")
        await self._learn("place_hold", "hold", seat=1)
        await self._learn("place_order", "order")
        await self._learn("place_hold", "hold", seat=2)
        await self._learn("create_room", "room")
        await self.read_boards()
        await self._learn("give_nonce", "nonce")
        await self._learn("join_room", "place")
        await self.worker._rooms.controller.run_once()
        await self._learn("enter_room", "pass")
        await self.worker._rooms.controller.stop()
        await self._learn("give_nonce", "nonce")
        self.known |= {"key": uuid4().hex[:8], "seat": 3}

    async def read_boards(self) -> None:
        await self.worker._rooms.board.run_once()

    async def ask(self, name: str) -> Response:
        """Send the request of an endpoint; the same one every time."""
        endpoint = self.endpoints[name]
        headers = self._headers(endpoint)
        body = b"" if endpoint.takes_body else None
        if endpoint.request is not None:
            assert name in BODIES, f"tell this table what to send to {name}"
            filled = _filled(BODIES[name], self.known)
            is_form = endpoint.problem_page is not None
            body = (urlencode(filled) if is_form else json.dumps(filled)).encode()
            kind = "x-www-form-urlencoded" if is_form else "json"
            headers["content-type"] = f"application/{kind}"
        path = re.sub(r"\{(\w+):\w+\}", lambda found: str(self.known[found[1]]), endpoint.path)
        return await ask(self.app, endpoint.method, path, body, headers=headers)

    def _headers(self, endpoint: Endpoint) -> dict[str, str]:
        headers: dict[str, str] = {}
        if endpoint.auth in (Auth.PERSON, Auth.OPERATOR):
            token = self.known["token"] if endpoint.auth is Auth.PERSON else OPERATOR.text
            headers["authorization"] = f"Bearer {token}"
        if endpoint.idempotent_key:
            headers["idempotency-key"] = f"{self.known['key']}-{self.known.get('seat')}"
        if endpoint.problem_page is not None:
            has_place = endpoint.name == "enter_by_page"
            visit = (
                BrowserVisit(self.known["secret"], place=self.known["place"])
                if has_place
                else BrowserVisit(self.known["secret"], nonce=self.known["nonce"])
            )
            headers["cookie"] = f"{cookie_of(self.known['room'])}={visit.write()}"
        return headers

    async def _do(self, name: str, **known: Any) -> dict[str, Any]:
        self.known |= known
        answer = await self.ask(name)
        assert answer.status < 300, (name, answer)
        found: dict[str, Any] = answer.json
        return found

    async def _learn(self, name: str, what: str, **known: Any) -> None:
        found = await self._do(name, **known)
        self.known[what] = found[what]


@asynccontextmanager
async def open_worker(
    dsn: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[WholeWorker]:
    """A worker whose lanes run, with everything set up; it knows its operator without asking."""

    async def digest_of(_finder: KeyFinder, _key_id: str) -> bytes:
        return OPERATOR.digest

    monkeypatch.setattr(KeyFinder, "find", digest_of)
    opened = WholeWorker(dsn, folder)
    worker = opened.worker
    worker._lanes.start()
    worker._rooms.start()
    try:
        await opened.set_up()
        yield opened
    finally:
        await worker._rooms.stop()
        await worker._lanes.stop()
        for connection in (*worker._all_lane_connections(), worker._tail_connection):
            await connection.close()
        for engine in (worker._room_engine, worker._urgent_engine, worker._engine):
            await engine.dispose()


def _filled(body: Any, known: dict[str, Any]) -> Any:
    if isinstance(body, dict):
        return {name: _filled(value, known) for name, value in body.items()}
    if isinstance(body, list):
        return [_filled(value, known) for value in body]
    if isinstance(body, str) and body.startswith("{"):
        return known[body[1:-1]]
    return body.format(**known) if isinstance(body, str) else body
