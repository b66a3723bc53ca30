"use strict";
/** What the gate itself answers: to the line, back from it, or an explanation. Pure. */
const HANDOVER = "sunseo_pass";
const COOKIE_S = 3600; // longer than any pass: an expired one still tells that its visitor was inside
const RENEWING_S = 120;
const RETURN_CHARACTERS_MAX = 1800; // some proxies cut longer locations
const HOST = /^(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?$/;
const ELSEWHERE = /^\/[/\\\x00-\x1f\x7f]/; // begins what browsers take for another host's
const NOT_WRITTEN = /[^\x21\x23-\x3b\x3d\x3f-\x5b\x5d-\x7e]|#/g; // what an address cannot hold as it is
const UNCACHED = { "cache-control": "no-store" };

/**
 * Whether a program asks rather than a person: an app, a script, a single-page app.
 */
function wantsProblem(headers) {
  const accept = String(headers.accept ?? "").toLowerCase();
  if (accept.includes("text/html")) return false;
  const with_ = String(headers["x-requested-with"] ?? "").toLowerCase();
  if (accept.includes("json") || with_ === "xmlhttprequest") return true;
  const mode = String(headers["sec-fetch-mode"] ?? "navigate").toLowerCase();
  return mode !== "navigate" && mode !== "nested-navigate";
}

/** To the line: a redirect for browsers, a problem document for programs. */
function refused(asked, where, reason, poll) {
  const page = pageOf(asked, where, reason);
  if (!wantsProblem(asked.headers)) return { status: 303, headers: { location: page, ...UNCACHED }, body: "" };
  const base = `${where.publicUrl}/v1/rooms/${where.room}`;
  return problem(403, {
    type: `${where.publicUrl}/problems/pass_required`,
    title: "Pass required",
    status: 403,
    detail:
      "Join the waiting room, wait for your number, enter, and repeat the request with the pass " +
      "as the header Sunseo-Pass.",
    outcome: "pass_required",
    reason,
    room: where.room,
    page,
    join: { nonces: `${base}/nonces`, places: `${base}/places/{nonce}`, enter: `${base}/enter` },
    state: `${base}/state`,
    poll,
  });
}

/** Nobody is let in while the room cannot be reached; the line would be of no use either. */
function unreachable(asked, where, retryS) {
  const again = { "retry-after": String(retryS) };
  if (wantsProblem(asked.headers)) {
    const answer = problem(503, {
      type: `${where.publicUrl}/problems/room_unreachable`,
      title: "The waiting room cannot be reached",
      status: 503,
      detail: "Try again after the time in Retry-After.",
      outcome: "room_unreachable",
      room: where.room,
    });
    return { ...answer, headers: { ...answer.headers, ...again } };
  }
  const headers = { "content-type": "text/html; charset=utf-8", ...again, ...UNCACHED };
  return { status: 503, headers, body: unreachablePage(retryS) };
}

function unreachablePage(seconds) {
  return `<!doctype html>
<html lang="ko"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta http-equiv="refresh" content="${seconds}"><title>잠시만 기다려 주세요 · One moment please</title>
<body style="font:1.1rem/1.6 system-ui,sans-serif;max-width:32rem;margin:15vh auto;padding:0 1rem">
<p>지금은 대기열에 연결할 수 없습니다. ${seconds}초 후 자동으로 다시 시도합니다.</p>
<p lang="en">The waiting room cannot be reached right now. This page tries again in ${seconds}
seconds.</p>
`;
}

/**
 * Back from the line with a pass: keep it as a cookie, and go on without it in the address. Null
 * where the path could lead to another host.
 */
function handedOver(asked, cookie) {
  const location = hereOf(asked);
  if (location === null) return null;
  const headers = { location, "set-cookie": cookie, "referrer-policy": "no-referrer", ...UNCACHED };
  return { status: 303, headers, body: "" };
}

/** The token in a query, or null. Tokens need no decoding. */
function handoverOf(query) {
  for (const pair of query.split("&")) {
    if (pair.startsWith(`${HANDOVER}=`)) return pair.slice(HANDOVER.length + 1);
  }
  return null;
}

/** All values of a cookie: another host of the domain may have set one, too. */
function cookiesNamed(header, name) {
  const found = [];
  for (const pair of header.split(";")) {
    const at = pair.indexOf("=");
    if (at > 0 && pair.slice(0, at).trim() === name) found.push(pair.slice(at + 1).trim());
  }
  return found;
}

function cookieOf(name, value, secure, seconds) {
  return `${name}=${value}; Path=/; Max-Age=${seconds}; HttpOnly; SameSite=Lax${secure ? "; Secure" : ""}`;
}

function problem(status, document) {
  const headers = { "content-type": "application/problem+json", ...UNCACHED };
  return { status, headers, body: JSON.stringify(document) };
}

function pageOf(asked, where, reason) {
  const given = new Map();
  const back = returnAddress(asked, where);
  if (back !== null) given.set("return", back);
  if (reason !== "no_pass") given.set("refused", reason);
  const query = [...given].map(([name, value]) => `${name}=${encodeURIComponent(value)}`).join("&");
  if (query === "") return where.pageUrl;
  return `${where.pageUrl}${where.pageUrl.includes("?") ? "&" : "?"}${query}`;
}

/** Where the visitor goes on later, on this site alone; the waiting page checks the host again. */
function returnAddress(asked, where) {
  let origin = where.siteUrl;
  if (origin === null) {
    const host = String(asked.headers.host ?? "");
    if (!HOST.test(host)) return null;
    origin = `${asked.scheme}://${host}`;
  }
  if (asked.method !== "GET" && asked.method !== "HEAD") {
    // What she sent is lost; the page that she came from is not.
    const cameFrom = String(asked.headers.referer ?? "");
    const fits = cameFrom.startsWith(`${origin}/`) && cameFrom.length <= RETURN_CHARACTERS_MAX;
    return fits ? cameFrom : `${origin}/`;
  }
  const here = hereOf(asked);
  return here === null || here.length > RETURN_CHARACTERS_MAX ? `${origin}/` : origin + here;
}

/**
 * Path and query of this request, to the letter, without a pass in it; null where the path could lead
 * to another host. What is no visible ASCII is encoded.
 */
function hereOf(asked) {
  if (!asked.rawPath.startsWith("/") || ELSEWHERE.test(asked.rawPath)) return null;
  const path = asked.rawPath.replace(NOT_WRITTEN, encoded);
  const pairs = asked.query.split("&").filter((pair) => pair.split("=")[0] !== HANDOVER);
  const query = pairs.join("&").replace(NOT_WRITTEN, encoded);
  return query === "" ? path : `${path}?${query}`;
}

/** A byte, which is how Node hands on a request line, in its encoded form. */
function encoded(letter) {
  return `%${letter.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`;
}

module.exports = {
  COOKIE_S, RENEWING_S, cookieOf, cookiesNamed, handedOver, handoverOf, refused, unreachable, wantsProblem,
};
