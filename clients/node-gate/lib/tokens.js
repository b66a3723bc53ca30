"use strict";
/**
 * Passes: fixed-width, signed, base64url. Verifying gives an object or a reason; nothing throws.
 *
 * The layout is docs/protocol/tokens.md of Sunseo; its published vectors are this file's test. All
 * numbers are big-endian. A signature covers a prefix that names its purpose, and then the body.
 */
const { createHmac, createPublicKey, createSecretKey, timingSafeEqual, verify } = require("node:crypto");

const VERSION = 1;
const KIND_PASS = 2;
const KIND_LAST = 4; // place, pass, nonce, receipt
const ACCOUNT = 0x01;
const ED25519 = 0x80;
const BODY_BYTES = 92;
const MAC_BYTES = 16;
const ED25519_BYTES = 64;
const SKEW_MS = 5000; // a slot is given on only later than this after its pass has expired
const CHARACTERS_MIN = 4;
const CHARACTERS_MAX = 208; // a pass signed with Ed25519; anything longer is not even decoded

const PASS_PREFIX = Buffer.from("sunseo:pass:v1\0", "latin1");
const SIGNATURE = ',"signature":"';
const STATE_PREFIX = Buffer.from("sunseo:state:v1\0", "latin1");
// What Ed25519 public keys of 32 bytes begin with as SubjectPublicKeyInfo (RFC 8410).
const SPKI_ED25519 = Buffer.from("302a300506032b6570032100", "hex");

/** Why a token is refused, in the order in which it is looked at. */
const REASONS = Object.freeze([
  "malformed", "version", "kind", "room", "key", "signature", "epoch", "expired",
]);

/**
 * The only bytes that are written so, or null. Node decodes padding, blanks and the other alphabet
 * too: one token would then have many spellings, and a list of refused ones could be fooled.
 */
function decodeBase64url(text) {
  const raw = Buffer.from(text, "base64url");
  return raw.toString("base64url") === text ? raw : null;
}

function keyBytes(text, name) {
  const raw = typeof text === "string" ? decodeBase64url(text) : null;
  if (raw === null || raw.length !== 32) {
    throw new TypeError(`${name} must be 32 bytes in base64url, as the room's gate keys have it`);
  }
  return raw;
}

function macChecker(key, prefix) {
  const secret = createSecretKey(key);
  return (body, signature) => {
    const mac = createHmac("sha256", secret).update(prefix).update(body).digest();
    return signature.length === MAC_BYTES && timingSafeEqual(mac.subarray(0, MAC_BYTES), signature);
  };
}

function ed25519Checker(key, prefix) {
  const spki = Buffer.concat([SPKI_ED25519, key]);
  const publicKey = createPublicKey({ key: spki, format: "der", type: "spki" });
  return (body, signature) =>
    signature.length === ED25519_BYTES &&
    verify(null, Buffer.concat([prefix, body]), publicKey, signature);
}

/** The keys of one room's gate, as `GET /v1/rooms/{room}/keys` answers them. */
class PassVerifier {
  /**
   * @param {object} keys `{room, algorithm: "hmac" | "ed25519", keys: [{id, ...}]}`
   * @throws {TypeError} they are not such keys
   */
  constructor(keys) {
    if (!keys || !Array.isArray(keys.keys) || keys.keys.length === 0) {
      throw new TypeError("keys must be the room's gate keys: {room, algorithm, keys: [...]}");
    }
    this.room = BigInt(keys.room);
    this.ed25519 = keys.algorithm === "ed25519";
    if (!this.ed25519 && keys.algorithm !== "hmac") {
      throw new TypeError(`unknown algorithm ${String(keys.algorithm)}: "hmac" or "ed25519"`);
    }
    this.passCheckers = new Map();
    this.stateCheckers = [];
    for (const key of keys.keys) this.add(key);
  }

