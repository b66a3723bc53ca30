"use strict";
/**
 * The gate as middleware: `(req, res, next)`, as Express, Connect and plain node:http have it.
 *
 * The app gets the headers `Sunseo-Pass-Id` and `Sunseo-Pass` of who was let in with a pass, never
 * ones that a client made up, and `req.waitingRoom`. It ends a pass by answering with the header
 * `Waiting-Room-Command: complete`, `leave` or `revoke`, which no client gets to see.
 */
const { COMMANDS } = require("./sender.js");
const { GateCore } = require("./decision.js");

const COMMAND = "waiting-room-command";

/**
 * @param {object} options see index.d.ts
 * @returns {Function} `(req, res, next)`, with `admits`, `ready`, `counts` and `close`
 */
function waitingRoom(options) {
  const core = new GateCore(options);
  const looking = core.start();

  function gate(req, res, next) {
    const asked = askedOf(req, options);
    const decision = verdictOn(core, asked);
    stripOurs(req);
    if (decision.answer !== null) return answer(req, res, decision.answer);
    if (decision.pass !== null) tellApp(req, decision);
    else req.waitingRoom = null;
    const after = { decision, renewed: undefined };
    beforeHeaders(res, () => finish(res, core, asked, after));
    if (decision.renewal === null) return next();
    return renewedInTime(decision.renewal, core.options.renewalWaitMs, after).then(() => next());
  }

  gate.admits = (req) => admits(core, req, options);
  gate.ready = () => looking;
  gate.close = () => core.close();
  Object.defineProperty(gate, "counts", { get: () => ({ ...core.counts, dropped: core.sender.dropped }) });
  Object.defineProperty(gate, "core", { value: core, enumerable: false });
  return gate;
}

function verdictOn(core, asked) {
  const handover = core.handover(asked);
  if (handover === null) return core.judge(asked);
  return { answer: handover, pass: null, text: "", cookies: [], renewal: null };
}

/** For what no middleware sees, such as a WebSocket's upgrade: whether this request may go on. */
function admits(core, req, options) {
  const decision = core.judge(askedOf(req, options));
  stripOurs(req);
  if (decision.pass !== null) tellApp(req, decision);
  return decision.answer === null;
}

// What is asked

/** A request, as far as a gate looks at it: as the client sent it, whatever is mounted where. */
function askedOf(req, options) {
  const target = req.originalUrl ?? req.url;
  const [rawPath, query] = split(target);
  const { headers } = req;
  const shown = headers["sunseo-pass"];
  return {
    method: req.method,
    rawPath,
    query,
    ambiguous: wasRewritten(req, rawPath),
    headers,
    cookie: typeof headers.cookie === "string" ? headers.cookie : "",
    pass: typeof shown === "string" ? shown.trim() : undefined,
    scheme: schemeOf(req, options),
    client: options.clientAddress ? options.clientAddress(req) : req.ip ?? req.socket?.remoteAddress,
  };
}

function split(target) {
  const at = target.indexOf("?");
  return at < 0 ? [target, ""] : [target.slice(0, at), target.slice(at + 1)];
}

/** Whether somebody before us changed the address: then the app will see another than we. */
function wasRewritten(req, rawPath) {
  if (req.originalUrl === undefined) return false;
  const seen = (req.baseUrl ?? "") + split(req.url)[0];
  return seen !== rawPath && seen !== `${rawPath}/`;
}

function schemeOf(req, options) {
  if (options.scheme) return options.scheme(req);
  if (options.siteUrl) return options.siteUrl.startsWith("https:") ? "https" : "http";
  return req.protocol ?? (req.socket?.encrypted ? "https" : "http"); // Express knows its proxies
}

/**
 * Take out whatever looks like ours, in the spelling with underscores, too, which some frameworks do
 * not tell from the one with hyphens.
 */
