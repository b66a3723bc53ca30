"use strict";
/** The gate's way to Sunseo: HTTP on kept-alive connections, bounded in time and size. */
const http = require("node:http");
const https = require("node:https");

const ANSWER_BYTES_MAX = 1048576; // of a state document with every revoked pass of a large room
const ANSWER_MS = 5000;

class Origin {
  /**
   * @param {string} url `https://rooms.example`, with a path in front if Sunseo lives under one
   * @throws {TypeError} the URL is none of http or https
   */
  constructor(url) {
    const parts = new URL(url);
    if (parts.protocol !== "http:" && parts.protocol !== "https:") {
      throw new TypeError(`sunseoUrl must be like https://rooms.example, not ${url}`);
    }
    this.base = parts.origin + parts.pathname.replace(/\/+$/, "");
    this.client = parts.protocol === "https:" ? https : http;
    this.agent = new this.client.Agent({ keepAlive: true, maxSockets: 4 });
  }

  /**
   * One request. Redirects are not followed.
   *
   * @returns {Promise<{status: number, headers: object, body: Buffer}>} rejects when nobody answers
   */
  ask(method, path, body = undefined, headers = {}) {
    const content = body === undefined ? undefined : JSON.stringify(body);
    const sent = { accept: "application/json", ...headers };
    if (content !== undefined) {
      sent["content-type"] = "application/json";
      sent["content-length"] = Buffer.byteLength(content);
    }
    return new Promise((resolve, reject) => {
      const options = { method, headers: sent, agent: this.agent };
      const request = this.client.request(this.base + path, options, (answer) => {
        read(answer).then(resolve, reject).finally(() => clearTimeout(timer));
      });
      const timer = setTimeout(() => request.destroy(new Error("Sunseo did not answer in time")), ANSWER_MS);
      timer.unref();
      request.on("error", (error) => {
        clearTimeout(timer);
        reject(error);
      });
      request.end(content);
    });
  }

  close() {
    this.agent.destroy();
  }
}

async function read(answer) {
  const parts = [];
  let length = 0;
  for await (const part of answer) {
    length += part.length;
    if (length > ANSWER_BYTES_MAX) throw new Error("the answer is too long");
    parts.push(part);
  }
  return { status: answer.statusCode, headers: answer.headers, body: Buffer.concat(parts, length) };
}

module.exports = { Origin };
