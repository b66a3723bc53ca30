"use strict";
/** The middleware in front of a plain node:http app, and of an Express app where that is installed. */
const assert = require("node:assert/strict");
const { readFileSync } = require("node:fs");
const { createServer } = require("node:http");
const net = require("node:net");
const { join } = require("node:path");
const { after, afterEach, before, beforeEach, describe, it } = require("node:test");
const { waitingRoom } = require("../index.js");
const { cleanPath } = require("../lib/policy.js");
const { Bucket } = require("../lib/decision.js");
const { handedOver, refused } = require("../lib/answers.js");
const { ROOM, Room, ask } = require("./room.js");

/** Where visitors of which addresses come back to: the same table as for the gates in Python. */
const RETURNS = JSON.parse(readFileSync(join(__dirname, "..", "..", "..", "tests", "returns.json"), "utf8")).cases;

const BROWSER = { accept: "text/html,application/xhtml+xml" };
const PROGRAM = { accept: "application/json" };
const OPERATOR = "an operator's secret of more than 32 letters";

const express = (() => {
  try {
    return require("express");
  } catch {
    return null;
  }
})();

/** What the app saw, as JSON; commands and headers on demand. */
function app(req, res) {
  const command = new URL(req.url, "http://x").searchParams.get("command");
  const headers = { "content-type": "application/json", "Set-Cookie": "shop=1" };
  if (command) headers["Waiting-Room-Command"] = command;
  res.writeHead(200, headers);
  res.end(JSON.stringify({ url: req.url, headers: req.headers, raw: req.rawHeaders, waitingRoom: req.waitingRoom }));
}

const HOSTS = {
  "node:http": (gate) => createServer((req, res) => gate(req, res, () => app(req, res))),
  ...(express && {
    Express: (gate) => {
      const site = express();
      site.use(gate);
      site.use(app);
      return createServer(site);
    },
  }),
};

async function listening(server) {
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return `http://127.0.0.1:${server.address().port}`;
}

function stopped(server) {
  server.closeAllConnections();
  return new Promise((resolve) => server.close(resolve));
}

/** A site with a gate of these options, for one test. */
async function withSite(room, options, work, host = HOSTS["node:http"]) {
  const gate = waitingRoom({ room: ROOM, keys: room.keys, sunseoUrl: room.url, ...options });
  await gate.ready();
  const server = host(gate);
  const url = await listening(server);
  try {
    return await work(url, gate);
  } finally {
    gate.close();
    await stopped(server);
  }
}

it("runs in front of Express", { skip: express ? false : "express is not installed here: npm ci" }, () => {
  assert.equal(typeof express, "function");
});