function stripOurs(req) {
  const isOurs = (name) => name.startsWith("sunseo") || name.replaceAll("_", "-") === COMMAND;
  for (const name of Object.keys(req.headers)) if (isOurs(name)) delete req.headers[name];
  const raw = req.rawHeaders;
  for (let i = raw.length - 2; i >= 0; i -= 2) if (isOurs(raw[i].toLowerCase())) raw.splice(i, 2);
}

function tellApp(req, { pass, text }) {
  const told = { "Sunseo-Pass-Id": pass.passId, "Sunseo-Pass": text };
  for (const [name, value] of Object.entries(told)) {
    req.headers[name.toLowerCase()] = value;
    req.rawHeaders.push(name, value);
  }
  req.waitingRoom = { pass, token: text };
}

// What is answered

function answer(req, res, { status, headers, body }) {
  const bytes = Buffer.from(body, "utf8");
  res.statusCode = status;
  for (const [name, value] of Object.entries(headers)) res.setHeader(name, value);
  res.setHeader("content-length", bytes.length);
  if (req.method === "HEAD") res.end();
  else res.end(bytes);
}

/** Wait a little for a renewal: headers cannot be held back once the app has begun to answer. */
function renewedInTime(renewal, waitMs, after) {
  renewal.then((renewed) => { after.renewed = renewed; });
  if (waitMs === 0) return Promise.resolve();
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, waitMs);
    renewal.then(() => {
      clearTimeout(timer);
      resolve();
    });
  });
}

/** The beginning of the app's answer: its command obeyed and taken out, our cookies in. */
function finish(res, core, asked, { decision, renewed }) {
  const command = res.getHeader(COMMAND);
  if (command !== undefined) {
    res.removeHeader(COMMAND);
    const named = String(command).trim().toLowerCase();
    if (decision.pass !== null && COMMANDS.has(named)) {
      core.sender.end(named, decision.pass, decision.text);
      addCookies(res, [core.endedCookie(asked.scheme)]);
      return;
    }
  }
  const cookies = [...decision.cookies];
  if (renewed) cookies.push(core.passCookie(renewed.text, asked.scheme));
  else if (decision.renewal !== null && renewed === undefined) {
    cookies.push(core.renewingCookie(decision.pass, asked.scheme));
  }
  addCookies(res, cookies);
}

function addCookies(res, cookies) {
  if (cookies.length === 0) return;
  const set = res.getHeader("set-cookie") ?? [];
  res.setHeader("set-cookie", [...(Array.isArray(set) ? set : [String(set)]), ...cookies]);
  // An answer with somebody's pass in it is nobody else's.
  const kept = String(res.getHeader("cache-control") ?? "").toLowerCase();
  if (!/\b(?:no-store|private)\b/.test(kept)) res.setHeader("cache-control", "private, no-cache");
}

/** Do something once, before the headers of an answer are written, whoever writes them. */
function beforeHeaders(res, work) {
  const { writeHead } = res;
  res.writeHead = function writeHeadOfGate(status, ...rest) {
    res.writeHead = writeHead;
    const message = typeof rest[0] === "string" ? [rest.shift()] : [];
    takeOver(res, rest[0]);
    work();
    return writeHead.call(this, status, ...message);
  };
}

/** Headers given to writeHead, in whatever form Node takes, become ordinary ones. */
function takeOver(res, headers) {
  if (!headers) return;
  if (!Array.isArray(headers)) {
    for (const [name, value] of Object.entries(headers)) if (value !== undefined) res.setHeader(name, value);
    return;
  }
  const pairs = Array.isArray(headers[0]) ? headers : pairsOf(headers);
  const given = new Map();
  for (const [name, value] of pairs) {
    const key = String(name).toLowerCase();
    given.set(key, [...(given.get(key) ?? []), ...(Array.isArray(value) ? value : [value])]);
  }
  for (const [name, values] of given) res.setHeader(name, values.length === 1 ? values[0] : values);
}

function pairsOf(flat) {
  const pairs = [];
  for (let i = 0; i + 1 < flat.length; i += 2) pairs.push([flat[i], flat[i + 1]]);
  return pairs;
}

module.exports = { waitingRoom };
