"use strict";
/**
 * A site behind the gate, for tests from outside: options as JSON in SITE, its port on stdout.
 * It ends with its standard input, so that nothing of it is left when a test is killed.
 */
const { createServer } = require("node:http");
const { waitingRoom } = require("../index.js");

const { express: withExpress, ...options } = JSON.parse(process.env.SITE);

function app(req, res) {
  const command = new URL(req.url, "http://x").searchParams.get("command");
  const told = command ? { "Waiting-Room-Command": command } : {};
  res.writeHead(200, { "content-type": "application/json", ...told });
  res.end(JSON.stringify({ url: req.url, headers: req.headers, waitingRoom: req.waitingRoom }));
}

function siteWith(gate) {
  if (!withExpress) return createServer((req, res) => gate(req, res, () => app(req, res)));
  const site = require("express")();
  site.use(gate);
  site.use(app);
  return createServer(site);
}

async function run() {
  const gate = waitingRoom({ ...options, log: (message) => process.stderr.write(`${message}\n`) });
  await gate.ready();
  const server = siteWith(gate).listen(0, "127.0.0.1", () => process.stdout.write(`${server.address().port}\n`));
}

process.stdin.resume().on("end", () => process.exit(0));
run();
