"use strict";
/**
 * Decides about each request, without asking anybody.
 *
 * State       Keys, rules, the room's last document (a poller keeps it), passes that are being
 *             renewed (a sender carries them), a bucket for the fail mode "open".
 * Guarantee   Without a good pass nobody gets to a guarded path, but in the mode "passthrough", by a
 *             bypass rule, or by the fail mode that the operator chose. No I/O happens here.
 * Clock       The room's, learnt from its signed documents; a wrong clock of this machine or of the
 *             visitor's moves nothing.
 * On failure  When the room has not been heard of for `staleS`: "closed" lets in only passes that
 *             have not expired; "last_known" lets time stand still for those inside; "open" lets in
 *             newcomers, too, up to a rate.
 */
const { createHmac, randomBytes, timingSafeEqual } = require("node:crypto");
const answers = require("./answers.js");
const { Sender } = require("./sender.js");
const { Origin } = require("./origin.js");
const { Policy } = require("./policy.js");
const { PassVerifier } = require("./tokens.js");
const { Poller } = require("./poller.js");

const PASSES_TRIED_MAX = 4; // of one request; more cookies of one name are nobody's honest browser
const LAST_KNOWN_MS_MAX = 900000; // for which time may stand still
const OPEN_S = 300; // that a visitor whom the fail mode "open" let in may stay
const RETRY_S = 5;
const FAIL_MODES = new Set(["closed", "last_known", "open"]);
const POLL = { floor: 2, ceiling: 60, divisor: 10 };
const OPEN_PREFIX = Buffer.from("sunseo:open:v1\0", "latin1");
const OPEN_BYTES = 24; // a moment of 8 and a MAC of 16

/** So many a second, and as many at once. */
class Bucket {
  constructor() {
    this.fullAtMs = -Infinity;
  }

  take(perS, nowMs) {
    const fullAtMs = Math.max(this.fullAtMs, nowMs);
    if (fullAtMs - nowMs > 1000 - 1000 / Math.max(perS, 1)) return false;
    this.fullAtMs = fullAtMs + 1000 / perS;
    return true;
  }
}

class GateCore {
  /** @throws {TypeError} the options contradict each other, or the keys are not this room's */
  constructor(options) {
    this.options = withDefaults(options);
    this.verifier = new PassVerifier(options.keys);
    if (options.room === undefined || BigInt(options.room) !== this.verifier.room) {
      throw new TypeError(`these are the keys of room ${this.verifier.room}, not of ${options.room}`);
    }
    const { room } = this.verifier;
    this.where = addressesOf(options, Number(room));
    this.policy = new Policy(options.protect ?? ["/"], options.bypass ?? {});
    const log = options.log ?? (() => {});
    const origin = new Origin(options.sunseoUrl);
    this.origin = origin;
    this.poller = new Poller(origin, this.verifier, log);
    this.sender = new Sender(origin, this.verifier, () => this.roomMs(), log);
    this.counts = {};
    this.cookies = { pass: `sunseo_pass_${room}`, renewing: `sunseo_renewing_${room}`, open: `sunseo_open_${room}` };
    this.openKey = openKeyOf(options.keys);
    this.bucket = new Bucket();
    this.name = randomBytes(4).toString("hex");
  }

  roomMs() {
    return this.poller.clock.nowMs();
  }

  isLive() {
    return this.poller.ageMs() <= this.options.staleS * 1000;
  }

  /**
   * Decide about a request.
   *
   * @param {object} asked see `middleware.js`
   * @returns {{answer: object | null, pass: object | null, text: string, cookies: string[],
   *   renewal: Promise | null}} `answer` is the gate's own; null: the request goes on
   */
  judge(asked) {
    const nowMs = this.roomMs();
    const { state } = this.poller;
    const live = this.isLive();
    const { found, reason } = this.goodPass(this.shown(asked), this.expiryMs(state, live, nowMs), state);
    return found ? this.inside(found, asked, nowMs, live) : this.outside(asked, reason, state, live, nowMs);
  }

  /** The redirect for who comes back from the line with a pass in the address, or null. */
  handover(asked) {
    const text = answers.handoverOf(asked.query);
    if (text === null || asked.method !== "GET") return null;
    const nowMs = this.roomMs();
    const { state } = this.poller;
    let { found } = this.goodPass([text], nowMs, state);
    if (!found) return null;
    const kept = this.goodPass(answers.cookiesNamed(asked.cookie, this.cookies.pass), nowMs, state).found;
    if (kept && !replaces(found.pass, kept.pass)) found = kept; // a link with another's pass takes none away
    return answers.handedOver(asked, this.passCookie(found.text, asked.scheme));
  }

