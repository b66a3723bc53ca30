import { PassVerifier, REASONS, waitingRoom, type Options, type Reason } from "@sunseo/gate";

declare const keys: Options["keys"];

const options: Options = {
  room: 42n,
  keys,
  sunseoUrl: "https://rooms.example",
  protect: ["/checkout"],
  bypass: { paths: ["/static"], networks: ["192.0.2.0/24"], preflight: true },
  failMode: "open",
  openRateMax: 5,
};
const guard = waitingRoom(options);
await guard.ready();
const refused: number | undefined = guard.counts["expired"];
guard.close();

const { pass, reason } = new PassVerifier(keys).open("", Date.now());
const why: Reason | null = reason;
if (reason === null) pass.passId.toUpperCase();

// @ts-expect-error a fail mode that is none
waitingRoom({ ...options, failMode: "maybe" });
export { REASONS, refused, why };
