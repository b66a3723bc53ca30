"use strict";
/**
 * Keeps the room's state document at hand, so that no request has to ask for it.
 *
 * State       The newest document that verified, and the room's clock.
 * Guarantee   A document that the room did not sign, or an older one, changes nothing.
 * Clock       Monotonic; the room's own time is learnt from the documents.
 * On failure  The last document stays and grows old; the gate says what that means. Tries go on,
 *             further apart and not in step with other gates.
 */
const { performance } = require("node:perf_hooks");

const REFRESH_MS = 1000; // as often as caches may renew the document
const RETRY_MS_MAX = 5000;
const OFFSET_WINDOW_MS = 300000; // long enough to meet a fast answer, short enough to follow a drift

/**
 * The room's time, learnt from the signed `now` of its documents. A document is older when it
 * arrives than when it was signed, never younger: the largest difference in a window is the closest
 * to the truth. A wall clock that is ten minutes wrong, or is set right, moves nothing.
 */
class RoomClock {
  constructor(monotonicMs = () => performance.now()) {
    this.monotonicMs = monotonicMs;
    this.offset = Date.now() - monotonicMs(); // until the first document
    this.seen = [];
  }

  learn(signedMs) {
    const atMs = this.monotonicMs();
    const offset = signedMs - atMs;
    const { seen } = this;
    while (seen.length && seen[0].atMs < atMs - OFFSET_WINDOW_MS) seen.shift();
    while (seen.length && seen[seen.length - 1].offset <= offset) seen.pop();
    seen.push({ atMs, offset });
    this.offset = seen[0].offset;
  }

  /** Begin anew with the next document: the room's own clock has gone back. */
  forget() {
    this.seen = [];
  }

  nowMs() {
    return this.monotonicMs() + this.offset;
  }
}

class Poller {
  constructor(origin, verifier, log) {
    this.origin = origin;
    this.verifier = verifier;
    this.log = log;
    this.path = `/v1/rooms/${verifier.room}/state`;
    this.clock = new RoomClock();
    this.state = null;
    this.revoked = new Set();
    this.failures = 0;
    this.etag = null;
    this.timer = null;
    this.stopped = false;
  }

  /** How old the document is by its own signed time: a cache that repeats it does not keep it young. */
  ageMs() {
    return this.state === null ? Infinity : this.clock.nowMs() - this.state.now;
  }

  /** Read the document once; whether that went well. */
  async lookOnce() {
    try {
      await this.take();
      if (this.failures) this.log(`room ${this.verifier.room}: the state can be read again`);
      this.failures = 0;
      return true;
    } catch (error) {
      this.failures += 1;
      if (this.failures === 1) this.log(`room ${this.verifier.room}: the state cannot be read: ${error.message}`);
      return false;
    }
  }

  /** @private */
  async take() {
    const headers = this.etag ? { "if-none-match": this.etag } : {};
    const answer = await this.origin.ask("GET", this.path, undefined, headers);
    if (answer.status === 304 && this.etag !== null) return;
    if (answer.status !== 200) throw new Error(`Sunseo answered ${answer.status}`);
    const state = this.verifier.readState(answer.body);
    if (state === null) throw new Error("the document is not signed by this room");
    if (this.state && isOlder(state, this.state)) return; // a cache, or another server, is behind
    if (this.state && state.epoch === this.state.epoch && state.now < this.state.now) this.clock.forget();
    this.clock.learn(state.now);
    this.state = state;
    this.revoked = new Set(state.revoked);
    this.etag = answer.headers.etag ?? null;
  }

  start() {
    const round = async () => {
      await this.lookOnce();
      if (this.stopped) return;
      const pauseMs = Math.min(RETRY_MS_MAX, REFRESH_MS * (1 + this.failures));
      this.timer = setTimeout(round, pauseMs * (0.9 + 0.2 * Math.random()));
      this.timer.unref(); // a gate does not keep an app alive
    };
    return round();
  }

  stop() {
    this.stopped = true;
    clearTimeout(this.timer);
  }
}

function isOlder(state, known) {
  if (state.epoch !== known.epoch || state.now >= known.now) return state.epoch < known.epoch;
  // With an earlier time it is the newer one only if its line has come further: then the room's clock
  // has gone back. Where the line stands still nobody can tell that from a replay.
  if (state.serving !== known.serving) return state.serving < known.serving;
  return state.issued <= known.issued;
}

module.exports = { RoomClock, Poller };