  /** @private */
  add(key) {
    if (!Number.isInteger(key.id) || key.id < 0 || key.id > 255) {
      throw new TypeError("a key's id is a whole number from 0 to 255");
    }
    const checker = this.ed25519 ? ed25519Checker : macChecker;
    const forPasses = keyBytes(this.ed25519 ? key.public_key : key.pass_key, "the pass's key");
    const forState = this.ed25519 ? forPasses : keyBytes(key.state_key, "the state's key");
    this.passCheckers.set(key.id, checker(forPasses, PASS_PREFIX));
    this.stateCheckers.push(checker(forState, STATE_PREFIX));
  }

  /**
   * Verify a pass of this room.
   *
   * @param {unknown} text as it came from outside, whatever it is
   * @param {number} nowMs the room's time
   * @param {number | null} epoch the room's, or null where it is not known
   * @param {number} skewMs how much longer than written a pass is good
   * @returns {{pass: object, reason: null} | {pass: object | null, reason: string}} a pass beside a
   *   reason is genuine, but of another epoch or expired
   */
  open(text, nowMs, epoch = null, skewMs = SKEW_MS) {
    const raw = this.unsealed(text);
    if (typeof raw === "string") return { pass: null, reason: raw };
    const pass = readPass(raw);
    if (epoch !== null && pass.epoch !== epoch) return { pass, reason: "epoch" };
    if (pass.expiresAtMs + skewMs <= nowMs) return { pass, reason: "expired" };
    return { pass, reason: null };
  }

  /** @private The bytes of a genuine pass of this room, or the reason why it is none. */
  unsealed(text) {
    if (typeof text !== "string") return "malformed";
    if (text.length < CHARACTERS_MIN || text.length > CHARACTERS_MAX) return "malformed";
    const raw = decodeBase64url(text);
    if (raw === null) return "malformed";
    if (raw[0] !== VERSION) return "version";
    if (raw[1] !== KIND_PASS) return raw[1] >= 1 && raw[1] <= KIND_LAST ? "kind" : "malformed";
    const ed25519 = (raw[3] & ED25519) !== 0;
    const length = BODY_BYTES + (ed25519 ? ED25519_BYTES : MAC_BYTES);
    if ((raw[3] & ~(ACCOUNT | ED25519)) !== 0 || raw.length !== length) return "malformed";
    if (raw.readBigUInt64BE(4) !== this.room) return "room";
    const check = ed25519 === this.ed25519 ? this.passCheckers.get(raw[2]) : undefined;
    if (check === undefined) return "key";
    return check(raw.subarray(0, BODY_BYTES), raw.subarray(BODY_BYTES)) ? raw : "signature";
  }

  /**
   * Verify a state document and read it.
   *
   * @param {Buffer} bytes the exact bytes of the response
   * @returns {object | null} the document, or null if we did not sign it for this room
   */
  readState(bytes) {
    const at = bytes.lastIndexOf(SIGNATURE);
    if (at < 0) return null;
    const body = bytes.subarray(0, at);
    // Nothing may follow the signature: members after it would be unsigned, and would win.
    const tail = bytes.toString("latin1", at + SIGNATURE.length);
    const signature = tail.endsWith('"}') ? decodeBase64url(tail.slice(0, -2)) : null;
    if (signature === null) return null;
    if (!this.stateCheckers.some((check) => check(body, signature))) return null;
    const document = JSON.parse(`${body.toString("utf8")}}`);
    return BigInt(document.room) === this.room ? document : null;
  }
}

function readPass(raw) {
  return {
    room: Number(raw.readBigUInt64BE(4)),
    epoch: raw.readUInt32BE(12),
    number: Number(raw.readBigUInt64BE(16)),
    issuedAtMs: Number(raw.readBigUInt64BE(24)),
    holder: uuid(raw, 32),
    binding: raw.toString("base64url", 48, 64),
    account: (raw[3] & ACCOUNT) !== 0,
    expiresAtMs: Number(raw.readBigUInt64BE(64)),
    passId: uuid(raw, 72),
    renewal: raw.readUInt32BE(88),
  };
}

function uuid(raw, at) {
  const hex = raw.toString("hex", at, at + 16);
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}

module.exports = { PassVerifier, REASONS, SKEW_MS };