for (const [name, host] of Object.entries(HOSTS)) {
  for (const algorithm of ["hmac", "ed25519"]) {
    describe(`${name}, ${algorithm}`, () => {
      let room;
      before(async () => { room = await new Room({ algorithm }).start(); });
      after(() => room.stop());
      const site = (options, work) => withSite(room, options, work, host);

      it("lets in a pass as a cookie and tells the app whose", () =>
        site({}, async (url) => {
          const pass = room.pass({ account: true });
          const cookie = `other=1; sunseo_pass_${ROOM}=${pass}`;
          const { status, body, headers } = await ask(url, { path: "/buy?seat=1", headers: { cookie } });
          const seen = JSON.parse(body);
          assert.equal(status, 200);
          assert.equal(seen.url, "/buy?seat=1");
          assert.equal(seen.headers["sunseo-pass"], pass);
          assert.equal(seen.headers["sunseo-pass-id"], seen.waitingRoom.pass.passId);
          assert.equal(seen.waitingRoom.pass.account, true);
          assert.deepEqual(headers["set-cookie"], ["shop=1"]);
        }));

      it("lets in a pass as a header", () =>
        site({}, async (url) => {
          const { status } = await ask(url, { headers: { "Sunseo-Pass": room.pass() } });
          assert.equal(status, 200);
        }));

      it("sends a browser to the line, and knows the way back", () =>
        site({ pageUrl: "https://rooms.example/r/42" }, async (url) => {
          const { status, headers } = await ask(url, { path: "/buy?seat=1&x=%26", headers: { ...BROWSER, host: "shop.example" } });
          assert.equal(status, 303);
          const back = encodeURIComponent("http://shop.example/buy?seat=1&x=%26");
          assert.equal(headers.location, `https://rooms.example/r/42?return=${back}`);
          assert.equal(headers["cache-control"], "no-store");
        }));

      it("explains itself to a program", () =>
        site({ publicUrl: "https://rooms.example" }, async (url) => {
          const { status, headers, body } = await ask(url, { method: "POST", headers: PROGRAM });
          const problem = JSON.parse(body);
          assert.equal(status, 403);
          assert.equal(headers["content-type"], "application/problem+json");
          assert.equal(problem.outcome, "pass_required");
          assert.equal(problem.reason, "no_pass");
          assert.equal(problem.room, ROOM);
          assert.equal(problem.state, "https://rooms.example/v1/rooms/42/state");
          assert.deepEqual(problem.poll, { floor: 2, ceiling: 60, divisor: 10 });
        }));

      it("refuses every pass that is not good, and says why", () =>
        site({}, async (url) => {
          const other = new Room({ algorithm });
          const now = Date.now();
          const bad = {
            malformed: `${room.pass()}=`,
            version: room.pass({ version: 2 }),
            kind: room.pass({ kind: 1 }),
            room: room.pass({ room: 43 }),
            key: room.pass({ keyId: 8 }),
            signature: other.pass(),
            epoch: room.pass({ epoch: 2 }),
            expired: room.pass({ issuedAtMs: now - 65000, expiresAtMs: now - 5001 }),
          };
          for (const [reason, pass] of Object.entries(bad)) {
            const { status, body } = await ask(url, { headers: { ...PROGRAM, "Sunseo-Pass": pass } });
            assert.equal(status, 403, reason);
            assert.equal(JSON.parse(body).reason, reason);
          }
        }));

      it("takes a pass handed over in the address, and hides it again", () =>
        site({}, async (url) => {
          const pass = room.pass();
          const { status, headers } = await ask(url, { path: `/buy?seat=1&sunseo_pass=${pass}&x=2`, headers: BROWSER });
          assert.equal(status, 303);
          assert.equal(headers.location, "/buy?seat=1&x=2");
          assert.equal(headers["referrer-policy"], "no-referrer");
          assert.deepEqual(headers["set-cookie"], [`sunseo_pass_42=${pass}; Path=/; Max-Age=3600; HttpOnly; SameSite=Lax`]);
        }));

      it("keeps one's own pass when a link brings somebody else's", () =>
        site({}, async (url) => {
          const own = room.pass();
          const { headers } = await ask(url, {
            path: `/buy?sunseo_pass=${room.pass()}`, headers: { ...BROWSER, cookie: `sunseo_pass_42=${own}` },
          });
          assert.match(headers["set-cookie"][0], new RegExp(`^sunseo_pass_42=${own};`));
        }));

      it("gives no cookie for a pass that is not good", () =>
        site({}, async (url) => {
          const { status, headers } = await ask(url, { path: `/buy?sunseo_pass=${room.pass({ epoch: 1 })}`, headers: BROWSER });
          assert.equal(status, 303);
          assert.equal(headers["set-cookie"], undefined);
          assert.match(headers.location, /\/r\/42\?return=http%3A%2F%2F[^&]*%2Fbuy$/);
        }));

      it("obeys the app's command and keeps it from the client", () =>
        site({}, async (url) => {
          const pass = room.pass();
          const cookie = `sunseo_pass_42=${pass}`;
          const done = await ask(url, { path: "/buy?command=complete", headers: { cookie } });
          assert.equal(done.status, 200);
          assert.equal(done.headers["waiting-room-command"], undefined);
          assert.deepEqual(done.headers["set-cookie"], ["shop=1", "sunseo_pass_42=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax"]);
          const again = await ask(url, { headers: { ...PROGRAM, cookie } });
          assert.equal(JSON.parse(again.body).reason, "revoked");
          await until(() => room.ended.some(([command, text]) => command === "complete" && text === pass));
        }));

      it("takes out a command it does not know, and one where there is no pass", () =>
        site({ bypass: { paths: ["/open"] } }, async (url) => {
          const open = await ask(url, { path: "/open?command=complete" });
          assert.equal(open.status, 200);
          assert.equal(open.headers["waiting-room-command"], undefined);
          const odd = await ask(url, { path: "/?command=explode", headers: { "sunseo-pass": room.pass() } });
          assert.equal(odd.headers["waiting-room-command"], undefined);
          assert.deepEqual(odd.headers["set-cookie"], ["shop=1"]);
        }));

      it("renews a pass in the last third of its life, with the next answer", () =>
        site({}, async (url) => {
          const now = Date.now();
          const old = room.pass({ issuedAtMs: now - 45000, expiresAtMs: now + 15000 });
          const { headers } = await ask(url, { headers: { cookie: `sunseo_pass_42=${old}` } });
          const renewed = /^sunseo_pass_42=([^;]+);/.exec(headers["set-cookie"][1])[1];
          assert.notEqual(renewed, old);
          assert.equal(headers["cache-control"], "private, no-cache");
          assert.equal((await ask(url, { headers: { "sunseo-pass": renewed } })).status, 200);
        }));

      it("lets nobody make up what the app is told", () =>
        site({ bypass: { paths: ["/open"] } }, async (url) => {
          const made = {
            "Sunseo-Pass-Id": "made-up", "sunseo_pass_id": "made-up", "SUNSEO-PASS-ID": "made-up",
            "Sunseo-Anything": "made-up", "Waiting-Room-Command": "complete", waiting_room_command: "complete",
          };
          for (const [path, pass] of [["/open", undefined], ["/buy", room.pass()]]) {
            const cookie = pass ? { cookie: `sunseo_pass_42=${pass}` } : {};
            const { status, body } = await ask(url, { path, headers: { ...made, ...cookie } });
            const seen = JSON.parse(body);
            assert.equal(status, 200);
            assert.doesNotMatch(JSON.stringify([seen.headers, seen.raw]), /made-up|waiting.room.command/i);
            assert.equal("sunseo-pass-id" in seen.headers, pass !== undefined);
          }
        }));

      it("hears of a revoked pass", () =>
        site({}, async (url, gate) => {
          const passId = Buffer.alloc(16, 9);
          const pass = room.pass({ passId });
          assert.equal((await ask(url, { headers: { "sunseo-pass": pass } })).status, 200);
          room.changes = { revoked: ["09090909-0909-0909-0909-090909090909"] };
          await gate.core.poller.lookOnce();
          room.changes = {};
          const { body } = await ask(url, { headers: { ...PROGRAM, "sunseo-pass": pass } });
          assert.equal(JSON.parse(body).reason, "revoked");
        }));
    });
  }
}

