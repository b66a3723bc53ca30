"""The script that guards one button, in a real browser."""

import random
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from tests.acceptance.browsers import chromium, needs_chromium
from tests.acceptance.room_peer import ROOM, START_MS, RoomPeer, scripted_room

pytestmark = needs_chromium

# What is under way is known, so that a test goes on as soon as the page is still.
WATCH = """
(() => {
  let seed = SEED;
  Math.random = () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
  const running = new Set();
  const watched = (owner, name) => {
    const real = owner[name];
    owner[name] = function (...given) {
      const one = real.apply(this, given);
      running.add(one);
      one.catch(() => {}).finally(() => running.delete(one));
      return one;
    };
  };
  watched(window, 'fetch');
  watched(Response.prototype, 'text');
  watched(LockManager.prototype, 'request');
  window.still = async () => {
    for (let calm = 0; calm < 3; calm += 1) {
      if (running.size) { await Promise.allSettled(running); calm = -1; }
      await new Promise((resolve) => { const c = new MessageChannel(); c.port1.onmessage = resolve; c.port2.postMessage(0); });
    }
  };
  let shown = 'visible';
  Object.defineProperty(document, 'visibilityState', { get: () => shown });
  window.show = (state) => { shown = state; document.dispatchEvent(new Event('visibilitychange')); };
})();
"""

ENTER = """
(options) => {
  window.updates = [];
  window.turn = null;
  window.failed = null;
  window.aborter = new AbortController();
  const given = { ...options, onUpdate: (wait) => window.updates.push(wait), signal: window.aborter.signal };
  if (options.solution) given.solve = async () => options.solution;
  window.sunseo.enter(42, given).then(
    (turn) => { window.turn = turn; turn.ended.then((reason) => { window.endedAs = reason; }); },
    (error) => { window.failed = { name: error.name, code: error.code, message: error.message }; },
  );
}
"""


class Visitor:
    """One tab of one browser, on the peer's clock."""

    def __init__(self, context: BrowserContext, peer: RoomPeer, seed: int = 1) -> None:
        self.peer = peer
        self.page: Page = context.new_page()
        self.errors: list[str] = []
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.clock.install(time=peer.now_ms / 1000 - 1)
        self.page.clock.pause_at(peer.now_ms / 1000)
        self.page.add_init_script(WATCH.replace("SEED", str(seed)))
        self.open()

    def open(self) -> None:
        """Open the shop's page, which is of another origin than the room."""
        self.page.goto(f"http://localhost:{self.peer.port}/shop")
        self.page.add_script_tag(url=f"{self.peer.url}/sunseo.js")

    def press(self, **options: Any) -> None:
        self.page.evaluate(ENTER, options)
        self.settle()

    def settle(self) -> None:
        self.page.evaluate("still()")

    def wait(self, seconds: float, step_s: float = 1.0) -> None:
        """Let time pass, here and in the room, until it is over or she is inside."""
        for _ in range(round(seconds / step_s)):
            self.peer.advance(step_s)
            self.page.clock.run_for(round(step_s * 1000))
            self.settle()

    def wait_for_turn(self, most_s: float) -> float:
        waited = 0.0
        while not self.done and waited < most_s:
            self.wait(1)
            waited += 1
        return waited

    @property
    def done(self) -> bool:
        return bool(self.page.evaluate("Boolean(turn || failed)"))

    @property
    def updates(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.page.evaluate("updates")
        return found

    def get(self, expression: str) -> Any:
        return self.page.evaluate(expression)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    opened = browser.new_context()
    yield opened
    opened.close()


@pytest.fixture
def peer() -> Iterator[RoomPeer]:
    with scripted_room() as served:
        yield served


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_twenty_minutes_take_at_most_55_requests(context: BrowserContext, seed: int) -> None:
    """A wait of 20 minutes from another origin takes at most 55 requests, preflights included."""
    with scripted_room(speed=10.0, ahead=12_000) as peer:
        visitor = Visitor(context, peer, seed)
        visitor.press(base=peer.url)

        waited = visitor.wait_for_turn(1300)

        print(seed, waited, peer.total, dict(peer.asked))
        assert visitor.get("turn.outcome") == "entered"
        assert 1199 <= waited <= 1205
        assert peer.total <= 55, peer.asked
        assert visitor.errors == []
