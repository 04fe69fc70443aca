/** Stands for a gateway: answers each request as told, then as a gateway that takes everything. */

import { createServer } from "node:http";

/**
 * @typedef {{path: string, headers: import("node:http").IncomingHttpHeaders, body: any, at: number}} Request
 * @typedef {{status: number, body?: unknown, headers?: Record<string, string>} | "hang up"} Answer
 */

export class Gateway {
  /** @type {Request[]} */
  requests = [];
  /** Answers to the next requests. @type {Answer[]} */
  next = [];
  /** Events taken, by what they said. @type {any[]} */
  taken = [];
  /** Bytes of a body that something before the gateway lets pass. */
  most = Infinity;
  /** Events that it refuses, by their label. @type {Record<string, string>} */
  refuses = {};
  #server = createServer((request, response) => void this.#answer(request, response));

  async start(port = 0) {
    await new Promise((resolve) => this.#server.listen(port, "127.0.0.1", () => resolve(undefined)));
    const address = this.#server.address();
    this.port = typeof address === "object" && address ? address.port : 0;
    this.url = `http://127.0.0.1:${this.port}`;
    return this;
  }

  async stop() {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  /** @param {import("node:http").IncomingMessage} request @param {import("node:http").ServerResponse} response */
  async #answer(request, response) {
    let text = "";
    for await (const piece of request) text += piece;
    const body = JSON.parse(text);
    this.requests.push({ path: request.url ?? "", headers: request.headers, body, at: Date.now() });
    const told = this.next.shift() ?? (text.length > this.most ? { status: 413, body: "<html>too large" } : undefined);
    if (told === "hang up") {
      request.socket.destroy();
      return;
    }
    const answer = told ?? this.#take(body);
    response.writeHead(answer.status, { "content-type": "application/json", ...answer.headers });
    response.end(typeof answer.body === "string" ? answer.body : JSON.stringify(answer.body ?? {}));
  }

  /** @param {any} body @returns {{status: number, body: unknown, headers?: Record<string, string>}} */
  #take(body) {
    const events = Array.isArray(body) ? body : [body];
    const rejected = events.flatMap((event, index) =>
      this.refuses[event.label] ? [{ list: "events", index, message: this.refuses[event.label] }] : [],
    );
    if (rejected.length === events.length) return { status: 400, body: { error: { message: "all", events: rejected } } };
    this.taken.push(...events.filter((event) => !this.refuses[event.label]));
    const said = Array.isArray(body) ? { inferences: 0, feedback: 0, refused: 0, rejected } : { feedback_id: "x" };
    return { status: 202, body: said };
  }
}