describe("paths", () => {
  let room;
  before(async () => { room = await new Room().start(); });
  after(() => room.stop());

  const TRICKS = [
    "/open/../buy", "/open/%2e%2e/buy", "/open/..%2fbuy", "/open%2f..%2fbuy", "//buy", "/open//../buy", "/./open", "/open/.",
    "/open\\..\\buy", "/open%5c..%5cbuy", "/open;/../buy", "/open;x=1", "/open%00", "/open%2500", "/open/%252e%252e/buy",
    "/open.", "/open%20", "/%ef%bc%8fopen", "/open/%c0%ae%c0%ae/buy", "/open/\u00ff", "/open%0d%0aSet-Cookie:x=1", "/open%", "/open%zz",
    "/open%09", "/op%65n/..;/buy", "/open/\u2025/buy",
  ];

  it("that servers could read differently are open to nobody", () =>
    withSite(room, { bypass: { paths: ["/open"] } }, async (url) => {
      assert.equal((await ask(url, { path: "/open/a.css" })).status, 200);
      assert.equal((await ask(url, { path: "/op%65n/a.css" })).status, 200);
      for (const path of TRICKS) {
        assert.equal(cleanPath(path), null, path);
        const written = Buffer.from(path).toString("latin1"); // the wire carries bytes
        const status = await rawStatus(url, `GET ${written} HTTP/1.1\r\nHost: x\r\nAccept: application/json\r\n`);
        assert.ok([400, 403].includes(status), `${path}: ${status}`);
      }
    }));

  it("need a pass where only a part is guarded, too, when there is doubt", () =>
    withSite(room, { protect: ["/Buy"] }, async (url) => {
      for (const path of ["/buy", "/BUY", "/bUy/now", "/%62uy", "/buy/", "/buy?x=1"]) {
        assert.equal((await ask(url, { path, headers: PROGRAM })).status, 403, path);
      }
      for (const path of ["/", "/buyer", "/about", "/x/buy"]) {
        assert.equal((await ask(url, { path, headers: PROGRAM })).status, 200, path);
      }
      for (const path of ["/x/../buy", "//buy", "/x%2f..%2fbuy", "/about;/buy"]) {
        assert.equal((await ask(url, { path, headers: PROGRAM })).status, 403, path);
      }
    }));

  it("in an absolute request line, or rewritten by a header, are not believed", () =>
    withSite(room, { bypass: { paths: ["/open"] } }, async (url) => {
      const line = (target, more = "") => rawStatus(url, `GET ${target} HTTP/1.1\r\nHost: x\r\nAccept: application/json\r\n${more}`);
      assert.equal(await line("/open"), 200);
      assert.equal(await line("http://shop.example/open"), 403);
      assert.equal(await line("/open", "X-Original-URL: /buy\r\n"), 403);
      assert.equal(await line("/open", "X-Rewrite-URL: /buy\r\n"), 403);
    }));

  it("lead back to this site alone", () =>
    withSite(room, { siteUrl: "https://shop.example" }, async (url) => {
      const location = async (given) => {
        const { headers } = await ask(url, { ...given, headers: { ...BROWSER, ...given.headers } });
        return new URL(headers.location).searchParams.get("return");
      };
      assert.equal(await location({ path: "//evil.example/x" }), "https://shop.example/");
      assert.equal(await location({ path: "/x", headers: { host: "evil.example" } }), "https://shop.example/x");
      assert.equal(await location({ path: "/a%3Fb%23c" }), "https://shop.example/a%3Fb%23c");
      assert.equal(await location({ method: "POST", path: "/buy", headers: { referer: "https://evil.example/" } }), "https://shop.example/");
      assert.equal(await location({ method: "POST", path: "/buy", headers: { referer: "https://shop.example/form" } }), "https://shop.example/form");
      assert.equal(await location({ path: `/${"x".repeat(2000)}` }), "https://shop.example/");
      const { headers } = await ask(url, { path: `//evil.example/?sunseo_pass=${room.pass()}`, headers: BROWSER });
      assert.equal(new URL(headers.location).searchParams.get("return"), "https://shop.example/");
    }));

  it("lead back to the same address, to the letter", () => {
    const where = { room: ROOM, publicUrl: "https://rooms.example", pageUrl: "https://rooms.example/r/42", siteUrl: null };
    for (const { asked, back } of RETURNS) {
      const at = asked.indexOf("?");
      const [rawPath, query] = at < 0 ? [asked, ""] : [asked.slice(0, at), asked.slice(at + 1)];
      const headers = { ...BROWSER, host: "shop.example" };
      const given = { method: "GET", rawPath, query, ambiguous: false, headers, scheme: "https" };
      const line = new URL(refused(given, where, "no_pass", {}).headers.location);
      assert.equal(line.searchParams.get("return"), `https://shop.example${back}`, asked);
      const handed = { ...given, query: query === "" ? "sunseo_pass=sealed" : `${query}&sunseo_pass=sealed` };
      if (back !== "/") assert.equal(handedOver(handed, "a=b").headers.location, back, asked);
    }
  });

  it("believes no Host that is none", () =>
    withSite(room, {}, async (url) => {
      const { headers } = await ask(url, { headers: { ...BROWSER, host: "shop.example\"><script>" } });
      assert.doesNotMatch(headers.location, /return=|script/);
    }));
});

