"use strict";
/**
 * Carries what the gate has to tell Sunseo: renewals and ended passes.
 *
 * State       Renewals asked for, by pass id; renewed passes not yet handed out; ended passes to tell.
 * Guarantee   Requests leave a note; up to 200 notes travel in one request. One pass has one renewal
 *             under way. All notes have a bound.
 * Clock       The room's time, for what has expired.
 * On failure  A batch is tried again until its passes have expired: an answer that was lost is then
 *             repeated by Sunseo within the renewal's grace. What cannot be told is dropped and counted.
 */
const COMMANDS = new Set(["complete", "leave", "revoke"]);
const BATCH_MAX = 200; // what Sunseo takes at once
const NOTES_MAX = 10000;
const GATHER_MS = 10; // notes that arrive together travel together
const RETRY_MS = 200;
const KEPT_MS = 60000; // after its expiry, what is known of a pass is forgotten
const FORGET_EVERY_MS = 1000;
const LATER = new Set(["busy", "locked", "outcome_unknown", "unreadable"]); // not decided yet: asked again
const OVER = new Set(["pass_revoked", "pass_done", "unknown_pass"]);

class Sender {
  /**
   * @param {Origin} origin
   * @param {PassVerifier} verifier of the room
   * @param {() => number} nowMs the room's time
   * @param {(message: string) => void} log
   */
  constructor(origin, verifier, nowMs, log) {
    this.origin = origin;
    this.verifier = verifier;
    this.nowMs = nowMs;
    this.log = log;
    this.base = `/v1/rooms/${verifier.room}`;
    this.notes = new Map(); // pass id: {pass, text, answer, settle}
    this.endings = []; // {command, pass, text}
    this.settled = new Map(); // renewal refused: pass id, until when not to ask again
    this.renewed = new Map(); // pass id: {pass, text}
    this.ended = new Map(); // passes that are over, until their expiry
    this.dropped = 0;
    this.timer = null;
    this.running = false;
    this.forgottenAtMs = 0;
  }

  /**
   * Have a pass renewed.
   *
   * @returns {Promise<{pass: object, text: string} | null> | null} a promise of null where Sunseo
   *   refuses; no promise: there is no use in asking
   */
  askRenewal(pass, text) {
    if (this.settled.has(pass.passId) || this.ended.has(pass.passId)) return null;
    const known = this.notes.get(pass.passId);
    if (known) return known.answer;
    if (this.notes.size >= NOTES_MAX) {
      this.dropped += 1;
      return null;
    }
    const note = { pass, text };
    note.answer = new Promise((resolve) => { note.settle = resolve; });
    this.notes.set(pass.passId, note);
    this.wake(GATHER_MS);
    return note.answer;
  }

  /** A pass is over: here at once, at Sunseo as soon as it can be told. */
  end(command, pass, text) {
    this.ended.set(pass.passId, pass.expiresAtMs);
    if (this.endings.length >= NOTES_MAX) {
      this.endings.shift();
      this.dropped += 1;
    }
    this.endings.push({ command, pass, text });
    this.wake(GATHER_MS);
  }

  /** A newer edition of this pass, if there is one here. */
  passOf(pass) {
    const newer = this.renewed.get(pass.passId);
    return newer !== undefined && newer.pass.renewal > pass.renewal ? newer : null;
  }

  /** @private */
  wake(afterMs) {
    if (this.timer !== null || this.running || this.stopped) return;
    this.timer = setTimeout(() => {
      this.timer = null;
      this.runOnce();
    }, afterMs);
    this.timer.unref();
  }

  async runOnce() {
    this.running = true;
    let done = false;
    try {
      done = (await this.renew()) && (await this.tellEndings());
      this.forget();
    } catch (error) {
      this.log(`room ${this.verifier.room}: ${error.stack}`); // ours; it must not end the app
    }
    this.running = false;
    if (!done) this.wake(RETRY_MS * (0.9 + 0.2 * Math.random()));
    else if (this.notes.size || this.endings.length) this.wake(GATHER_MS); // left while we were busy
  }