  passCookie(text, scheme) {
    return answers.cookieOf(this.cookies.pass, text, scheme === "https", answers.COOKIE_S);
  }

  endedCookie(scheme) {
    return answers.cookieOf(this.cookies.pass, "", scheme === "https", 0);
  }

  /** Tells other processes of this site that the renewal of this pass is under way here. */
  renewingCookie(pass, scheme) {
    const hint = `${this.name}.${pass.renewal}`;
    return answers.cookieOf(this.cookies.renewing, hint, scheme === "https", answers.RENEWING_S);
  }

  /** @private */
  shown(asked) {
    const texts = asked.pass === undefined ? [] : [asked.pass];
    if (asked.cookie.includes(this.cookies.pass)) texts.push(...answers.cookiesNamed(asked.cookie, this.cookies.pass));
    return texts.slice(0, PASSES_TRIED_MAX);
  }

  /** @private */
  goodPass(texts, nowMs, state) {
    let reason = "no_pass";
    const epoch = state === null ? null : state.epoch;
    for (const text of texts) {
      const opened = this.verifier.open(text, nowMs, epoch, this.options.skewS * 1000);
      let found = { pass: opened.pass, text };
      if (opened.reason !== null) {
        reason = opened.reason;
        found = reason === "expired" ? this.renewedOf(opened.pass) : null;
        if (found === null) continue;
      }
      const { passId } = found.pass;
      if (!this.sender.ended.has(passId) && !this.poller.revoked.has(passId)) return { found, reason: null };
      reason = "revoked";
    }
    return { found: null, reason };
  }

  /** @private The newer pass of who shows an expired one: her renewal was answered after she left. */
  renewedOf(pass) {
    const newer = this.sender.passOf(pass);
    return newer !== null && newer.pass.expiresAtMs > this.roomMs() ? newer : null;
  }

  /** @private */
  inside(found, asked, nowMs, live) {
    const { pass, text } = found;
    const leftMs = pass.expiresAtMs - nowMs;
    const renewed = asked.pass !== text && !asked.cookie.includes(text); // by us, after she left
    const cookies = renewed ? [this.passCookie(text, asked.scheme)] : [];
    if (!live || leftMs > this.renewBeforeMs(pass)) return decision(pass, text, cookies);
    const newer = this.sender.passOf(pass);
    if (newer !== null) return decision(newer.pass, newer.text, [this.passCookie(newer.text, asked.scheme)]);
    if (this.renewsElsewhere(pass, asked.cookie)) return decision(pass, text, cookies);
    return decision(pass, text, cookies, this.sender.askRenewal(pass, text));
  }

  /** @private The second half of a pass's life, or what the room says. */
  renewBeforeMs(pass) {
    const halfMs = (pass.expiresAtMs - pass.issuedAtMs) / 2;
    const { state } = this.poller;
    const told = state && state.pass ? state.pass.renew_before * 1000 : halfMs;
    return Math.min(halfMs, told);
  }

  /** @private */
  renewsElsewhere(pass, cookie) {
    return answers.cookiesNamed(cookie, this.cookies.renewing).some((hint) => {
      const [name, renewal] = hint.split(".");
      return name !== this.name && renewal === String(pass.renewal);
    });
  }

  /** @private */
  outside(asked, reason, state, live, nowMs) {
    if (asked.ambiguous ? !this.policy.letsPass(asked, null) : this.policy.needsPass(asked)) {
      return this.guarded(asked, reason, state, live, nowMs);
    }
    return decision(null, "");
  }

  /** @private */
  guarded(asked, reason, state, live, nowMs) {
    const unheard = state === null && this.poller.failures === 0; // not heard of it yet
    const failMode = state === null ? this.options.failMode : state.fail_mode;
    const passthrough = state !== null && state.mode === "passthrough";
    if (live || unheard) {
      if (passthrough) return decision(null, "");
      const poll = (state && state.poll) || POLL;
      return this.refuse(reason, answers.refused(asked, this.where, reason, poll));
    }
    if (failMode === "last_known" && passthrough) return decision(null, "");
    if (failMode === "open") return this.open(asked, state, nowMs);
    return this.refuse("unreachable", answers.unreachable(asked, this.where, RETRY_S));
  }