describe("bypass rules", () => {
  let room;
  before(async () => { room = await new Room().start(); });
  after(() => room.stop());
  const status = async (url, given) => (await ask(url, { ...given, headers: { ...PROGRAM, ...given.headers } })).status;

  it("open to the operator by her secret, and to no other", () =>
    withSite(room, { bypass: { operatorSecret: OPERATOR } }, async (url) => {
      assert.equal(await status(url, { headers: { "sunseo-operator": OPERATOR } }), 200);
      assert.equal(await status(url, { headers: { "sunseo-operator": `${OPERATOR}x` } }), 403);
      assert.equal(await status(url, { headers: { "sunseo-operator": "" } }), 403);
    }));

  it("open to networks, whatever the client says of itself", () =>
    withSite(room, { bypass: { networks: ["127.0.0.0/8"] } }, async (url) => {
      assert.equal(await status(url, {}), 200);
    }).then(() => withSite(room, { bypass: { networks: ["192.0.2.0/24"] } }, async (url) => {
      assert.equal(await status(url, { headers: { "x-forwarded-for": "192.0.2.7", forwarded: "for=192.0.2.7" } }), 403);
    })).then(() => withSite(room, { bypass: { networks: ["192.0.2.7"] }, clientAddress: () => "::ffff:192.0.2.7" }, async (url) => {
      assert.equal(await status(url, {}), 200);
    })));

  it("open to crawlers for reading only", () =>
    withSite(room, { bypass: { userAgents: ["Googlebot"] } }, async (url) => {
      const headers = { "user-agent": "Mozilla/5.0 (compatible; googlebot/2.1)" };
      assert.equal(await status(url, { headers }), 200);
      assert.equal(await status(url, { method: "POST", headers }), 403);
      assert.equal(await status(url, { headers: { ...headers, "x-http-method-override": "POST" } }), 403);
      assert.equal(await status(url, { path: "/?_method=DELETE", headers }), 403);
    }));

  it("open to preflights only if asked for", () =>
    withSite(room, { bypass: { preflight: true } }, async (url) => {
      const headers = { origin: "https://a.example", "access-control-request-method": "POST" };
      assert.equal(await status(url, { method: "OPTIONS", headers }), 200);
      assert.equal(await status(url, { method: "OPTIONS" }), 403);
      assert.equal(await status(url, { method: "POST", headers }), 403);
    }));

  it("are refused where they would open everything, or say nothing", () => {
    const options = { room: ROOM, keys: new Room().keys, sunseoUrl: "http://127.0.0.1:9" };
    const wrong = [
      { protect: [] }, { protect: ["buy"] }, { protect: ["/a/../b"] }, { bypass: { paths: ["open"] } }, { bypass: { paths: ["/a//b"] } },
      { bypass: { networks: ["10.0.0.0/33"] } }, { bypass: { networks: ["everyone"] } }, { bypass: { networks: ["10.0.0.0/"] } },
      { bypass: { userAgents: [""] } }, { bypass: { operatorSecret: "short" } },
      { failMode: "maybe" }, { staleS: 0 }, { openRateMax: 0 }, { room: 43 }, { sunseoUrl: "ftp://x" }, { sunseoUrl: "rooms.example" },
      { pageUrl: "/r/42" }, { siteUrl: "javascript:alert(1)" },
    ];
    for (const given of wrong) {
      assert.throws(() => waitingRoom({ ...options, ...given }), TypeError, JSON.stringify(given));
    }
  });
});

