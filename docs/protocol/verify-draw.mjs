// Check a published draw in JavaScript: one file, no dependency, Node 18 or newer and browsers.
//
//     node verify-draw.mjs draw.gz [--receipt ID] [--commitment HEX] [--list-hash HEX] [--json]
//
//     import { verifyDraw } from "./verify-draw.mjs";
//     const verdict = await verifyDraw(file.stream(), { receipt: "2f1c…" });
//
// The format is described in draw.md, beside this file. It checks the same as the verifier in
// Python, and shares no code with it. Exit codes: 0 valid, 1 not valid, 2 no such file, 3 sealed
// and sound, but not drawn yet.

const HEADER_BYTES_MAX = 16 * 1024 * 1024;
const LINE_BYTES_MAX = 80;
const LINE_FEED = 10;
const VERDICTS = ["valid", "not valid", "unusable", "not drawn yet"];

class Unusable extends Error {}
class Fault extends Error {
  constructor(says, line) {
    super(says);
    this.line = line ?? null;
  }
}

/** Check a draw; the verdict, whatever it is.
 *  @param {ReadableStream<Uint8Array>} stream the file's bytes, gzipped or not
 *  @param {{receipt?: string, commitment?: string, listHash?: string,
 *           onProgress?: (read: number, total: number) => void}} notes what you noted before
 */
export async function verifyDraw(stream, notes = {}) {
  const verdict = { verdict: "", exitCode: 0, checks: [], fault: null, warnings: [], receipt: null };
  const check = async (name, work) => {
    try {
      verdict.checks.push({ name, passed: true, says: await work(), line: null });
      return true;
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      verdict.checks.push({ name, passed: false, says: error.message, line: error.line });
      verdict.fault ??= verdict.checks.at(-1);
      return false;
    }
  };
  try {
    const lines = linesOf(await unpacked(stream));
    const header = await headerOf(lines);
    const wanted = notes.receipt === undefined ? null : entrantOf(notes.receipt, header);
    const found = { count: 0, ids: new Sha256(), ranks: new Words(), numbers: [] };
    const seed = header.secret === null ? null : seedOf(header);
    Object.assign(verdict, { room: header.room, epoch: header.epoch, warnings: warningsOf(header) });

    await check("commitment", () => checkCommitment(header, notes));
    const sound = await check("list", () =>
      checkList(lines, header, seed, found, { ...notes, wanted, verdict }));
    verdict.entrants = found.count;
    if (sound) {
      await check("count", () => checkCount(header, found));
      await check("list hash", () => checkListHash(header, notes, found));
      if (seed !== null) {
        await check("seed", () => checkSeed(header, seed));
        await check("numbers", () => checkNumbers(found));
      }
    }
    verdict.exitCode = verdict.fault ? 1 : header.secret === null ? 3 : 0;
  } catch (error) {
    if (!(error instanceof Unusable)) throw error;
    verdict.exitCode = 2;
    verdict.says = error.message;
  }
  verdict.verdict = VERDICTS[verdict.exitCode];
  return verdict;
}

// The file

async function unpacked(stream) {
  const reader = stream.getReader();
  const first = await reader.read();
  const whole = new ReadableStream({
    start(controller) {
      if (first.done) controller.close();
      else controller.enqueue(first.value);
    },
    async pull(controller) {
      const { done, value } = await reader.read();
      if (done) controller.close();
      else controller.enqueue(value);
    },
  });
  const zipped = !first.done && first.value[0] === 0x1f && first.value[1] === 0x8b;
  return zipped ? whole.pipeThrough(new DecompressionStream("gzip")) : whole;
}

/** Yields lines as bytes without their line feed; `ended` tells whether there was one. */
async function* linesOf(stream) {
  const reader = stream.getReader();
  let rest = new Uint8Array(0);
  for (let line = 0, limit = HEADER_BYTES_MAX; ; ) {
    let part;
    try {
      part = await reader.read();
    } catch (error) {
      throw line ? new Fault(`the file breaks off after line ${line}: ${error.message}`, line)
                 : new Unusable(`The file cannot be read: ${error.message}`);
    }
    const bytes = part.done ? rest : joined(rest, part.value);
    let start = 0;
    for (let end; (end = bytes.indexOf(LINE_FEED, start)) !== -1; start = end + 1) {
      line += 1;
      limit = LINE_BYTES_MAX;
      yield { bytes: bytes.subarray(start, end), ended: true };
    }
    rest = bytes.slice(start);
    if (rest.length > limit || (part.done && rest.length)) yield { bytes: rest, ended: false };
    if (part.done) return;
  }
}

