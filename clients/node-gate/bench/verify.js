"use strict";
/** What verifying costs, in microseconds: one pass opened uncached, and the whole gate's judgement. */
const { performance } = require("node:perf_hooks");
const { PassVerifier } = require("../lib/tokens.js");
const { waitingRoom } = require("../index.js");
const { ROOM, Room } = require("../test/room.js");

const WARM = 2000;
const ROUNDS = 20000;

function measured(work) {
  for (let i = 0; i < WARM; i += 1) work(i);
  const took = new Float64Array(ROUNDS);
  for (let i = 0; i < ROUNDS; i += 1) {
    const begun = performance.now();
    work(i);
    took[i] = (performance.now() - begun) * 1000;
  }
  took.sort();
  const at = (share) => Number(took[Math.floor(ROUNDS * share)].toFixed(1));
  return { p50: at(0.5), p99: at(0.99), "p99.9": at(0.999) };
}

async function run() {
  const table = {};
  for (const algorithm of ["hmac", "ed25519"]) {
    const room = await new Room({ algorithm }).start();
    const passes = Array.from({ length: 100 }, () => room.pass());
    const verifier = new PassVerifier(room.keys);
    const now = Date.now();
    table[`open, ${algorithm}`] = measured((i) => {
      if (verifier.open(passes[i % 100], now, 3).reason !== null) throw new Error("refused");
    });
    const gate = waitingRoom({ room: ROOM, keys: room.keys, sunseoUrl: room.url });
    await gate.ready();
    const plain = { accept: "text/html", host: "shop.example", "user-agent": "bench", "accept-language": "ko" };
    table[`whole gate, ${algorithm}`] = measured((i) => {
      const headers = { ...plain, cookie: `a=1; sunseo_pass_42=${passes[i % 100]}; b=2` };
      const req = { method: "GET", url: "/buy?seat=1", headers, rawHeaders: [], socket: { remoteAddress: "192.0.2.7" } };
      let passed = false;
      gate(req, { writeHead() {} }, () => { passed = true; });
      if (!passed) throw new Error("refused");
    });
    gate.close();
    await room.stop();
  }
  console.table(table);
}

run();