describe("time and failure", () => {
  let room;
  beforeEach(async () => { room = await new Room().start(); });
  afterEach(() => room.stop());

  it("goes by the room's clock: ten minutes' skew of this machine moves nothing", () => {
    const skewMs = 600000;
    room.nowMs = () => Date.now() + skewMs;
    return withSite(room, {}, async (url) => {
      assert.equal((await ask(url, { headers: { "sunseo-pass": room.pass() } })).status, 200);
      const old = room.pass({ issuedAtMs: Date.now(), expiresAtMs: Date.now() + 60000 }); // ten minutes ago there
      assert.equal((await ask(url, { headers: { ...PROGRAM, "sunseo-pass": old } })).status, 403);
    });
  });

  it("keeps the document it has when it is shown a forged, older or foreign one", () =>
    withSite(room, {}, async (url, gate) => {
      const { poller } = gate.core;
      const known = poller.state.now;
      const answers = {
        forged: room.state().replace('"mode":"fifo"', '"mode":"passthrough"'),
        foreign: new Room().state(),
        "with a tail": `${room.state().slice(0, -1)},"mode":"passthrough"}`,
        nonsense: "{}",
      };
      for (const [what, document] of Object.entries(answers)) {
        room.answer = () => [200, document];
        assert.equal(await poller.lookOnce(), false, what);
        assert.equal(poller.state.now, known);
      }
      delete room.answer;
      room.nowMs = () => known - 5000;
      assert.equal(await poller.lookOnce(), true);
      assert.equal(poller.state.now, known);
    }));

  it("lets everybody through in the mode passthrough", () => {
    room.changes = { mode: "passthrough" };
    return withSite(room, {}, async (url) => {
      assert.equal((await ask(url)).status, 200);
    });
  });

  const silent = (failMode, more, work) => {
    room.changes = { fail_mode: failMode, ...more };
    return withSite(room, {}, async (url, gate) => {
      const pass = room.pass();
      const { clock } = gate.core.poller;
      room.down = true;
      const real = clock.monotonicMs;
      clock.monotonicMs = () => real() + 16000; // the room has been silent for longer than staleS
      const get = async (given = {}) => ask(url, { ...given, headers: { ...PROGRAM, ...given.headers } });
      await work({ get, pass, clock, real, gate });
    });
  };

  it("closed: who is inside stays until the pass has expired, nobody comes in", () =>
    silent("closed", {}, async ({ get, pass, clock, real }) => {
      assert.equal((await get({ headers: { "sunseo-pass": pass } })).status, 200);
      const refused = await get();
      assert.equal(refused.status, 503);
      assert.equal(refused.headers["retry-after"], "5");
      assert.equal(JSON.parse(refused.body).outcome, "room_unreachable");
      const page = await get({ headers: BROWSER });
      assert.equal(page.status, 503);
      assert.match(page.body, /http-equiv="refresh"/);
      clock.monotonicMs = () => real() + 66000;
      assert.equal((await get({ headers: { "sunseo-pass": pass } })).status, 503);
    }));

  it("last_known: time stands still for those inside, for a quarter of an hour", () =>
    silent("last_known", {}, async ({ get, pass, clock, real }) => {
      clock.monotonicMs = () => real() + 600000;
      assert.equal((await get({ headers: { "sunseo-pass": pass } })).status, 200);
      assert.equal((await get()).status, 503);
      clock.monotonicMs = () => real() + 960000;
      assert.equal((await get({ headers: { "sunseo-pass": pass } })).status, 503);
    }));

  it("open: newcomers go in up to the rate, and stay", () =>
    silent("open", { open_rate_max: 3 }, async ({ get, clock, real }) => {
      const frozen = real() + 16000;
      clock.monotonicMs = () => frozen;
      const answers = [];
      for (let i = 0; i < 10; i += 1) answers.push(await get());
      assert.equal(answers.filter(({ status }) => status === 200).length, 3);
      const [cookie] = answers[0].headers["set-cookie"].at(-1).split(";");
      assert.equal((await get({ headers: { cookie } })).status, 200);
      assert.equal((await get({ headers: { cookie: `${cookie.slice(0, -1)}A` } })).status, 503);
      clock.monotonicMs = () => frozen + 1000;
      assert.equal((await get()).status, 200);
      clock.monotonicMs = () => frozen + 301000;
      assert.equal((await get({ headers: { cookie } })).status, 200); // by the rate, anew
    }));

  it("a bucket holds its rate over any time", () => {
    const bucket = new Bucket();
    let taken = 0;
    for (let ms = 0; ms < 10000; ms += 1) taken += bucket.take(25, ms) ? 1 : 0;
    assert.ok(taken >= 249 && taken <= 275, String(taken));
    const slow = new Bucket();
    taken = 0;
    for (let ms = 0; ms < 10000; ms += 1) taken += slow.take(0.5, ms) ? 1 : 0;
    assert.equal(taken, 5);
  });
});

