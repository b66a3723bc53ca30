/*
 * sunseo.js: the waiting room in front of one button. No dependency. Apache-2.0.
 *
 *     const turn = await sunseo.enter(42, { onUpdate: (wait) => show(wait) });
 *     if (turn.pass) order(turn.pass);
 *
 * State       One record per room in localStorage, shared by all tabs: secret, nonce, place, pass.
 * Guarantee   One place per browser and room, whatever tabs and reloads do; it is asked for under a
 *             lock where the browser has locks. The position that is shown never rises. A hidden tab
 *             asks nothing while it waits. Retry-After is obeyed; trouble is answered by waiting.
 * Clock       The server's: its signed `now` corrects ours for what is absolute. What is relative is
 *             measured from when the answer came.
 * On failure  A lost answer is asked for again with the same nonce, place or pass, so that nothing
 *             is taken twice. Without localStorage the record lives as long as the page.
 */
(function (root) {
  "use strict";

  const POLL = { floor: 2, ceiling: 60, divisor: 10 }; // seconds, until the room says otherwise
  const SPREAD = 0.3; // polls come up to 30 % later, so that those who came together spread out
  const GREW_SHARE = 1.1; // an estimate grew when it is a tenth
  const GREW_S = 10; //        and ten seconds longer than what was promised
  const BACKOFF_S = 2; // after the first failure; doubles up to the ceiling
  const ANSWER_S = 15; // longer than this we do not wait for an answer
  const NONCE_S = 600; // the server takes a nonce for longer; afterwards we get a new one
  const CHALLENGES_MAX = 3; // in one join: an answer may have come too late
  const HASHES_A_TURN = 2000; // a few milliseconds, then the page may draw and answer clicks
  const SECRET_BYTES = 32;
  const STEP_MS = 30000; // no cache keeps a document for so long: a clock was set
  const VOID_MAX = 5; // so often in a row a place may be void before we give up

  const home = originOf(root.document && root.document.currentScript && root.document.currentScript.src);

  class SunseoError extends Error {
    constructor(code, message, status) {
      super(message || code);
      this.name = "SunseoError";
      this.code = code;
      this.status = status || 0;
    }
  }

  /** Something is in the way for now: no network, an overloaded server. Never leaves this file. */
  class Trouble extends Error {
    constructor(kind, retryAfterS) {
      super(kind);
      this.kind = kind;
      this.retryAfterS = retryAfterS || 0;
    }
  }

  // Rules: pure, told the time and the dice.

  // How soon to ask again, in seconds: passes/polling.py says why. Scripts for k6 have this text, too.
  function pollAfterS(state, ahead, nowMs) {
    const { floor, ceiling, divisor } = state.poll;
    const speed = state.speed ? state.speed.v50 : 0;
    let afterS;
    if (state.phase === "before" && state.opens_at !== null) afterS = (state.opens_at - nowMs) / 1000 / divisor;
    else if (ahead === null) afterS = state.halted === "draw_due" ? 5 : ceiling / 4;
    else if (ahead <= 0) afterS = 0;
    else if (speed) afterS = ahead / speed / divisor;
    else afterS = Math.min(ahead / divisor, ceiling / 4);
    if (state.phase === "paused") afterS = Math.max(afterS, ceiling / 2);
    return Math.min(ceiling, Math.max(floor, afterS));
  }

  const rules = {
    /** How many are to enter until it is our turn, ours included; 0 when it is. */
    position(number, serving) {
      return Math.max(0, number - serving);
    },

    /** Seconds until our turn, from the fast case to the slow one; null where nobody can say. */
    estimate(state, position, nowMs) {
      const speed = state.speed || {};
      const opensAtMs = state.phase === "before" ? toMs(state.opens_at) : null;
      const untilOpenS = opensAtMs === null ? 0 : Math.max(0, (opensAtMs - nowMs) / 1000);
      const wait = (perSecond) => {
        if (position === 0) return untilOpenS;
        return perSecond > 0 ? untilOpenS + position / perSecond : null;
      };
      return { from: wait(speed.v90), likely: wait(speed.v50), to: wait(speed.v10) };
    },

    /** Seconds until the next poll, spread out. The position is null for who has no number. */
    pollAfter(state, position, nowMs, dice) {
      const known = Object.assign({}, state, { poll: Object.assign({}, POLL, state.poll), opens_at: toMs(state.opens_at) });
      return pollAfterS(known, position, nowMs) * (1 + SPREAD * dice);
    },

    /** Seconds to stay away after a failure: never less than we were told, never in step. */
    backOff(failures, retryAfterS, ceilingS, dice) {
      const mineS = Math.min(ceilingS, BACKOFF_S * 2 ** Math.min(failures - 1, 10));
      return Math.max(mineS * (0.5 + 0.5 * dice), retryAfterS * (1 + SPREAD * dice));
    },

    /** Why the estimate is longer than what was promised, or null. */
    delay(state, estimate, promised, nowMs) {
      const why = state.phase === "paused" ? "paused" : state.slowed || null;
      if (!promised || promised.toS === null) return null;
      const expectedS = promised.toS - (nowMs - promised.atMs) / 1000;
      const grew = estimate.to === null || estimate.to > expectedS * GREW_SHARE + GREW_S;
      return grew ? why || "slowed" : null;
    },

    /** Whether one document is older than another. A clock may go back: with an earlier time it is
     *  the newer one if its line has come further, or stands still and no cache would be so old. */
    isOlder(state, known) {
      if (state.epoch !== known.epoch || state.now >= known.now) return state.epoch < known.epoch;
      if (state.serving !== known.serving) return state.serving < known.serving;
      if (state.issued !== known.issued) return state.issued < known.issued;
      return known.now - state.now < STEP_MS;
    },

    /** The room's time less ours: an answer is younger than its `now` says, never older, so that the
     *  largest difference is the best, unless a clock was set. */
    offset(knownMs, offsetMs) {
      const isSet = knownMs === null || Math.abs(offsetMs - knownMs) > STEP_MS;
      return isSet ? offsetMs : Math.max(knownMs, offsetMs);
    },

    /** The situation of who has "nothing", is "registered" or has a "number", for a table to be asked. */
    facts(state, has) {
      const { phase, mode, halted, draw, slowed } = state;
      return {
        has, phase, mode, halted: halted || "", draw: draw ? draw.state : "", keeper: draw ? draw.keeper : "", slowed: slowed || "",
      };
    },

    /** What the first row says whose conditions all hold, or null. */
    said(rows, facts) {
      const row = rows.find(([when]) => Object.entries(when).every(([fact, values]) => values.includes(facts[fact])));
      return row ? row[1] : null;
    },

    /** What the room's phase and stock say to everybody who has no pass, or null. */
    verdict(state) {
      if (state.phase === "closed") return "closed";
      return state.sold_out ? "sold_out" : null;
    },

    sha256,
    proveWork,
  };

  // What is kept between tabs and reloads.

  class Record {
    constructor(key) {
      this.key = key;
      this.memory = {};
    }

    read() {
      try {
        return JSON.parse(root.localStorage.getItem(this.key)) || this.memory;
      } catch (_) {
        return this.memory;
      }
    }

    change(changes) {
      const record = Object.assign({}, this.read(), changes);
      for (const name of Object.keys(record)) if (record[name] === undefined) delete record[name];
      this.memory = record;
      try {
        root.localStorage.setItem(this.key, JSON.stringify(record));
      } catch (_) {
        // No storage, or a full one: the page remembers for itself.
      }
      return record;
    }

    forget() {
      this.memory = {};
      try {
        root.localStorage.removeItem(this.key);
      } catch (_) {
        // As above.
      }
    }

    /** Let other tabs know what the server said, so that two open windows do not both ask. */
    share(state) {
      try {
        root.localStorage.setItem(`${this.key}:state`, JSON.stringify(state));
      } catch (_) {
        // They ask for themselves.
      }
    }

    /** One tab at a time. Without locks two tabs may rarely do it both; the server bears that. */
    exclusively(work) {
      const locks = root.navigator && root.navigator.locks;
      return locks ? locks.request(this.key, work) : work();
    }
  }

  // The server.

  class Server {
    constructor(room, options) {
      const base = options.base === undefined ? home : options.base;
      this.base = String(base || root.location.origin).replace(/\/+$/, "");
      this.url = `${this.base}/v1/rooms/${encodeURIComponent(room)}`;
      this.token = options.token;
      this.signal = options.signal;
    }

    async bearer() {
      const token = typeof this.token === "function" ? await this.token() : this.token;
      return token || null;
    }

    state() {
      // Asks again each time, and lets the browser's cache answer when the server says 304.
      return this.ask("GET", "/state", { cache: "no-cache" });
    }

    async write(method, path, body, as) {
      const headers = body === undefined ? {} : { "content-type": "application/json" };
      const bearer = as === "visitor" ? await this.bearer() : null;
      if (bearer) headers.authorization = `Bearer ${bearer}`;
      const sent = body === undefined ? undefined : JSON.stringify(body);
      return this.ask(method, path, { cache: "no-store", headers, body: sent });
    }

    /** One request. Whatever only time can mend is thrown as Trouble; all else is an answer. */
    async ask(method, path, how) {
      const limit = new AbortController();
      const stop = () => limit.abort();
      const timer = setTimeout(stop, ANSWER_S * 1000);
      if (this.signal) this.signal.addEventListener("abort", stop);
      try {
        const request = { method, credentials: "omit", signal: limit.signal };
        const answer = await root.fetch(this.url + path, Object.assign(request, how));
        const text = await answer.text();
        return readAnswer(answer, text);
      } catch (error) {
        if (error instanceof Trouble) throw error;
        throwIfAborted(this.signal);
        throw new Trouble("offline");
      } finally {
        clearTimeout(timer);
        if (this.signal) this.signal.removeEventListener("abort", stop);
      }
    }
  }

  function readAnswer(answer, text) {
    if (answer.status === 429 || answer.status === 408 || answer.status >= 500) {
      throw new Trouble("busy", retryAfterS(answer.headers.get("retry-after")));
    }
    let body = {};
    try {
      body = text ? JSON.parse(text) : {};
    } catch (_) {
      throw new Trouble("busy"); // some proxy's page, not the room's answer
    }
    return { status: answer.status, ok: answer.status < 300, body };
  }

  function retryAfterS(header) {
    if (!header) return 0;
    const seconds = /^\d+$/.test(header) ? Number(header) : (Date.parse(header) - Date.now()) / 1000;
    return seconds > 0 ? Math.min(seconds, 3600) : 0;
  }

  // One visitor's wait.

  class Wait {
    constructor(room, options) {
      this.room = room;
      this.options = options;
      this.signal = options.signal;
      this.server = new Server(room, options);
      this.state = null;
      this.offsetMs = null; // the server's clock less ours
      this.askedAtMs = 0;
      this.failures = 0;
      this.voided = 0;
      this.promised = null;
      this.delay = null;
      this.inherited = false; // the place is one that an earlier visit left behind
    }

    async run() {
      throwIfAborted(this.signal);
      const who = subjectOf(await this.server.bearer());
      this.record = new Record(`sunseo:${this.server.base}:${this.room}:${who}`);
      this.inherited = Boolean(this.record.read().place);
      for (;;) {
        try {
          const turn = await this.step();
          this.failures = 0;
          if (turn) return turn;
        } catch (error) {
          if (!(error instanceof Trouble)) throw error;
          await this.weather(error);
        }
      }
    }

    /** One round: look, join if we have not, enter if it is our turn, otherwise sleep. */
    async step() {
      if (this.stale()) await this.look();
      const over = rules.verdict(this.state);
      if (over && !this.record.read().pass) return this.finish(over); // who is inside may go on
      if (!this.place() && !this.registered()) {
        const refused = await this.join();
        if (refused) return refused;
      }
      if (this.called()) return this.enter();
      this.tell(this.record.read().receipt ? "registered" : "waiting");
      await this.sleep(this.pollAfterS(), true);
      return null;
    }

    // Looking

    stale() {
      return this.state === null || this.lookAgain;
    }

    async look() {
      const answer = await this.server.state();
      if (!answer.ok) throw this.wrong(answer);
      this.learn(answer.body);
      this.record.share(answer.body);
    }

    /** Take a state document over. Caches may hand us an older one: what was true stays true. */
    learn(state) {
      const nowMs = Date.now();
      this.askedAtMs = nowMs;
      this.lookAgain = false;
      const known = this.state;
      if (known && rules.isOlder(state, known)) return;
      this.state = state;
      this.offsetMs = rules.offset(this.offsetMs, state.now - nowMs);
      const record = this.record.read();
      if (record.place && record.epoch < state.epoch) this.drop("reset");
      if (record.receipt && record.receiptEpoch < state.epoch) this.drop("reset");
      this.measure();
    }

    /** Position and estimate as the visitor may see them. */
    measure() {
      const record = this.place();
      if (!record) return;
      const nowMs = this.nowMs();
      const position = rules.position(record.number, this.serving());
      const lowest = record.lowest === undefined ? position : Math.min(record.lowest, position);
      if (lowest !== record.lowest) this.record.change({ lowest });
      const estimate = rules.estimate(this.state, lowest, nowMs);
      const delay = rules.delay(this.state, estimate, this.promised, nowMs);
      if (delay || !this.state.slowed) this.delay = delay;
      this.promised = { toS: estimate.to, atMs: nowMs };
      this.seen = { position: lowest, estimate };
    }

    place() {
      const record = this.record.read();
      return record.place ? record : null;
    }

    serving() {
      return Math.max(this.state.serving, this.served || 0);
    }

    /** Registered for a draw that has not been held yet: there is nothing to ask for. */
    registered() {
      const { draw, phase } = this.state;
      return Boolean(this.record.read().receipt) && (draw ? draw.state !== "revealed" : phase === "before");
    }

    called() {
      const record = this.place();
      return Boolean(record) && record.epoch === this.state.epoch && record.number <= this.serving();
    }

    nowMs() {
      return Date.now() + (this.offsetMs || 0);
    }

    pollAfterS() {
      const record = this.place();
      const position = record ? rules.position(record.number, this.serving()) : null;
      const afterS = rules.pollAfter(this.state, position, this.nowMs(), Math.random());
      // Who has no place yet asks twice each time, so half as often.
      return this.notYet ? Math.max(afterS, this.pollCeilingS() / 4) : afterS;
    }

    pollFloorS() {
      return (this.state && this.state.poll && this.state.poll.floor) || POLL.floor;
    }

    pollCeilingS() {
      return (this.state && this.state.poll && this.state.poll.ceiling) || POLL.ceiling;
    }

    // Joining

    /** Ask for a place. Gives a turn only when that is the end of it. */
    join() {
      this.tell("joining");
      return this.record.exclusively(async () => {
        if (this.place()) return null; // another tab was faster
        const nonce = await this.nonce();
        if (this.place()) return null; // what it wrote reaches us a moment after the lock does
        let answer = await this.put(nonce);
        for (let tries = 0; answer.body.challenge && tries < CHALLENGES_MAX; tries += 1) {
          const solution = await this.solve(answer.body.challenge);
          if (solution === null) return this.finish("challenged");
          answer = await this.put(nonce, solution);
        }
        return answer.body.challenge ? this.finish("challenged") : this.joined(answer);
      });
    }

    /** The page's own way first, then proof of work, which needs nobody. Null: we cannot. */
    async solve(challenge) {
      this.tell("proving");
      const own = this.options.solve ? await this.options.solve(challenge) : null;
      if (own) return own;
      return challenge.kind === "altcha" ? proveWork(challenge) : null;
    }

    async nonce() {
      const record = this.record.read();
      if (record.nonce && Math.abs(Date.now() - record.nonceAtMs) < NONCE_S * 1000) return record.nonce;
      if (record.nonce && record.receipt) return record.nonce; // it names us in the draw
      const answer = await this.server.write("POST", "/nonces");
      if (!answer.ok) throw this.wrong(answer);
      const secret = record.secret || base64url(randomBytes(SECRET_BYTES));
      this.record.change({ nonce: answer.body.nonce, nonceAtMs: Date.now(), secret });
      return answer.body.nonce;
    }

    async put(nonce, challenge) {
      const body = {};
      if (!(await this.server.bearer())) body.binding = bindingOf(this.record.read().secret);
      if (challenge !== undefined) body.challenge = challenge;
      return this.server.write("PUT", `/places/${encodeURIComponent(nonce)}`, body, "visitor");
    }

    joined(answer) {
      const body = answer.body;
      if (answer.ok && body.place) {
        this.record.change({
          place: body.place, number: body.number, epoch: body.epoch, receipt: undefined, lowest: undefined,
        });
        this.served = body.epoch >= this.state.epoch ? body.serving : 0;
        if (body.epoch > this.state.epoch) this.lookAgain = true;
        this.notYet = false;
        this.measure();
        return null;
      }
      if (answer.ok && body.receipt) {
        this.record.change({ receipt: body.receipt, receiptEpoch: body.epoch });
        this.notYet = this.state.phase !== "before"; // then the draw is late
        return null;
      }
      if (body.outcome === "not_yet") {
        this.notYet = true;
        return null;
      }
      if (body.outcome === "nonce_expired") {
        this.record.change({ nonce: undefined, receipt: undefined });
        throw new Trouble("busy");
      }
      if (body.outcome === "room_closed") return this.finish("closed");
      throw this.wrong(answer);
    }

    // Entering

    async enter() {
      this.tell("entering");
      const answer = await this.askToEnter();
      const body = answer.body;
      if (answer.ok && body.pass) return this.admit(body);
      if (answer.status === 202) {
        await this.sleep((body.poll_after_s || this.pollFloorS()) * (1 + SPREAD * Math.random()), true);
        return null;
      }
      if (body.outcome === "not_served") {
        this.served = 0; // what another cache told us was ahead of the truth
        this.state = Object.assign({}, this.state, { serving: Math.min(this.state.serving, this.place().number - 1) });
        await this.sleep(this.pollAfterS(), true);
        return null;
      }
      if (body.outcome === "other_epoch") return this.startAgain("reset");
      if (body.outcome === "room_closed") return this.finish("closed");
      const over = ENDINGS[body.outcome];
      if (over && !this.inherited) return this.finish(over);
      if (over || answer.status === 403) return this.startAgain("again");
      throw this.wrong(answer);
    }

    async askToEnter() {
      const record = this.place();
      const body = { place: record.place };
      if (!(await this.server.bearer())) body.secret = record.secret;
      return this.server.write("POST", "/enter", body, "visitor");
    }

    admit(body) {
      this.keepPass(body);
      this.tell("entered");
      return new Turn("entered", this);
    }

    keepPass(body) {
      const expiresAtMs = toMs(body.expires_at);
      this.record.change({
        pass: body.pass, passAtMs: Date.now(), renewAfterS: Math.max(1, body.renew_after_s || 0), expiresAtMs,
      });
    }

    /** The place is void, or is left over from a visit that is over: take a new one. */
    async startAgain(why) {
      this.voided += 1;
      if (this.voided > VOID_MAX) throw new SunseoError("place_void", "The room keeps refusing our places.");
      this.drop(why);
      if (this.voided > 1) await this.sleep(rules.backOff(this.voided, 0, this.pollCeilingS(), Math.random()), false);
      this.lookAgain = true;
      return null;
    }

    drop(why) {
      this.record.forget();
      this.served = 0;
      this.inherited = false;
      this.promised = null;
      this.seen = null;
      this.tell(why);
    }

    /** The end without a pass. A place outlives a closed or sold-out room: both may open again. */
    finish(outcome) {
      if (Object.values(ENDINGS).includes(outcome)) this.record.forget();
      this.tell(outcome);
      return new Turn(outcome, this);
    }

    // Waiting

    async weather(trouble) {
      this.failures += 1;
      this.lookAgain = true;
      this.tell("waiting", trouble.kind);
      const ceilingS = this.pollCeilingS();
      const afterS = rules.backOff(this.failures, trouble.retryAfterS, ceilingS, Math.random());
      await this.sleep(afterS, false);
    }

    /**
     * Sleep, and look again afterwards. A hidden tab sleeps on until it is seen. With `flush_now` a tab
     * that comes back looks at once, and what another tab has just learnt spares us the asking.
     */
    sleep(seconds, hurry) {
      this.lookAgain = true;
      return new Promise((resolve, reject) => {
        let due = false;
        const end = (settle, value) => {
          clearTimeout(timer);
          unlisten();
          settle(value);
        };
        const wake = () => {
          due = true;
          if (!hidden()) end(resolve);
        };
        const onVisible = () => {
          if (hidden()) return;
          const sinceS = (Date.now() - this.askedAtMs) / 1000;
          if (due || (hurry && (sinceS >= this.pollFloorS() || sinceS < 0))) end(resolve);
        };
        const onStorage = (event) => {
          if (!hurry || event.key !== `${this.record.key}:state` || !event.newValue) return;
          this.learn(JSON.parse(event.newValue));
          if (!hidden()) end(resolve);
        };
        const onAbort = () => end(reject, abortReason(this.signal));
        const unlisten = listen([
          [root.document, "visibilitychange", onVisible],
          [root, "storage", onStorage],
          [this.signal, "abort", onAbort],
        ]);
        const timer = setTimeout(wake, seconds * 1000);
        if (this.signal && this.signal.aborted) onAbort();
      });
    }

    // Telling

    tell(stage, trouble) {
      if (!this.options.onUpdate) return;
      const state = this.state || {};
      const opensAtMs = toMs(state.opens_at);
      const seen = this.seen || {};
      const update = {
        stage,
        phase: state.phase || null,
        position: seen.position === undefined ? null : seen.position,
        eta: seen.estimate && seen.estimate.from !== null ? { from: seen.estimate.from, to: seen.estimate.to } : null,
        delay: this.delay,
        halted: state.halted || null,
        receipt: this.record ? this.record.read().receipt || null : null,
        unitsLeft: state.units_left === undefined ? null : state.units_left,
        message: state.message || null,
        opensAt: opensAtMs === null ? null : new Date(opensAtMs - (this.offsetMs || 0)),
        trouble: trouble || null,
      };
      try {
        this.options.onUpdate(update);
      } catch (error) {
        report(error); // the page's mistake, shown as such; our wait goes on
      }
    }

    wrong(answer) {
      const body = answer.body || {};
      return new SunseoError(body.outcome || "unexpected", body.detail || body.title, answer.status);
    }
  }

  const ENDINGS = { pass_revoked: "revoked", pass_done: "done", session_over: "session_over" };

  // What the visitor gets.

  /** The end of a wait. With a pass it stays alive, renewed in time, until left or over. */
  class Turn {
    constructor(outcome, wait) {
      this.outcome = outcome;
      this.room = wait.room;
      this.wait = wait;
      this.record = wait.record;
      this.over = outcome !== "entered";
      this.held = this.record.read().pass || null;
      this.ended = new Promise((resolve) => { this.settle = resolve; });
      if (this.over) this.settle(outcome);
      else if (wait.options.renew !== false) this.schedule();
      Object.defineProperty(this, "wait", { enumerable: false });
    }

    /** The token to send along, the newest; null when there is none any more. */
    get pass() {
      return this.over ? null : this.record.read().pass || this.held;
    }

    get expiresAt() {
      const expiresAtMs = this.over ? null : this.record.read().expiresAtMs;
      return expiresAtMs ? new Date(expiresAtMs - (this.wait.offsetMs || 0)) : null;
    }

    /** Give the slot back now, for the next in line. */
    async leave() {
      const pass = this.pass;
      this.end("left");
      if (!pass) return;
      this.record.forget();
      try {
        await this.wait.server.write("POST", "/leave", { pass });
      } catch (_) {
        // The pass runs out by itself within a minute.
      }
    }

    /** Stop renewing, for a page that goes away with the pass. */
    stop() {
      clearTimeout(this.timer);
    }

    end(reason) {
      if (this.over) return;
      this.over = true;
      this.stop();
      this.settle(reason);
    }

    schedule(afterS) {
      this.timer = setTimeout(() => this.renew(), (afterS === undefined ? renewAfterS(this.record) : afterS) * 1000);
    }

    /** Renew, unless another tab just did. After a lost answer we ask for what we have instead. */
    async renew() {
      try {
        const afterS = await this.record.exclusively(() => this.renewOnce());
        this.failures = 0;
        if (!this.over) this.schedule(afterS);
      } catch (error) {
        this.unsure = true;
        this.failures = (this.failures || 0) + 1;
        const told = error instanceof Trouble ? error.retryAfterS : 0;
        const ceilingS = Math.max(this.wait.pollFloorS(), 8); // the slot waits for a minute only
        if (!this.over) this.schedule(rules.backOff(this.failures, told, ceilingS, Math.random()) / 2);
      }
    }

    async renewOnce() {
      const record = this.record.read();
      if (this.over) return undefined;
      if (!record.pass) return this.end("left"); // by another tab
      if (record.pass !== this.held) {
        this.held = record.pass;
        return renewAfterS(this.record);
      }
      const again = this.unsure || this.lapsed;
      const answer = again
        ? await this.wait.askToEnter()
        : await this.wait.server.write("POST", "/renew", { pass: record.pass });
      return this.renewed(answer);
    }

    renewed(answer) {
      const body = answer.body;
      this.unsure = false;
      if (answer.ok && body.pass) {
        this.lapsed = false;
        this.held = body.pass;
        this.wait.keepPass(body);
        return renewAfterS(this.record);
      }
      this.lapsed = answer.status === 202 || body.outcome === "pass_expired";
      if (this.lapsed) return answer.status === 202 ? body.poll_after_s || 2 : 0;
      this.record.forget();
      return this.end(ENDINGS[body.outcome] || "revoked");
    }
  }

  /** Seconds until the stored pass is to be renewed; a clock that was set meanwhile does no harm. */
  function renewAfterS(record) {
    const kept = record.read();
    const passedS = Math.max(0, (Date.now() - kept.passAtMs) / 1000);
    return Math.max(0, kept.renewAfterS - passedS) * (1 - 0.1 * Math.random());
  }

  // Small things.

  function hidden() {
    return Boolean(root.document) && root.document.visibilityState === "hidden";
  }

  function listen(wanted) {
    const given = wanted.filter(([target]) => target && target.addEventListener);
    for (const [target, name, heard] of given) target.addEventListener(name, heard);
    return () => {
      for (const [target, name, heard] of given) target.removeEventListener(name, heard);
    };
  }

  function report(error) {
    if (root.reportError) root.reportError(error);
    else setTimeout(() => { throw error; });
  }

  function abortReason(signal) {
    return signal.reason || new DOMException("The wait was ended.", "AbortError");
  }

  function throwIfAborted(signal) {
    if (signal && signal.aborted) throw abortReason(signal);
  }

  function toMs(moment) {
    if (moment === null || moment === undefined) return null;
    const ms = typeof moment === "number" ? moment : Date.parse(moment);
    return Number.isNaN(ms) ? null : ms;
  }

  function originOf(url) {
    return url ? new URL(url, root.location.href).origin : null;
  }

  /** Whose place it is, so that the next person at this browser does not find it. */
  function subjectOf(token) {
    if (!token) return "guest";
    let named = token;
    try {
      const claims = JSON.parse(atob(token.split(".")[1].replace(/-/g, "+").replace(/_/g, "/")));
      if (claims.sub) named = `${claims.iss}|${claims.sub}`;
    } catch (_) {
      // No token that we can read: the token itself is the name.
    }
    return base64url(sha256(utf8(named)).slice(0, 9));
  }

  function utf8(text) {
    return new TextEncoder().encode(text);
  }

  function randomBytes(count) {
    return root.crypto.getRandomValues(new Uint8Array(count));
  }

  function bindingOf(secret) {
    const raw = atob(secret.replace(/-/g, "+").replace(/_/g, "/"));
    return base64url(sha256(Uint8Array.from(raw, (character) => character.charCodeAt(0))).slice(0, 16));
  }

  function base64url(bytes) {
    const text = btoa(String.fromCharCode(...bytes));
    return text.replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
  }

  /** Proof of work as ALTCHA has it: the number whose hash behind the salt is the challenge. */
  async function proveWork(challenge) {
    const wanted = challenge.challenge;
    for (let number = 0; number <= challenge.maxnumber; number += 1) {
      if (hex(sha256(utf8(challenge.salt + number))) === wanted) {
        const { algorithm, salt, signature } = challenge;
        return btoa(JSON.stringify({ algorithm, challenge: wanted, number, salt, signature }));
      }
      if (number % HASHES_A_TURN === HASHES_A_TURN - 1) await new Promise((resolve) => { setTimeout(resolve); });
    }
    return null;
  }

  function hex(bytes) {
    return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  }

  /** SHA-256 (FIPS 180-4). crypto.subtle is missing on plain-HTTP pages, where tests and intranets live. */
  function sha256(bytes) {
    const [constants, start] = primeFractions();
    const hash = Uint32Array.from(start);
    const padded = new Uint8Array(((bytes.length + 8) >> 6 << 6) + 64);
    padded.set(bytes);
    padded[bytes.length] = 0x80;
    const view = new DataView(padded.buffer);
    view.setUint32(padded.length - 8, Math.floor(bytes.length / 0x20000000));
    view.setUint32(padded.length - 4, bytes.length << 3);
    const words = new Uint32Array(64);
    for (let at = 0; at < padded.length; at += 64) {
      for (let i = 0; i < 16; i += 1) words[i] = view.getUint32(at + 4 * i);
      for (let i = 16; i < 64; i += 1) words[i] = words[i - 16] + small(words[i - 15], 7, 18, 3) + words[i - 7] + small(words[i - 2], 17, 19, 10);
      compress(hash, words, constants);
    }
    const digest = new DataView(new ArrayBuffer(32));
    hash.forEach((word, i) => digest.setUint32(4 * i, word));
    return new Uint8Array(digest.buffer);
  }

  function compress(hash, words, constants) {
    let [a, b, c, d, e, f, g, h] = hash;
    for (let i = 0; i < 64; i += 1) {
      const one = (h + big(e, 6, 11, 25) + ((e & f) ^ (~e & g)) + constants[i] + words[i]) | 0;
      const two = (big(a, 2, 13, 22) + ((a & b) ^ (a & c) ^ (b & c))) | 0;
      [h, g, f, e, d, c, b, a] = [g, f, e, (d + one) | 0, c, b, a, (one + two) | 0];
    }
    [a, b, c, d, e, f, g, h].forEach((word, i) => { hash[i] += word; });
  }

  function turned(word, by) {
    return (word >>> by) | (word << (32 - by));
  }

  function small(word, x, y, shift) {
    return turned(word, x) ^ turned(word, y) ^ (word >>> shift);
  }

  function big(word, x, y, z) {
    return turned(word, x) ^ turned(word, y) ^ turned(word, z);
  }

  let fractions = null;

  /** The first 32 bits of the fractions of the primes' cube roots, and of the first eight's square roots. */
  function primeFractions() {
    if (fractions) return fractions;
    const primes = [];
    for (let n = 2; primes.length < 64; n += 1) if (primes.every((prime) => n % prime)) primes.push(n);
    const bits = (root) => ((root - Math.floor(root)) * 0x100000000) | 0;
    fractions = [primes.map((prime) => bits(Math.cbrt(prime))), primes.slice(0, 8).map((prime) => bits(Math.sqrt(prime)))];
    return fractions;
  }

  // What a page sees.

  const sunseo = {
    /** Wait for a turn in a room. Rejects only when aborted or when the call itself is wrong. */
    async enter(room, options) {
      return new Wait(room, options || {}).run();
    },
    SunseoError,
    rules,
  };

  root.sunseo = sunseo;
  if (typeof module === "object" && module.exports) module.exports = sunseo;
})(typeof globalThis === "object" ? globalThis : self);
