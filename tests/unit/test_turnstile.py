"""Turnstile's verifier against a server on loopback that speaks its documented protocol."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest
from aiohttp import web

from sunseo.room.admission.challenge import Challenged
from sunseo.room.admission.turnstile import Turnstile

SECRET = "1x0000000000000000000000000000000AA"
HER = Challenged(1, uuid4(), uuid4(), "203.0.113.9")


class Siteverify:
    """Answers as the service does: a token is good once, or again with its idempotency key."""

    def __init__(self) -> None:
        self.asked: list[dict[str, str]] = []
        self.spent: dict[str, str] = {}
        self.answer: web.Response | None = None
        self.hang: asyncio.Event | None = None
        self.url = ""

    async def serve(self, request: web.Request) -> web.Response:
        form = {name: str(value) for name, value in (await request.post()).items()}
        self.asked.append(form)
        if self.hang is not None:
            await self.hang.wait()
        if self.answer is not None:
            return self.answer
        return web.json_response(self.judge(form))

    def judge(self, form: dict[str, str]) -> dict[str, Any]:
        if form.get("secret") != SECRET:
            return refused("invalid-input-secret")
        token, key = form["response"], form["idempotency_key"]
        if not token.startswith("good"):
            return refused("invalid-input-response")
        if self.spent.setdefault(token, key) != key:
            return refused("timeout-or-duplicate")
        return {"success": True, "error-codes": [], "hostname": "line.example", "action": ""}


def refused(code: str) -> dict[str, Any]:
    return {"success": False, "error-codes": [code]}


@pytest.fixture
async def service() -> AsyncIterator[Siteverify]:
    siteverify = Siteverify()
    app = web.Application()
    app.router.add_post("/siteverify", siteverify.serve)
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    siteverify.url = f"http://{host}:{port}/siteverify"
    yield siteverify
    if siteverify.hang is not None:
        siteverify.hang.set()
    await runner.cleanup()


class Asker:
    """A verifier and what it told of its failures."""

    def __init__(self, url: str, secret: str = SECRET, timeout_s: float = 5) -> None:
        self.failures: list[str] = []
        self.turnstile = Turnstile(
            "site", secret, url=url, timeout_s=timeout_s, on_failure=self.failures.append
        )

    async def ask(self, token: str, asked: Challenged = HER) -> tuple[str, list[str]]:
        try:
            return await self.turnstile.verify(token, asked, 0.0), self.failures
        finally:
            await self.turnstile.close()
            self.turnstile._session = None


async def test_token_passes_and_the_service_is_told_whose_it_is(service: Siteverify) -> None:
    """The question has the documented members."""
    assert await Asker(service.url).ask("good-1") == ("passed", [])
    (form,) = service.asked
    assert form.keys() == {"secret", "response", "remoteip", "idempotency_key"}
    assert (form["response"], form["remoteip"]) == ("good-1", "203.0.113.9")


async def test_token_that_the_service_refuses_fails(service: Siteverify) -> None:
    """A refusal is the visitor's, not a failure of ours."""
    assert await Asker(service.url).ask("bad") == ("failed", [])


async def test_token_serves_its_holder_again_and_nobody_else(service: Siteverify) -> None:
    """A repeated join repeats the question with its idempotency key; another holder has another."""
    asker = Asker(service.url)
    other = Challenged(1, uuid4(), uuid4())

    assert [(await asker.ask("good-1"))[0] for _ in range(2)] == ["passed", "passed"]
    assert await asker.ask("good-1", other) == ("failed", [])


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (web.Response(text="<html>busy</html>"), "not_json"),
        (web.Response(status=502, text=""), "not_json"),
        (web.Response(text='{"success": "yes"}'), "not_json"),
        (web.Response(text="[]"), "not_json"),
        (web.Response(status=302, headers={"location": "http://127.0.0.1:1/"}), "not_json"),
        (web.json_response(refused("internal-error")), "refused_us"),
        (web.Response(text='{"success": true' + " " * 20_000 + "}"), "not_json"),
    ],
)
async def test_no_verdict_is_unknown_and_counted(
    service: Siteverify, answer: web.Response, why: str
) -> None:
    """Only the service's own JSON is a yes or a no."""
    service.answer = answer

    assert await Asker(service.url).ask("good-1") == ("unknown", [why])


async def test_wrong_secret_is_our_fault(service: Siteverify) -> None:
    """Visitors are not refused for what an operator mistyped."""
    assert await Asker(service.url, "wrong").ask("good-1") == ("unknown", ["refused_us"])


async def test_silence_is_unknown(service: Siteverify) -> None:
    """A service that hangs holds nobody up beyond the time-out."""
    service.hang = asyncio.Event()

    assert await Asker(service.url, timeout_s=0.05).ask("good-1") == ("unknown", ["timeout"])


async def test_nobody_there_is_unknown() -> None:
    """A service that cannot be reached is told apart from one that says no."""
    assert await Asker("http://127.0.0.1:1/siteverify").ask("good-1") == (
        "unknown",
        ["unreachable"],
    )


def test_challenge_names_the_site_key() -> None:
    """The page needs nothing else for the widget."""
    body = Turnstile("site", SECRET).issue(1, 1000, None, 0.0)

    assert (body.kind, body.sitekey) == ("turnstile", "site")