describe("renewal", () => {
  let room;
  beforeEach(async () => { room = await new Room().start(); });
  afterEach(() => room.stop());
  const old = (more = {}) => {
    const now = Date.now();
    return room.pass({ issuedAtMs: now - 45000, expiresAtMs: now + 15000, ...more });
  };
  const renewCalls = () => room.asked.filter((line) => line.endsWith("/renew")).length;
  const site = (options, work) => withSite(room, options, work);

  it("of many visitors travels in two requests at most: the first one's and everybody else's", () =>
    site({ renewalWaitMs: 60000 }, async (url, gate) => {
      const passes = Array.from({ length: 50 }, () => old());
      const everybodyWaits = () => until(() => gate.core.sender.notes.size === 50);
      room.pause = (path) => path.endsWith("/renew") && renewCalls() === 1 && everybodyWaits();
      const answers = await Promise.all(passes.map((pass) => ask(url, { headers: { "sunseo-pass": pass } })));
      for (const { headers } of answers) assert.match(headers["set-cookie"].at(-1), /^sunseo_pass_42=/);
      assert.ok(renewCalls() <= 2, String(renewCalls()));
    }));

  it("is asked for once, whatever many requests one visitor has under way", () =>
    site({}, async (url) => {
      const pass = old();
      await Promise.all(Array.from({ length: 20 }, () => ask(url, { headers: { "sunseo-pass": pass } })));
      assert.equal(renewCalls(), 1);
    }));

  it("that comes too late is handed out with the next answer, even when the old pass has expired", () =>
    site({ renewalWaitMs: 0 }, async (url, gate) => {
      const pass = old();
      const first = await ask(url, { headers: { cookie: `sunseo_pass_42=${pass}` } });
      assert.match(first.headers["set-cookie"].at(-1), /^sunseo_renewing_42=/);
      await until(() => gate.core.sender.renewed.size === 1);
      const { clock } = gate.core.poller;
      const real = clock.monotonicMs;
      clock.monotonicMs = () => real() + 25000;
      room.nowMs = () => Date.now() + 25000;
      await gate.core.poller.lookOnce();
      const next = await ask(url, { headers: { cookie: `sunseo_pass_42=${pass}` } });
      assert.equal(next.status, 200);
      assert.match(next.headers["set-cookie"].at(-1), /^sunseo_pass_42=/);
    }));

  it("is left to the process that has begun it", () =>
    site({}, async (url) => {
      const cookie = `sunseo_pass_42=${old({ renewal: 4 })}; sunseo_renewing_42=abcdef01.4`;
      assert.equal((await ask(url, { headers: { cookie } })).status, 200);
      assert.equal(renewCalls(), 0);
    }));

  it("that is refused ends the pass if Sunseo says so", () =>
    site({}, async (url) => {
      room.renewals = ({ passes }) => [200, JSON.stringify({ results: passes.map(() => ({ outcome: "pass_revoked" })) })];
      const pass = old();
      assert.equal((await ask(url, { headers: { "sunseo-pass": pass } })).status, 200);
      const { body } = await ask(url, { headers: { ...PROGRAM, "sunseo-pass": pass } });
      assert.equal(JSON.parse(body).reason, "revoked");
    }));

  it("that is lost is asked for again, and the visitor does not wait for it", () =>
    site({ renewalWaitMs: 20 }, async (url) => {
      let lost = 0;
      room.renewals = () => { lost += 1; room.renewals = null; return [503, "{}"]; };
      const pass = old();
      assert.equal((await ask(url, { headers: { "sunseo-pass": pass } })).status, 200);
      await until(() => renewCalls() === 2);
      assert.equal(lost, 1);
    }));

  it("that is not decided yet is asked for again, alone or behind a proxy that gave up", () =>
    site({ renewalWaitMs: 5000 }, async (url) => {
      const first = [
        ({ passes }) => [200, JSON.stringify({ results: passes.map(() => ({ outcome: "busy" })) })],
        () => [502, "<html>Bad gateway</html>"],
        () => { room.renewals = null; return room.answer(`/v1/rooms/${ROOM}/renew`, { passes: [pass] }); },
      ];
      room.renewals = (body) => first.shift()(body);
      const pass = old();
      const { headers } = await ask(url, { headers: { "sunseo-pass": pass } });
      assert.match(headers["set-cookie"].at(-1), /^sunseo_pass_42=/);
      assert.equal(renewCalls(), 3);
    }));

  it("by a Sunseo that hands out somebody else's pass is not believed", () =>
    site({}, async (url) => {
      room.renewals = ({ passes }) => [200, JSON.stringify({ results: passes.map(() => ({ outcome: "renewed", pass: room.pass({ renewal: 1 }) })) })];
      const { headers } = await ask(url, { headers: { "sunseo-pass": old() } });
      assert.deepEqual(headers["set-cookie"], ["shop=1"]);
    }));
});

