"use strict";
/** The published vectors, as a gate with nothing but its own keys must answer them. */
const assert = require("node:assert/strict");
const { readFileSync } = require("node:fs");
const { join } = require("node:path");
const { describe, it } = require("node:test");
const { PassVerifier } = require("../lib/tokens.js");

const { POLL } = require("../lib/decision.js");

const vectors = JSON.parse(
  readFileSync(join(__dirname, "..", "..", "..", "docs", "protocol", "vectors.json"), "utf8"),
);
const uuidHex = (hex) => hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
const verifiers = {
  hmac: new PassVerifier(vectors.gate_keys.hmac),
  ed25519: new PassVerifier(vectors.gate_keys.ed25519),
};

describe("valid tokens", () => {
  for (const row of vectors.valid.filter((row) => row.kind === "pass")) {
    it(`reads every field of: ${row.name}`, () => {
      const { fields } = row;
      const { pass, reason } = verifiers[row.algorithm].open(row.text, fields.issued_at_ms, fields.epoch);
      assert.equal(reason, null);
      assert.deepEqual(pass, {
        room: fields.room,
        epoch: fields.epoch,
        number: fields.number,
        issuedAtMs: fields.issued_at_ms,
        holder: fields.holder,
        binding: Buffer.from(fields.binding, "hex").toString("base64url"),
        account: fields.account,
        expiresAtMs: fields.expires_at_ms,
        passId: fields.pass_id.length === 32 ? uuidHex(fields.pass_id) : fields.pass_id,
        renewal: fields.renewal,
      });
    });
  }

  for (const row of vectors.valid.filter((row) => row.kind !== "pass")) {
    it(`takes no other kind for a pass: ${row.name}`, () => {
      const { pass, reason } = verifiers.hmac.open(row.text, 0);
      assert.equal(pass, null);
      assert.equal(reason, "kind");
    });
  }
});

describe("invalid tokens", () => {
  for (const row of vectors.invalid.filter((row) => row.kind === "pass" && row.room === vectors.room)) {
    it(`refuses with its reason: ${row.name}`, () => {
      const ed25519 = Buffer.from(row.text, "base64url")[3] >= 0x80;
      const { reason } = verifiers[ed25519 ? "ed25519" : "hmac"].open(row.text, 0);
      assert.equal(reason, row.reason);
    });
  }
});

describe("what a gate says", () => {
  for (const row of vectors.gate) {
    it(`at its time: ${row.name}`, () => {
      const { reason } = verifiers[row.keys].open(row.text, row.now_ms, vectors.epoch, vectors.skew_ms);
      assert.equal(reason, row.reason);
    });
  }
});

describe("state documents", () => {
  for (const row of vectors.state) {
    it(`${row.accepted ? "accepts" : "refuses"}: ${row.name} (${row.keys})`, () => {
      const state = verifiers[row.keys].readState(Buffer.from(row.document, "utf8"));
      assert.equal(state !== null, row.accepted);
    });
  }

  it("refuses members behind the signature, which nobody signed and which would win", () => {
    const { document, keys } = vectors.state.find((row) => row.accepted);
    for (const tail of [',"revoked":[]}', ',"fail_mode":"open"}', ',"x":"y"}', " }", "}\n", ""]) {
      const forged = document.slice(0, -1) + tail;
      assert.equal(verifiers[keys].readState(Buffer.from(forged)), null, tail);
    }
    assert.notEqual(verifiers[keys].readState(Buffer.from(document)), null);
  });
});

describe("polling", () => {
  it("is asked for by the terms of the protocol, until the room's own are known", () => {
    assert.deepEqual(POLL, vectors.poll_terms);
  });
});

describe("forgery", () => {
  for (const algorithm of ["hmac", "ed25519"]) {
    it(`is refused at every byte with every single bit changed (${algorithm})`, () => {
      const row = vectors.valid.find((row) => row.kind === "pass" && row.algorithm === algorithm);
      const raw = Buffer.from(row.text, "base64url");
      const bits = algorithm === "hmac" ? 8 : 1; // 10,000 more curve operations would show no more
      for (let at = 0; at < raw.length; at += 1) {
        for (let bit = 0; bit < bits; bit += 1) {
          const forged = Buffer.from(raw);
          forged[at] ^= 1 << bit;
          const { reason } = verifiers[algorithm].open(forged.toString("base64url"), row.fields.issued_at_ms);
          assert.notEqual(reason, null, `byte ${at}, bit ${bit}`);
        }
      }
    });
  }

  it("is refused whatever is not even a string", () => {
    for (const text of [undefined, null, 7, {}, [], "", "é".repeat(144), "A".repeat(209)]) {
      assert.equal(verifiers.hmac.open(text, 0).reason, "malformed");
    }
  });

  it("is met in constant time: every MAC that is compared is compared by timingSafeEqual", () => {
    const crypto = require("node:crypto");
    const real = crypto.timingSafeEqual;
    const path = require.resolve("../lib/tokens.js");
    const kept = require.cache[path];
    const compared = [];
    crypto.timingSafeEqual = (a, b) => { compared.push([a.length, b.length]); return real(a, b); };
    delete require.cache[path];
    try {
      const spied = new (require(path).PassVerifier)(vectors.gate_keys.hmac);
      const row = vectors.valid.find((row) => row.kind === "pass" && row.algorithm === "hmac");
      const raw = Buffer.from(row.text, "base64url");
      for (let at = 92; at < 108; at += 1) {
        const forged = Buffer.from(raw);
        forged[at] ^= 1;
        assert.equal(spied.open(forged.toString("base64url"), 0).reason, "signature");
      }
    } finally {
      crypto.timingSafeEqual = real;
      require.cache[path] = kept;
    }
    assert.deepEqual(compared, Array(16).fill([16, 16]));
  });
});

describe("keys", () => {
  it("are refused when they are not what the room's operator was given", () => {
    const good = vectors.gate_keys.hmac;
    const wrong = [
      null,
      {},
      { ...good, keys: [] },
      { ...good, algorithm: "none" },
      { ...good, algorithm: "ed25519" },
      { ...good, keys: [{ ...good.keys[0], id: 256 }] },
      { ...good, keys: [{ ...good.keys[0], pass_key: "short" }] },
      { ...good, keys: [{ id: 7 }] },
    ];
    for (const keys of wrong) assert.throws(() => new PassVerifier(keys), TypeError);
  });
});