async function headerOf(lines) {
  const { value: first } = await lines.next();
  let header;
  try {
    header = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(first.bytes));
  } catch {
    throw new Unusable("The first line is not JSON in UTF-8.");
  }
  if (header?.format !== "sunseo-draw")
    throw new Unusable("The first line does not say that this is a published draw.");
  if (header.version !== 1 || header.method !== "commit-reveal")
    throw new Unusable("This verifier knows version 1 with the method commit-reveal only.");
  for (const name of ["room", "epoch", "entrants"])
    if (!Number.isSafeInteger(header[name]) || header[name] < 0)
      throw new Unusable(`\`${name}\` in the first line is no number, or too large.`);
  header.secret ??= null;
  header.seed ??= null;
  for (const [name, size] of [["commitment", 32], ["list_hash", 32], ["secret"], ["seed", 32]])
    if (!isHex(header[name], size) && !(header[name] === null && /^se/.test(name)))
      throw new Unusable(`\`${name}\` in the first line is not as many hexadecimal digits.`);
  return header;
}

const isHex = (text, size) =>
  typeof text === "string" && /^([0-9a-f]{2})+$/.test(text) &&
  (size === undefined || text.length === 2 * size);

function entrantOf(text, header) {
  const plain = text.trim().toLowerCase().replaceAll("-", "");
  if (isHex(plain, 16)) return plain;
  let raw = [];
  try {
    raw = Uint8Array.from(atob(text.trim().replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
  } catch { /* said below */ }
  if (raw.length < 80 || raw[1] !== 4) throw new Unusable("This is neither a receipt nor an id.");
  const view = new DataView(raw.buffer);
  if (view.getBigUint64(4) !== BigInt(header.room) || view.getUint32(12) !== header.epoch)
    throw new Unusable("The receipt is for another draw.");
  return toHex(raw.subarray(64, 80));
}

// The checks, in their order

function checkCommitment(header, notes) {
  if (notes.commitment !== undefined && notes.commitment !== header.commitment)
    throw new Fault(`it is ${header.commitment}, and not the one that you noted`, 1);
  if (header.secret === null) return `${header.commitment}; the secret is still to come`;
  if (header.secret.length < 64) throw new Fault("the secret could have been guessed", 1);
  const digest = toHex(new Sha256().update(fromHex(header.secret)).digest());
  if (digest !== header.commitment)
    throw new Fault(`the secret hashes to ${digest}, and ${header.commitment} was promised`, 1);
  return "the secret is the one that was promised";
}

async function checkList(lines, header, seed, found, { wanted, verdict, onProgress }) {
  const pattern = seed === null ? /^([0-9a-f]{32})$/ : /^([0-9a-f]{32}) ([1-9][0-9]{0,14})$/;
  const rank = seed === null ? null : ranker(seed);
  const ascii = new TextDecoder("latin1");
  let previous = "";
  let line = 1;
  for await (const { bytes, ended } of lines) {
    line += 1;
    const match = ended ? pattern.exec(ascii.decode(bytes)) : null;
    if (match === null) throw new Fault(`line ${line} is not as it must be`, line);
    const [, id, number] = match;
    if (id <= previous)
      throw new Fault(`entrant ${id} on line ${line} ${id === previous ? "stands there twice" : "is out of order"}`, line);
    previous = id;
    const entrant = fromHex(id);
    found.count += 1;
    found.ids.update(entrant);
    if (rank !== null) {
      found.ranks.add(rank(entrant));
      found.numbers.push(Number(number));
    }
    if (id === wanted)
      verdict.receipt = { entrant: id, listed: true, number: rank === null ? null : Number(number) };
    if (onProgress && line % 50000 === 0) onProgress(found.count, header.entrants);
  }
  if (wanted !== null) verdict.receipt ??= { entrant: wanted, listed: false, number: null };
  return `${found.count} entrants, in order, each once`;
}

function checkCount(header, found) {
  if (found.count !== header.entrants)
    throw new Fault(`there are ${found.count} entrants, and the file says ${header.entrants}`,
      Math.min(found.count, header.entrants) + 2);
  return `${found.count}, as the file says`;
}

function checkListHash(header, notes, found) {
  const digest = toHex(found.ids.digest());
  if (digest !== header.list_hash)
    throw new Fault(`the ids hash to ${digest}, and the file says ${header.list_hash}`, 1);
  if (notes.listHash !== undefined && notes.listHash !== digest)
    throw new Fault(`it is ${digest}, and not the one that you noted`, 1);
  return "the list is the one whose hash was published when registration ended";
}

function seedOf(header) {
  const number = (value, size) => {
    const bytes = new Uint8Array(size);
    for (let at = size - 1, rest = BigInt(value); at >= 0; at -= 1, rest >>= 8n)
      bytes[at] = Number(rest & 255n);
    return bytes;
  };
  const hash = new Sha256();
  for (const field of [
    new TextEncoder().encode("sunseo:draw:v1"), number(header.room, 8), number(header.epoch, 4),
    fromHex(header.secret), fromHex(header.list_hash), number(header.entrants, 8),
  ]) hash.update(number(field.length, 4)).update(field);
  return hash.digest();
}

function checkSeed(header, seed) {
  if (header.seed !== toHex(seed))
    throw new Fault(`it must be ${toHex(seed)}, and the file says ${header.seed}`, 1);
  return "it follows from room, epoch, secret, list and count";
}

function checkNumbers({ count, numbers, ranks }) {
  const places = new Uint32Array(count);
  for (let at = 0; at < count; at += 1) {
    const number = numbers[at];
    if (number > count) throw new Fault(`line ${at + 2} has number ${number}, above the count`, at + 2);
    if (places[number - 1])
      throw new Fault(`number ${number} stands on lines ${places[number - 1] + 1} and ${at + 2}`, at + 2);
    places[number - 1] = at + 1;
  }
  for (let number = 1; number < count; number += 1) {
    if (ranks.compare(places[number - 1] - 1, places[number] - 1) >= 0) {
      const order = Uint32Array.from({ length: count }, (_, at) => at)
        .sort((one, other) => ranks.compare(one, other));
      const right = new Uint32Array(count);
      order.forEach((at, place) => { right[at] = place + 1; });
      const at = numbers.findIndex((given, index) => given !== right[index]);
      throw new Fault(`line ${at + 2} has number ${numbers[at]}, and must have ${right[at]}`, at + 2);
    }
  }
  return "each is the rank of the entrant's keyed hash";
}

/** Hashes of eight words, compactly, since there may be millions. */
class Words {
  all = new Uint32Array(8192);
  used = 0;

  add(eight) {
    if (this.used === this.all.length) {
      const wider = new Uint32Array(2 * this.used);
      wider.set(this.all);
      this.all = wider;
    }
    this.all.set(eight, this.used);
    this.used += 8;
  }

  compare(one, other) {
    for (let word = 0; word < 8; word += 1) {
      const difference = this.all[8 * one + word] - this.all[8 * other + word];
      if (difference) return difference;
    }
    return 0;
  }
}

function warningsOf(header) {
  const log = Array.isArray(header.log) ? header.log : [];
  return [
    ...(header.independent === true ? [] : ["The operator kept the secret, and could have tried lists until one suited."]),
    ...log.filter((entry) => entry?.event === "withheld").map(() => "The secret was withheld, as the log says."),
    ...log.filter((entry) => entry?.event === "committed" && entry.registered)
      .map((entry) => `This commitment came after ${JSON.stringify(entry.registered)} had registered.`),
  ];
}

// SHA-256 (FIPS 180-4) and HMAC (RFC 2104), since the Web's own hashes one message per promise

const ROUNDS = new Uint32Array(64);
const START = new Uint32Array(8);
for (let candidate = 2, found = 0; found < 64; candidate += 1) {
  let prime = true;
  for (let divisor = 2; divisor * divisor <= candidate; divisor += 1)
    if (candidate % divisor === 0) { prime = false; break; }
  if (!prime) continue;
  if (found < 8) START[found] = fraction(candidate, 2n);
  ROUNDS[found] = fraction(candidate, 3n);
  found += 1;
}

/** The first 32 bits of a root's fraction, exactly: the whole root of candidate · 2^(32·degree). */
function fraction(candidate, degree) {
  const target = BigInt(candidate) << (32n * degree);
  let root = 0n;
  for (let bit = 1n << 40n; bit; bit >>= 1n)
    if ((root | bit) ** degree <= target) root |= bit;
  return Number(root & 0xffffffffn);
}

const schedule = new Uint32Array(64);

function compress(state, bytes, at) {
  const w = schedule;
  for (let i = 0; i < 16; i += 1, at += 4)
    w[i] = (bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3];
  for (let i = 16; i < 64; i += 1) {
    const x = w[i - 15], y = w[i - 2];
    const s0 = ((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3);
    const s1 = ((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10);
    w[i] = w[i - 16] + s0 + w[i - 7] + s1;
  }
  let [a, b, c, d, e, f, g, h] = state;
  for (let i = 0; i < 64; i += 1) {
    const S1 = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7));
    const t1 = (h + S1 + ((e & f) ^ (~e & g)) + ROUNDS[i] + w[i]) | 0;
    const S0 = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10));
    const t2 = (S0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
    h = g; g = f; f = e; e = (d + t1) | 0; d = c; c = b; b = a; a = (t1 + t2) | 0;
  }
  state[0] += a; state[1] += b; state[2] += c; state[3] += d;
  state[4] += e; state[5] += f; state[6] += g; state[7] += h;
}

class Sha256 {
  state = START.slice();
  block = new Uint8Array(64);
  held = 0;
  total = 0;

  update(bytes) {
    this.total += bytes.length;
    for (let at = 0; at < bytes.length; ) {
      const taken = Math.min(64 - this.held, bytes.length - at);
      this.block.set(bytes.subarray(at, at + taken), this.held);
      this.held += taken;
      at += taken;
      if (this.held === 64) {
        compress(this.state, this.block, 0);
        this.held = 0;
      }
    }
    return this;
  }

  digest() {
    return wordsToBytes(finished(this.state, this.block, this.held, this.total));
  }
}

/** Pad the last block and compress it; the eight words of the hash. */
function finished(state, block, held, total) {
  const words = state.slice();
  const last = new Uint8Array(held < 56 ? 64 : 128);
  last.set(block.subarray(0, held));
  last[held] = 0x80;
  const view = new DataView(last.buffer);
  view.setUint32(last.length - 8, Math.floor(total / 0x20000000));
  view.setUint32(last.length - 4, (total << 3) >>> 0);
  for (let at = 0; at < last.length; at += 64) compress(words, last, at);
  return words;
}

/** HMAC-SHA-256 of ids of 16 bytes, as eight words; both paddings are hashed once. */
function ranker(seed) {
  const padded = (pad) => {
    const block = new Uint8Array(64).fill(pad);
    seed.forEach((byte, at) => { block[at] ^= byte; });
    const state = START.slice();
    compress(state, block, 0);
    return state;
  };
  const inner = padded(0x36), outer = padded(0x5c);
  return (entrant) => finished(outer, wordsToBytes(finished(inner, entrant, 16, 80)), 32, 96);
}

function wordsToBytes(words) {
  const bytes = new Uint8Array(4 * words.length);
  const view = new DataView(bytes.buffer);
  words.forEach((word, at) => view.setUint32(4 * at, word));
  return bytes;
}

function fromHex(text) {
  const bytes = new Uint8Array(text.length / 2);
  for (let at = 0; at < bytes.length; at += 1) bytes[at] = parseInt(text.substr(2 * at, 2), 16);
  return bytes;
}

const toHex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");

function joined(one, other) {
  if (!one.length) return other;
  const both = new Uint8Array(one.length + other.length);
  both.set(one);
  both.set(other, one.length);
  return both;
}

// The command, in Node

async function main(argv) {
  const { createReadStream } = await import("node:fs");
  const { Readable } = await import("node:stream");
  const option = (name) => (argv.includes(name) ? argv[argv.indexOf(name) + 1] : undefined);
  const file = argv[0];
  if (!file || file.startsWith("--")) {
    console.error("verify-draw.mjs FILE [--receipt ID] [--commitment HEX] [--list-hash HEX] [--json]");
    return 2;
  }
  const bar = (read, total) => process.stderr.write(`\rreading: ${read} of ${total} `);
  let verdict;
  try {
    verdict = await verifyDraw(Readable.toWeb(createReadStream(file)), {
      receipt: option("--receipt"),
      commitment: option("--commitment")?.toLowerCase(),
      listHash: option("--list-hash")?.toLowerCase(),
      onProgress: process.stderr.isTTY ? bar : undefined,
    });
  } catch (error) {
    if (error?.code === undefined) throw error;
    verdict = { exitCode: 2, verdict: "unusable", says: error.message, checks: [], warnings: [] };
  }
  if (argv.includes("--json")) {
    console.log(JSON.stringify(verdict));
    return verdict.exitCode;
  }
  if (verdict.says) console.error(verdict.says);
  for (const check of verdict.checks)
    console.log(`  ${check.passed ? "ok  " : "FAIL"}  ${check.name.padEnd(11)} ${check.says}`);
  for (const warning of verdict.warnings) console.log(`  note  ${warning}`);
  if (verdict.receipt)
    console.log(`Entrant ${verdict.receipt.entrant} ${verdict.receipt.listed ? `has number ${verdict.receipt.number ?? "still to come"}` : "is NOT in this list"}.`);
  console.log(verdict.verdict.toUpperCase());
  return verdict.exitCode;
}

if (globalThis.process?.argv?.[1] && import.meta.url.endsWith("/verify-draw.mjs")) {
  const { pathToFileURL } = await import("node:url");
  const { realpathSync } = await import("node:fs");
  if (pathToFileURL(realpathSync(process.argv[1])).href === import.meta.url)
    process.exitCode = await main(process.argv.slice(2));
}