describe("answers of the app", () => {
  let room;
  before(async () => { room = await new Room().start(); });
  after(() => room.stop());
  const forms = {
    "implicit headers": (res) => { res.setHeader("Waiting-Room-Command", "complete"); res.end("x"); },
    "an object": (res) => { res.writeHead(201, { "Waiting-Room-Command": "complete", "X-App": "1" }); res.end("x"); },
    "a message and an object": (res) => { res.writeHead(201, "Made", { "waiting-room-command": "complete", "X-App": "1" }); res.end("x"); },
    "a flat list": (res) => { res.writeHead(201, ["WAITING-ROOM-COMMAND", "complete", "X-App", "1", "Set-Cookie", "a=1", "Set-Cookie", "b=2"]); res.end("x"); },
    "a list of pairs": (res) => { res.writeHead(201, [["Waiting-Room-Command", "complete"], ["X-App", "1"]]); res.end("x"); },
    "flushed headers": (res) => { res.setHeader("Waiting-Room-Command", "complete"); res.flushHeaders(); res.end("x"); },
  };
  for (const [what, write] of Object.entries(forms)) {
    it(`have their command found in ${what}`, () =>
      withSite(room, {}, async (url) => {
        const { headers } = await ask(url, { headers: { "sunseo-pass": room.pass() } });
        assert.equal(headers["waiting-room-command"], undefined);
        assert.match(headers["set-cookie"].at(-1), /^sunseo_pass_42=; .*Max-Age=0/);
        if (what === "a flat list") assert.deepEqual(headers["set-cookie"].slice(0, 2), ["a=1", "b=2"]);
      }, (gate) => createServer((req, res) => gate(req, res, () => write(res)))));
  }

  it("are not needed to judge an upgrade", () =>
    withSite(room, { bypass: { operatorSecret: OPERATOR } }, async (url, gate) => {
      const upgrade = (headers) => ({ method: "GET", url: "/socket", headers, rawHeaders: [], socket: {} });
      const good = upgrade({ "sunseo-pass": room.pass(), "sunseo-pass-id": "made-up" });
      assert.equal(gate.admits(good), true);
      assert.notEqual(good.headers["sunseo-pass-id"], "made-up");
      assert.equal(gate.admits(upgrade({})), false);
    }));
});

async function until(found) {
  for (let tries = 0; tries < 1000; tries += 1) {
    if (found()) return;
    await new Promise((resolve) => { setTimeout(resolve, 5); });
  }
  assert.fail("it did not come true");
}

/** The status of a request written by hand, with a request line that no client would send. */
function rawStatus(url, head) {
  const { port } = new URL(url);
  return new Promise((resolve, reject) => {
    const socket = net.connect(Number(port), "127.0.0.1", () => socket.write(`${head}Connection: close\r\n\r\n`, "latin1"));
    let read = "";
    socket.on("data", (part) => { read += part.toString("latin1"); });
    socket.on("end", () => resolve(Number(read.split(" ")[1])));
    socket.on("error", reject);
  });
}
