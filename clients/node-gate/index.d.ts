import type { IncomingMessage, ServerResponse } from "node:http";

/** The keys of one room's gate, as `GET /v1/rooms/{room}/keys` answers an operator. */
export interface GateKeys {
  room: number;
  /** "hmac": these keys can mint passes of this room, keep them secret. "ed25519": they cannot. */
  algorithm: "hmac" | "ed25519";
  keys: ReadonlyArray<HmacKey | Ed25519Key>;
}

export interface HmacKey {
  id: number;
  pass_key: string;
  state_key: string;
}

export interface Ed25519Key {
  id: number;
  public_key: string;
}

/** A verified pass. Times are milliseconds since 1970, UTC. */
export interface Pass {
  room: number;
  epoch: number;
  /** In line. */
  number: number;
  issuedAtMs: number;
  /** The person's id where `account`, otherwise a nonce's; a UUID. */
  holder: string;
  /** Hash of the browser's secret, base64url. */
  binding: string;
  account: boolean;
  expiresAtMs: number;
  /** Stays the same through all renewals; a UUID. */
  passId: string;
  renewal: number;
}

/** Why a token is refused, in the order in which it is looked at. */
export type Reason =
  | "malformed" | "version" | "kind" | "room" | "key" | "signature" | "epoch" | "expired";

export type FailMode = "closed" | "last_known" | "open";

/** Who passes without a pass. */
export interface Bypass {
  /** Prefixes, by whole segments and with their case: `/static` opens `/static/a.css`. */
  paths?: readonly string[];
  /** Of clients, like `192.0.2.0/24`. */
  networks?: readonly string[];
  /** Parts of the name, as crawlers have it. Anybody can claim one: this opens GET and HEAD only. */
  userAgents?: readonly string[];
  /** Who sends it as the header `Sunseo-Operator` passes; 32 characters or more. */
  operatorSecret?: string;
  /** Whether CORS preflights pass, which carry neither cookies nor headers. */
  preflight?: boolean;
}

export interface Options {
  room: number | string | bigint;
  keys: GateKeys;
  /** Where the gate reaches Sunseo. */
  sunseoUrl: string;
  /** Where browsers reach Sunseo; `sunseoUrl` if not given. */
  publicUrl?: string;
  /** The waiting page; `{publicUrl}/r/{room}` if not given. */
  pageUrl?: string;
  /** The guarded site's origin; the request's own Host if not given. */
  siteUrl?: string;
  /** Path prefixes that are guarded; everything if not given. */
  protect?: readonly string[];
  bypass?: Bypass;
  /** Until the room's own is known; "closed" if not given. */
  failMode?: FailMode;
  /** Newcomers a second in the fail mode "open", where the room sets none; 10. */
  openRateMax?: number;
  /** At most so long a request waits for its pass to be renewed, once in half its life; 250. */
  renewalWaitMs?: number;
  /** How long after its expiry a pass is still good; 5. */
  skewS?: number;
  /** Age of the room's document from which the fail mode holds; 15. */
  staleS?: number;
  /** The visitor's address; `req.ip` (Express, by its `trust proxy`) or the connection's if not given. */
  clientAddress?: (req: IncomingMessage) => string | undefined;
  /** The visitor's scheme; `req.protocol` (Express) or the connection's if not given. */
  scheme?: (req: IncomingMessage) => "http" | "https";
  /** Told when Sunseo cannot be reached, and when it can again. */
  log?: (message: string) => void;
}

export interface Gate {
  (req: IncomingMessage, res: ServerResponse, next: (error?: unknown) => void): void | Promise<void>;
  /** For what no middleware sees, such as a WebSocket's upgrade: whether this request may go on. */
  admits(req: IncomingMessage): boolean;
  /** Settles when the room has been asked for its state once, whether or not it answered. */
  ready(): Promise<void>;
  /** Refusals by reason, `opened` by the fail mode, notes `dropped`, since the start. */
  readonly counts: Readonly<Record<string, number>>;
  /** Stop asking the room. */
  close(): void;
}

/**
 * Middleware that lets through who has a pass of the room.
 *
 * @throws TypeError the options contradict each other, or the keys are not this room's
 */
export function waitingRoom(options: Options): Gate;

/** Verifies passes and state documents of one room with its gate keys alone. */
export class PassVerifier {
  constructor(keys: GateKeys);
  readonly room: bigint;
  /** A pass beside a reason is genuine, but of another epoch or expired. */
  open(text: unknown, nowMs: number, epoch?: number | null, skewMs?: number):
    | { pass: Pass; reason: null }
    | { pass: Pass | null; reason: Reason };
  /** The document, or null if the room did not sign exactly these bytes. */
  readState(bytes: Buffer): Record<string, unknown> | null;
}

export const REASONS: readonly Reason[];

declare module "node:http" {
  interface IncomingMessage {
    /** Set by the gate: who was let in with a pass; null by a rule or a mode. */
    waitingRoom?: { pass: Pass; token: string } | null;
  }
}
