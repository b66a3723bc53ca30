"""Tabs of a real browser that wait in a scripted room, on a clock that the test moves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.acceptance.room_peer import RoomPeer

if TYPE_CHECKING:  # which it takes half a second to import
    from playwright.sync_api import BrowserContext, Page

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
      await new Promise((resolve) => {
        const channel = new MessageChannel();
        channel.port1.onmessage = resolve;
        channel.port2.postMessage(0);
      });
    }
    return Boolean(window.turn || window.failed);
  };
  let shown = 'visible';
  Object.defineProperty(document, 'visibilityState', { get: () => shown });
  window.show = (state) => {
    shown = state;
    document.dispatchEvent(new Event('visibilitychange'));
  };
})();
"""

ENTER = """
(options) => {
  window.updates = [];
  window.turn = null;
  window.failed = null;
  window.aborter = new AbortController();
  const onUpdate = (wait) => window.updates.push(wait);
  const given = { ...options, onUpdate, signal: window.aborter.signal };
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

    def settle(self) -> bool:
        """Wait until nothing is under way; whether the wait is over."""
        return bool(self.page.evaluate("still()"))

    def wait(self, seconds: float, step_s: float = 1.0) -> None:
        """Let time pass, here and in the room."""
        for _ in range(round(seconds / step_s)):
            pass_time(self.peer, step_s, self)

    def wait_for_turn(self, most_s: float, step_s: float = 1.0) -> float:
        """Let time pass until it is over; how long that took."""
        waited = 0.0
        while waited < most_s and not pass_time(self.peer, step_s, self):
            waited += step_s
        return waited

    @property
    def updates(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.page.evaluate("updates")
        return found

    def get(self, expression: str) -> Any:
        return self.page.evaluate(expression)


def pass_time(peer: RoomPeer, step_s: float, *visitors: Visitor) -> bool:
    """Let time pass in the room and in all tabs of one browser, which have one clock."""
    peer.advance(step_s)
    visitors[0].page.clock.run_for(round(step_s * 1000))
    over = [visitor.settle() for visitor in visitors]  # every one of them, not up to the first
    return all(over)
