"use strict";
/**
 * Which requests need a pass. Pure.
 *
 * Doubt goes to the guarded side: a path that two servers could read differently is never open, and
 * needs a pass even where only part of a site is guarded.
 */
const { createHash, timingSafeEqual } = require("node:crypto");
const { BlockList, isIP } = require("node:net");

const OPERATOR_SECRET_CHARACTERS_MIN = 32;
const SAFE_METHODS = new Set(["GET", "HEAD"]);
const OVERRIDES = ["x-http-method-override", "x-http-method", "x-method-override"];
const REWRITES = ["x-original-url", "x-rewrite-url"];
// Control characters, backslash, path parameters, a leftover per cent sign; `//`; `.` and `..` as
// segments; names that end in a dot or a blank.
const TOLD_TWICE = /[\x00-\x1f\x7f\\;%]|\/\/|\/\.{1,2}(?:\/|$)|[. ](?:\/|$)/;
// An encoded slash, backslash, zero or per cent sign: decoded once or twice, it is another path.
const HIDDEN = /%(?:2f|5c|00|25)/i;
const PLAIN = /^[\x21\x24-\x3b\x3d\x40-\x5b\x5d\x5f\x61-\x7a\x7c\x7e%"&'<>^`{}]*$/;

/**
 * A path that means the same to everybody, decoded, or null where servers may differ.
 *
 * @param {string} raw the path as it stood in the request line, without the query
 */
function cleanPath(raw) {
  if (!raw.startsWith("/") || !PLAIN.test(raw) || HIDDEN.test(raw)) return null;
  let path;
  try {
    path = decodeURIComponent(raw);
  } catch {
    return null; // bytes that are not UTF-8
  }
  if (TOLD_TWICE.test(path) || path.includes("\ufffd") || path.normalize("NFKC") !== path) return null;
  return path;
}

/** The prefix that ends where a segment ends. */
function prefixOf(path) {
  return path.endsWith("/") ? path : `${path}/`;
}

/** Letters in any case are one: the app behind may see no difference. */
function folded(path) {
  return path.toUpperCase().toLowerCase();
}

function checkedPrefixes(paths, name) {
  for (const path of paths) {
    if (typeof path !== "string" || cleanPath(encodeURI(path)) !== path) {
      throw new TypeError(`${name}: ${JSON.stringify(path)} is no path, or one that servers read differently`);
    }
  }
  return paths;
}

function digest(secret) {
  return createHash("sha256").update(secret, "utf8").digest(); // of one length, whatever the secret's
}

function networksOf(networks) {
  const list = new BlockList();
  for (const network of networks) {
    const [address, bits, more] = String(network).split("/");
    const family = isIP(address);
    const width = family === 4 ? 32 : 128;
    const prefix = bits === undefined ? width : Number(bits);
    if (!family || more !== undefined || !/^\d{0,3}$/.test(bits ?? "") || bits === "" || prefix > width) {
      throw new TypeError(`bypass.networks: ${JSON.stringify(network)} is not like 192.0.2.0/24`);
    }
    list.addSubnet(address, prefix, family === 4 ? "ipv4" : "ipv6");
  }
  return list;
}

/** An IPv4 address that came in over IPv6 is an IPv4 address. */
function plainAddress(address) {
  const mapped = /^::ffff:(\d{1,3}(?:\.\d{1,3}){3})$/i.exec(address ?? "");
  return mapped ? mapped[1] : address;
}

/** Says whether a request needs a pass. */
class Policy {
  /**
   * @param {string[]} protect path prefixes that are guarded, by whole segments, in any case
   * @param {object} bypass who passes all the same: paths (with their case), networks, userAgents
   *   (parts of the name; anybody can claim one, so that this opens GET and HEAD only),
   *   operatorSecret (sent as the header `Sunseo-Operator`), preflight (CORS preflights pass)
   * @throws {TypeError} something in it would guard nothing, or open more than it says
   */
  constructor(protect = ["/"], bypass = {}) {
    if (protect.length === 0) throw new TypeError("protect is empty: this gate would guard nothing");
    this.protect = checkedPrefixes(protect, "protect").map((path) => prefixOf(folded(path)));
    this.everything = this.protect.includes("/");
    this.openPaths = checkedPrefixes(bypass.paths ?? [], "bypass.paths").map(prefixOf);
    this.networks = networksOf(bypass.networks ?? []);
    this.userAgents = (bypass.userAgents ?? []).map((part) => String(part).toLowerCase());
    if (this.userAgents.some((part) => part.trim() === "")) {
      throw new TypeError("bypass.userAgents: an empty name would open everything");
    }
    const secret = bypass.operatorSecret ?? null;
    if (secret !== null && String(secret).length < OPERATOR_SECRET_CHARACTERS_MIN) {
      throw new TypeError(`bypass.operatorSecret is shorter than ${OPERATOR_SECRET_CHARACTERS_MIN} characters`);
    }
    this.operator = secret === null ? null : digest(String(secret));
    this.preflight = bypass.preflight === true;
  }

  /**
   * @param {{method: string, rawPath: string, query: string, headers: object, client: string | undefined}}
   *   asked a request, as far as a gate looks at it; header names in lower case
   */
  needsPass(asked) {
    let path = cleanPath(asked.rawPath);
    if (REWRITES.some((name) => name in asked.headers)) path = null; // the app may believe them
    if (path !== null && !this.everything && !this.guards(path)) return false;
    return !this.letsPass(asked, path);
  }

  /** @private */
  guards(path) {
    const whole = `${folded(path)}/`;
    return this.protect.some((prefix) => whole.startsWith(prefix));
  }

  /** @private */
  letsPass(asked, path) {
    if (this.isOperator(asked.headers["sunseo-operator"])) return true;
    if (this.isNear(plainAddress(asked.client))) return true;
    if (path === null) return false;
    if (this.openPaths.some((prefix) => `${path}/`.startsWith(prefix))) return true;
    if (this.preflight && isPreflight(asked)) return true;
    return this.userAgents.length > 0 && this.isCrawler(asked);
  }

  /** @private */
  isOperator(shown) {
    if (this.operator === null || typeof shown !== "string") return false;
    return timingSafeEqual(digest(shown), this.operator);
  }

  /** @private */
  isNear(address) {
    const family = isIP(address ?? "");
    return family !== 0 && this.networks.check(address, family === 4 ? "ipv4" : "ipv6");
  }

  /** @private */
  isCrawler(asked) {
    if (!SAFE_METHODS.has(asked.method) || overridesMethod(asked)) return false;
    const userAgent = String(asked.headers["user-agent"] ?? "").toLowerCase();
    return this.userAgents.some((part) => userAgent.includes(part));
  }
}

function isPreflight(asked) {
  const { headers } = asked;
  return (
    asked.method === "OPTIONS" &&
    "origin" in headers &&
    "access-control-request-method" in headers &&
    !overridesMethod(asked)
  );
}

/** Whether an app that knows such tricks would take this for another method. */
function overridesMethod(asked) {
  return asked.query.includes("_method=") || OVERRIDES.some((name) => name in asked.headers);
}

module.exports = { Policy, cleanPath };
