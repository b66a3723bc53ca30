/** Types of sunseo.js, which a Sunseo serves at /sunseo.js and which sets `window.sunseo`. */

export interface EnterOptions {
  /** Where Sunseo is; where the script was loaded from if not given. */
  base?: string;
  /** A person's token, or what gives a fresh one: a JWT of the host or a guest session. */
  token?: string | (() => string | null | Promise<string | null>);
  /** Called whenever there is something to show. What it throws is reported, and the wait goes on. */
  onUpdate?: (wait: Update) => void;
  /** Ends the wait: `enter` rejects with the signal's reason. The place is kept. */
  signal?: AbortSignal;
  /**
   * Solves a challenge, for instance with Turnstile's widget. Proof of work is done by the script
   * itself where this is not given, or gives null.
   */
  solve?: (challenge: Challenge) => Promise<string | null>;
  /** Whether the pass is renewed while the page is open; true if not given. */
  renew?: boolean;
}

export type Challenge =
  | { kind: "altcha"; algorithm: string; challenge: string; maxnumber: number; salt: string; signature: string }
  | { kind: "turnstile"; sitekey: string };

/** How a wait ends. With "entered" there is a pass. */
export type Outcome =
  | "entered"
  | "sold_out"
  | "closed"
  /** A challenge could not be solved. */
  | "challenged"
  /** The pass was taken away, or used in two places. */
  | "revoked"
  /** She has been inside and is done. */
  | "done"
  /** Her time inside is over. */
  | "session_over";

export type Stage =
  | "joining"
  | "proving"
  /** Takes part in a draw; the number comes with its result. */
  | "registered"
  | "waiting"
  | "entering"
  /** The operator started the line anew; a new place is taken. */
  | "reset"
  /** The place was left over from a visit that is over; a new one is taken. */
  | "again"
  | Outcome;

export interface Update {
  stage: Stage;
  phase: "before" | "open" | "paused" | "draining" | "closed" | null;
  /** How many are to enter until it is her turn, hers included. Never rises, but after "reset". */
  position: number | null;
  /** Seconds, from the fast case to the slow one; `to` is null when the slow one never ends. */
  eta: { from: number; to: number | null } | null;
  /** Why nobody is admitted at the moment; null while the line can move. */
  halted:
    | "closed"
    | "sold_out"
    | "paused"
    | "before"
    | "draw_due"
    | "draw_secret"
    | "draw_withheld"
    | "stock"
    | null;
  /** Of the draw in which she takes part: show it, so that she can check the draw. */
  receipt: string | null;
  /** Why the estimate has grown. */
  delay: "paused" | "slowed" | "unhealthy" | null;
  unitsLeft: number | null;
  /** From the operator, as plain text: show it as text, never as HTML. */
  message: { ko?: string; en?: string } | null;
  /** On the visitor's own clock. */
  opensAt: Date | null;
  /** The server could not be asked just now; it is tried again. */
  trouble: "offline" | "busy" | null;
}

export interface Turn {
  readonly outcome: Outcome;
  readonly room: number | string;
  /** To be sent along as the header `Sunseo-Pass`: the newest token, null when it is over. */
  readonly pass: string | null;
  /** On the visitor's own clock. */
  readonly expiresAt: Date | null;
  /** Settles when the pass is over, with the reason; without a pass, at once. */
  readonly ended: Promise<Outcome | "left">;
  /** Give the slot to the next in line now. */
  leave(): Promise<void>;
  /** Stop renewing, for a page that goes away and takes the pass with it. */
  stop(): void;
}

/** What the call itself got wrong, or a room that does not take it: `code` is the outcome's. */
export declare class SunseoError extends Error {
  readonly code: string;
  readonly status: number;
}

export interface Sunseo {
  /** Wait for a turn in a room. Rejects only when aborted, or with a SunseoError. */
  enter(room: number | string, options?: EnterOptions): Promise<Turn>;
  SunseoError: typeof SunseoError;
}

declare global {
  const sunseo: Sunseo;
  interface Window {
    sunseo: Sunseo;
  }
}