  /** @private The fail mode "open": newcomers up to a rate; who was let in stays for a while. */
  open(asked, state, nowMs) {
    const shown = answers.cookiesNamed(asked.cookie, this.cookies.open).slice(0, PASSES_TRIED_MAX);
    if (shown.some((text) => this.wasLetIn(text, nowMs))) return decision(null, "");
    const rate = (state && state.open_rate_max) || this.options.openRateMax;
    if (!this.bucket.take(rate, this.poller.clock.monotonicMs())) {
      return this.refuse("unreachable", answers.unreachable(asked, this.where, RETRY_S));
    }
    this.count("opened");
    const since = Buffer.alloc(8);
    since.writeBigUInt64BE(BigInt(Math.max(0, Math.floor(nowMs))));
    const text = Buffer.concat([since, this.openMac(since)]).toString("base64url");
    return decision(null, "", [answers.cookieOf(this.cookies.open, text, asked.scheme === "https", OPEN_S)]);
  }

  /** @private */
  wasLetIn(text, nowMs) {
    const raw = Buffer.from(text, "base64url");
    if (raw.length !== OPEN_BYTES || !timingSafeEqual(this.openMac(raw.subarray(0, 8)), raw.subarray(8))) return false;
    return nowMs - Number(raw.readBigUInt64BE(0)) < OPEN_S * 1000;
  }

  /** @private */
  openMac(since) {
    return createHmac("sha256", this.openKey).update(OPEN_PREFIX).update(since).digest().subarray(0, 16);
  }

  /** @private */
  refuse(reason, answer) {
    this.count(reason);
    return { answer, pass: null, text: "", cookies: [], renewal: null };
  }

  count(what) {
    this.counts[what] = (this.counts[what] ?? 0) + 1;
  }

  /** @private When expiry is judged: in "last_known" the moment at which the room fell silent. */
  expiryMs(state, live, nowMs) {
    if (live || state === null || state.fail_mode !== "last_known") return nowMs;
    return nowMs - state.now <= LAST_KNOWN_MS_MAX ? state.now : nowMs;
  }

  start() {
    return this.poller.start();
  }

  close() {
    this.poller.stop();
    this.sender.stop();
    this.origin.close();
  }
}

function decision(pass, text, cookies = [], renewal = null) {
  return { answer: null, pass, text, cookies, renewal };
}

function replaces(newer, older) {
  return newer.passId === older.passId && newer.renewal >= older.renewal;
}

/** Signs who was let in by the fail mode "open": the same in all processes, if they have a secret. */
function openKeyOf(keys) {
  const shared = keys.keys[0].pass_key;
  if (shared === undefined) return randomBytes(32);
  const key = Buffer.from(shared, "base64url");
  return createHmac("sha256", key).update("sunseo:key:v1\0open\0").digest().subarray(0, 16);
}

function withDefaults(options) {
  const given = {
    failMode: options.failMode ?? "closed",
    openRateMax: options.openRateMax ?? 10,
    renewalWaitMs: options.renewalWaitMs ?? 250,
    skewS: options.skewS ?? 5,
    staleS: options.staleS ?? 15,
  };
  if (!FAIL_MODES.has(given.failMode)) throw new TypeError("failMode is closed, last_known or open");
  if (!(given.openRateMax > 0 && given.staleS > 0 && given.skewS >= 0 && given.renewalWaitMs >= 0)) {
    throw new TypeError("openRateMax and staleS are above zero, skewS and renewalWaitMs are not below");
  }
  return given;
}

function addressesOf(options, room) {
  const publicUrl = absolute(options.publicUrl ?? options.sunseoUrl, "publicUrl").replace(/\/+$/, "");
  const siteUrl = options.siteUrl === undefined ? null : absolute(options.siteUrl, "siteUrl").replace(/\/+$/, "");
  return { room, publicUrl, pageUrl: absolute(options.pageUrl ?? `${publicUrl}/r/${room}`, "pageUrl"), siteUrl };
}

function absolute(url, name) {
  let parts = null;
  try {
    parts = new URL(url);
  } catch {
    // Said below.
  }
  if (parts === null || !/^https?:$/.test(parts.protocol)) {
    throw new TypeError(`${name}: ${JSON.stringify(url)} is not an absolute http or https URL`);
  }
  return String(url);
}

module.exports = { Bucket, GateCore, POLL };
