/*
 * The waiting page, when scripts run: it follows the line without loading itself anew.
 *
 * State       What the server wrote into the page (`data-line`), and the newest state document. What it
 *             says follows from these by the server's own table (sentences.js).
 * Guarantee   The position shown never rises. A hidden page asks nothing. Nothing is entered while
 *             nobody looks: the turn is announced in the title and taken when the page is seen.
 * Clock       The server's, from the signed `now` of each document.
 * On failure  It says so, keeps what it shows and asks again, later each time.
 */
(function () {
  "use strict";

  const main = document.getElementById("main");
  const rules = window.sunseo && window.sunseo.rules;
  const table = window.sunseoSentences;
  const byId = (id) => document.getElementById(id);
  const ENTER_AFTER_MS = 1500; // time to read that it is one's turn
  const FAILURE_S = 5;
  const RELOAD_WITHIN_MS = 5000; // those who all get their numbers now do not all ask at once

  // A page that came back from the browser's memory is as old as it was left.
  window.addEventListener("pageshow", (event) => {
    if (event.persisted) location.reload();
  });
  if (!rules || (main.dataset.page === "line" && !table)) { // half of the scripts are here: do as a page without any
    setTimeout(() => location.reload(), FAILURE_S * 6000);
    return;
  }

  function show(element, visible) {
    if (element) element.hidden = !visible;
  }

  function say(element, text) {
    if (element && element.textContent !== text) element.textContent = text;
  }

  function fill(template, values) {
    return template.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? String(values[name]) : whole));
  }

  // The line

  function followLine(line) {
    const texts = Object.assign({}, line.texts, table.texts[document.documentElement.lang]);
    const count = new Intl.NumberFormat(document.documentElement.lang);
    const clock = new Intl.DateTimeFormat(document.documentElement.lang, { timeStyle: "medium" });
    const title = document.title;
    let state = null;
    let offsetMs = line.now - Date.now();
    let shown = line.number ? Math.max(0, line.number - line.serving) : null;
    let failures = 0;
    let promised = null;
    let timer = 0;
    let ended = false;
    let entering = false;

    const nowMs = () => Date.now() + offsetMs;

    async function look() {
      const limit = new AbortController();
      const late = setTimeout(() => limit.abort(), 15000);
      try {
        const answer = await fetch(line.state, { cache: "no-cache", credentials: "omit", signal: limit.signal });
        if (!answer.ok) throw new Error(String(answer.status));
        learn(await answer.json());
        failures = 0;
      } catch (_) {
        failures += 1;
        notice(texts.offline);
      } finally {
        clearTimeout(late);
      }
      if (!ended) timer = setTimeout(turnOfTimer, afterMs());
    }

    function turnOfTimer() {
      if (document.visibilityState !== "hidden") look();
      else timer = 0; // looks again as soon as it is seen
    }

    function afterMs() {
      if (failures) return 1000 * rules.backOff(failures, FAILURE_S, line.ceiling, Math.random());
      if (state === null) return 1000 * line.floor;
      return 1000 * rules.pollAfter(state, shown, nowMs(), Math.random());
    }

    function learn(document_) {
      if (state && rules.isOlder(document_, state)) return;
      state = document_;
      offsetMs = rules.offset(offsetMs, state.now - Date.now());
      if (state.epoch !== line.epoch) return location.reload();
      const facts = rules.facts(state, line.has);
      const [heading, more] = rules.said(table.sayings, facts).map((name) => texts[name] || "");
      const [warning] = rules.said(table.notices, facts).map((name) => texts[name] || "");
      if (rules.verdict(state)) return end(heading, more);
      if (canGetNumber()) return getNumber();
      const opened = state.phase !== "before";
      show(byId("opening"), !opened);
      show(byId("joins"), !opened);
      if (state.draw) say(byId("draw-entrants"), count.format(state.draw.entrants));
      if (line.number) draw(opened);
      if (line.number && isCalled(opened)) return turn();
      show(byId("turn"), false);
      show(byId("waiting"), true);
      const next = heading === texts.in_line && shown === 1;
      head(next ? texts.next : heading, more);
      notice(warning);
      announce(opened && line.number ? `${texts.ahead} ${count.format(Math.max(0, shown - 1))} ${texts.ahead_unit}`.trim() : "");
      tellOfOperator();
    }

    function tellOfOperator() {
      say(byId("message"), messageOf(state.message));
      show(byId("message-row"), byId("message").textContent !== "");
      say(byId("updated"), fill(texts.updated, { time: clock.format(new Date()) }));
    }

    function isCalled(opened) {
      return opened && state.phase !== "paused" && (shown === 0 || state.mode === "passthrough");
    }

    /** Who has nothing can join now, or the number of who is registered has been drawn. */
    function canGetNumber() {
      if (line.has === "registered") return !state.draw || state.draw.state === "revealed";
      return line.has === "nothing" && (state.phase !== "before" || Boolean(line.joins_at && nowMs() >= line.joins_at));
    }

    /** A number that can be had now, or has been drawn: the page brings it. */
    function getNumber() {
      ended = true;
      setTimeout(() => location.reload(), RELOAD_WITHIN_MS * Math.random());
    }

    function draw(opened) {
      const position = rules.position(line.number, state.serving);
      shown = shown === null ? position : Math.min(shown, position);
      const estimate = rules.estimate(state, shown, nowMs());
      promised = promised || { toS: estimate.to, atMs: nowMs() };
      show(byId("counting"), opened);
      show(byId("wait-row"), opened);
      say(byId("ahead"), count.format(Math.max(0, shown - 1)));
      say(byId("wait"), waitOf(estimate));
      byId("progress").value = line.began > 0 ? Math.round(100 * (1 - Math.min(1, shown / line.began))) : 100;
      show(byId("units-row"), state.units_left !== null);
      if (state.units_left !== null) say(byId("units"), count.format(state.units_left));
    }

    /** In her language, or else in the one that the operator wrote. */
    function messageOf(message) {
      if (!message) return "";
      return message[document.documentElement.lang] || message.ko || message.en || "";
    }

    function waitOf(estimate) {
      if (estimate.from === null || estimate.to === null) return texts.wait_unknown;
      const [from, to] = [minutes(estimate.from), minutes(estimate.to)];
      if (to <= 1) return texts.less_than_a_minute;
      if (to >= 120) {
        const [low, high] = [Math.max(1, Math.floor(from / 60)), Math.ceil(to / 60)];
        return fill(low === high ? texts.hours : texts.hours_range, { from: low, to: high });
      }
      return fill(from >= to ? texts.minutes : texts.minutes_range, { from: Math.max(1, from), to });
    }

    /** Whole minutes; above twenty in steps of five, since nobody knows better. */
    function minutes(seconds) {
      const whole = Math.ceil(seconds / 60);
      return whole > 20 ? Math.ceil(whole / 5) * 5 : whole;
    }

    function head(text, more) {
      say(byId("heading"), text);
      say(byId("more"), more);
      show(byId("more"), more !== "");
      document.title = title;
    }

    function notice(text) {
      say(byId("notice"), text);
      show(byId("notice"), text !== "");
    }

    let announced = "";
    let announcedAt = 0;
    /** For screen readers: seldom enough to be bearable, at once when it is one's turn. */
    function announce(text, urgent) {
      const now = Date.now();
      if (!text || text === announced || (!urgent && now - announcedAt < 60000)) return;
      announced = text;
      announcedAt = now;
      say(byId("status"), text);
    }

    function end(text, more) {
      ended = true;
      say(byId("heading"), text);
      document.title = text;
      say(byId("more"), more);
      for (const [id, visible] of [["more", true], ["turn", false], ["waiting", false], ["notice", false]]) show(byId(id), visible);
      announce(text, true);
    }

    function turn() {
      say(byId("heading"), texts.turn);
      say(byId("more"), texts.turn_more);
      for (const [id, visible] of [["more", true], ["turn", true], ["waiting", false], ["notice", false]]) show(byId(id), visible);
      tellOfOperator();
      document.title = texts.turn_title;
      announce(texts.turn, true);
      goIn();
    }

    function goIn(afterMs) {
      if (entering || !line.enters_alone || document.visibilityState === "hidden") return;
      entering = true;
      setTimeout(() => {
        if (document.visibilityState === "hidden") entering = false;
        else byId("enter").requestSubmit();
      }, afterMs || ENTER_AFTER_MS);
    }

    function countDown() {
      const leftS = Math.max(0, Math.ceil((line.opens_at - nowMs()) / 1000));
      const two = (value) => String(value).padStart(2, "0");
      const values = { days: Math.floor(leftS / 86400), hours: two(Math.floor((leftS % 86400) / 3600)), minutes: two(Math.floor((leftS % 3600) / 60)), seconds: two(leftS % 60) };
      say(byId("countdown"), fill(values.days ? texts.countdown_days : texts.countdown, values));
      show(byId("countdown-row"), true);
    }

    const file = byId("draw-file"); // to be noted down, and read on another computer
    if (file) say(file, location.origin + file.textContent);
    byId("enter").addEventListener("submit", (event) => {
      entering = true;
      const button = event.target.querySelector("button");
      button.disabled = true;
      say(button, texts.entering);
    });
    document.addEventListener("visibilitychange", () => {
      if (document.visibilityState === "hidden" || ended) return;
      if (!byId("turn").hidden) goIn();
      else if (!timer) look();
    });
    if (line.opens_at) {
      countDown();
      setInterval(countDown, 1000);
    }
    if (line.turn) {
      document.title = texts.turn_title;
      goIn(line.again_s * 1000 * (1 + 0.3 * Math.random()));
    } else {
      timer = setTimeout(turnOfTimer, 1000 * line.floor);
    }
  }

  // The challenge

  function solveChallenge(challenge) {
    if (challenge.kind !== "altcha") return;
    const form = byId("challenge");
    show(byId("working"), true);
    rules.proveWork(challenge).then((answer) => {
      if (answer === null) return location.reload(); // no number fits: we get another challenge
      form.elements.challenge.value = answer;
      return form.requestSubmit();
    });
  }

  if (main.dataset.page === "line") followLine(JSON.parse(main.dataset.line));
  if (main.dataset.page === "challenge") solveChallenge(JSON.parse(main.dataset.challenge));
})();