  /** @private False where something has to be tried again. */
  async renew() {
    while (this.notes.size > 0) {
      const batch = [...this.notes.values()].slice(0, BATCH_MAX);
      const answer = await this.ask("/renew", { passes: batch.map((note) => note.text) });
      if (answer === null) return false;
      const items = itemsOf(answer, batch.length);
      const settled = batch.map((note, i) => this.settle(note, items[i]));
      if (settled.includes(false)) return false;
    }
    return true;
  }

  /** @private Take the answer about one pass; false where it is to be asked for again. */
  settle(note, item) {
    if (LATER.has(item.outcome)) return false;
    const renewed = this.renewedFrom(note.pass, item.pass);
    const { passId, expiresAtMs } = note.pass;
    this.notes.delete(passId);
    if (renewed !== null) {
      this.renewed.set(passId, renewed);
    } else {
      this.settled.set(passId, expiresAtMs);
      if (OVER.has(item.outcome)) this.ended.set(passId, expiresAtMs);
    }
    note.settle(renewed);
    return true;
  }

  /** @private A newer edition of the same pass, or null: Sunseo's word is checked like anybody's. */
  renewedFrom(pass, text) {
    const { pass: newer, reason } = this.verifier.open(text, this.nowMs());
    if (reason !== null || newer.passId !== pass.passId || newer.renewal <= pass.renewal) return null;
    return { pass: newer, text };
  }

  /** @private False where something has to be tried again. */
  async tellEndings() {
    while (this.endings.length > 0) {
      const { command, text } = this.endings[0];
      const path = command === "complete" ? "/complete" : "/leave";
      // Revoked passes are listed, so that other processes and gates hear of it.
      const body = command === "revoke" ? { pass: text, revoke: true } : { pass: text };
      if ((await this.ask(path, body)) === null) return false;
      this.endings.shift();
    }
    return true;
  }

  /** @private One request; null where it makes sense to repeat it. */
  async ask(path, body) {
    try {
      const answer = await this.origin.ask("POST", this.base + path, body);
      return answer.status === 408 || answer.status === 429 || answer.status >= 500 ? null : answer;
    } catch (error) {
      this.log(`room ${this.verifier.room}: ${path}: ${error.message}`);
      return null;
    }
  }

  /** Drop what has expired; a renewed pass is handed out until it has, too. */
  forget() {
    const nowMs = this.nowMs();
    if (nowMs - this.forgottenAtMs < FORGET_EVERY_MS) return;
    this.forgottenAtMs = nowMs;
    for (const kept of [this.settled, this.ended]) {
      for (const [passId, untilMs] of kept) if (untilMs + KEPT_MS < nowMs) kept.delete(passId);
    }
    for (const [passId, { pass }] of this.renewed) if (pass.expiresAtMs < nowMs) this.renewed.delete(passId);
    for (const [passId, note] of this.notes) {
      if (note.pass.expiresAtMs >= nowMs) continue;
      this.notes.delete(passId);
      this.dropped += 1;
      note.settle(null);
    }
    while (this.endings.length > 0 && this.endings[0].pass.expiresAtMs + KEPT_MS < nowMs) {
      this.endings.shift();
      this.dropped += 1;
    }
  }

  stop() {
    this.stopped = true;
    clearTimeout(this.timer);
    for (const note of this.notes.values()) note.settle(null);
    this.notes.clear();
  }
}

/** The answers of a batch in its order; without any, all are refused. */
function itemsOf(answer, count) {
  const nothing = Array.from({ length: count }, () => ({}));
  try {
    const { results } = JSON.parse(answer.body.toString("utf8"));
    if (!Array.isArray(results) || results.length !== count) return nothing;
    return results.map((item) => (item !== null && typeof item === "object" ? item : {}));
  } catch {
    return nothing;
  }
}

module.exports = { COMMANDS, Sender };
