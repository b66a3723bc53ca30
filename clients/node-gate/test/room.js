"use strict";
/** A scripted Sunseo for one room, which signs as the real one does, and asks for passes to test with. */
const { createHmac, createPrivateKey, createPublicKey, randomBytes, sign } = require("node:crypto");
const http = require("node:http");

const ROOM = 42;
const ED25519_PKCS8 = Buffer.from("302e020100300506032b657004220420", "hex");

class Room {
  constructor({ algorithm = "hmac" } = {}) {
    this.algorithm = algorithm;
    this.passKey = randomBytes(32);
    this.stateKey = randomBytes(32);
    const seed = Buffer.concat([ED25519_PKCS8, randomBytes(32)]);
    this.private = createPrivateKey({ key: seed, format: "der", type: "pkcs8" });
    this.epoch = 3;
    this.changes = {};
    this.asked = [];
    this.ended = [];
    this.renewals = null; // what to answer instead of renewing
    this.down = false;
    this.pause = null; // what to wait for before answering
    this.nowMs = () => Date.now();
  }

  get keys() {
    const id = 7;
    if (this.algorithm === "hmac") {
      const key = { id, pass_key: text(this.passKey), state_key: text(this.stateKey) };
      return { room: ROOM, algorithm: "hmac", keys: [key] };
    }
    const spki = createPublicKey(this.private).export({ format: "der", type: "spki" });
    return { room: ROOM, algorithm: "ed25519", keys: [{ id, public_key: text(spki.subarray(-32)) }] };
  }

  sealed(prefix, body, key) {
    const message = Buffer.concat([Buffer.from(`sunseo:${prefix}:v1\0`, "latin1"), body]);
    if (this.algorithm === "ed25519") return sign(null, message, this.private);
    return createHmac("sha256", key).update(message).digest().subarray(0, 16);
  }

  /** A pass as Sunseo would mint it; every field can be had otherwise. */
  pass(given = {}) {
    const nowMs = this.nowMs();
    const fields = {
      version: 1, kind: 2, keyId: 7, account: false, room: ROOM, epoch: this.epoch, number: 17,
      issuedAtMs: nowMs, holder: randomBytes(16), binding: randomBytes(16), expiresAtMs: nowMs + 60000,
      passId: randomBytes(16), renewal: 0, ...given,
    };
    const body = Buffer.alloc(92);
    const flags = (fields.account ? 1 : 0) | (this.algorithm === "ed25519" ? 0x80 : 0);
    body.set([fields.version, fields.kind, fields.keyId, flags]);
    body.writeBigUInt64BE(BigInt(fields.room), 4);
    body.writeUInt32BE(fields.epoch, 12);
    body.writeBigUInt64BE(BigInt(fields.number), 16);
    body.writeBigUInt64BE(BigInt(Math.round(fields.issuedAtMs)), 24);
    body.set(fields.holder, 32);
    body.set(fields.binding, 48);
    body.writeBigUInt64BE(BigInt(Math.round(fields.expiresAtMs)), 64);
    body.set(fields.passId, 72);
    body.writeUInt32BE(fields.renewal, 88);
    return text(Buffer.concat([body, this.sealed("pass", body, this.passKey)]));
  }

  state() {
    const document = {
      room: ROOM, epoch: this.epoch, phase: "open", mode: "fifo", issued: 100, serving: 50, speed: null,
      slowed: null, units_left: null, sold_out: false, message: null, opens_at: null,
      poll: { floor: 2, ceiling: 60, divisor: 10 }, pass: { ttl: 60, renew_before: 20 }, revoked: [],
      fail_mode: "closed", open_rate_max: null, now: Math.round(this.nowMs()), ...this.changes,
    };
    const body = Buffer.from(JSON.stringify(document).slice(0, -1));
    return `${body},"signature":"${text(this.sealed("state", body, this.stateKey))}"}`;
  }

  renewed(token) {
    const raw = Buffer.from(token, "base64url");
    return this.pass({
      holder: raw.subarray(32, 48), binding: raw.subarray(48, 64), passId: raw.subarray(72, 88),
      number: raw.readBigUInt64BE(16), renewal: raw.readUInt32BE(88) + 1,
    });
  }

  async start() {
    this.server = http.createServer(async (req, res) => {
      let body = "";
      for await (const part of req) body += part;
      this.asked.push(`${req.method} ${req.url}`);
      if (this.down) return req.socket.destroy();
      if (this.pause) await this.pause(req.url);
      const [status, answer] = this.answer(req.url, body && JSON.parse(body));
      res.writeHead(status, { "content-type": "application/json" }).end(answer);
    });
    await new Promise((resolve) => this.server.listen(0, "127.0.0.1", resolve));
    this.url = `http://127.0.0.1:${this.server.address().port}`;
    return this;
  }

  answer(url, body) {
    if (url === `/v1/rooms/${ROOM}/state`) return [200, this.state()];
    if (url === `/v1/rooms/${ROOM}/renew`) {
      if (this.renewals) return this.renewals(body);
      const results = body.passes.map((pass) => ({ outcome: "renewed", pass: this.renewed(pass) }));
      return [200, JSON.stringify({ results })];
    }
    this.ended.push([url.split("/").pop(), body.pass]);
    return [200, JSON.stringify({ outcome: "completed" })];
  }

  stop() {
    this.server.closeAllConnections();
    return new Promise((resolve) => this.server.close(resolve));
  }
}

function text(raw) {
  return Buffer.from(raw).toString("base64url");
}

/** One raw request, path and headers exactly as given. */
function ask(url, { method = "GET", path = "/", headers = {}, body } = {}) {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    const request = http.request({ hostname, port, method, path, headers, agent: false }, async (res) => {
      let read = "";
      for await (const part of res) read += part;
      resolve({ status: res.statusCode, headers: res.headers, raw: res.rawHeaders, body: read });
    });
    request.on("error", reject);
    request.end(body);
  });
}

module.exports = { ROOM, Room, ask };
