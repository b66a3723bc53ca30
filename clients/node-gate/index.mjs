import gate from "./index.js";

export const { PassVerifier, REASONS, waitingRoom } = gate;
