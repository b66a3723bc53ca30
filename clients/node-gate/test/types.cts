import express = require("express");
import gate = require("@sunseo/gate");
import { createServer } from "node:http";

declare const keys: gate.GateKeys;

const guard: gate.Gate = gate.waitingRoom({ room: 42, keys, sunseoUrl: "https://rooms.example" });

const app = express();
app.use(guard);
app.use("/checkout", guard);
app.get("/", (req, res) => {
  const number: number | undefined = req.waitingRoom?.pass.number;
  res.json({ number });
});
createServer((req, res) => void guard(req, res, () => res.end(req.waitingRoom?.token)));
