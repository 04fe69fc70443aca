/** The client of a backend: inferences and feedback of a program that has an API key. */

import { feedbackEntry, inferenceEntry, uuid7 } from "./events.js";
import { apiKey, gatewayUrl, keyIdOf } from "./options.js";
import { Outbox } from "./outbox.js";
import { Store } from "./store.js";

/**
 * @typedef {import("./fields.js").Inference} Inference
 * @typedef {import("./fields.js").Feedback} Feedback
 * @typedef {import("./held.js").Count} Count
 * @typedef {import("./outbox.js").Problem} Problem
 * @typedef {import("./retry.js").Pace} Pace
 */

/**
 * @typedef {object} ClientOptions
 * @property {string} url The gateway's address.
 * @property {string} [key] An API key with the role `ingest`; left out where the gateway has no keys.
 * @property {string} [emitter] The name of this program; each client adds a suffix of its own.
 * @property {number} [maxEvents] How many may wait; beyond it new ones are dropped and counted.
 * @property {number} [maxBytes] Of all that wait.
 * @property {Pace} [retry] How long to wait before sending again.
 * @property {(problem: Problem) => void} [onError] Told of each event that is given up, and once a minute of what keeps
 *   events waiting. Without it the console is.
 */

/**
 * Records events and returns at once; never throws for transport. `await client.close()` before `process.exit()`.
 * A program that ends by itself flushes for up to five seconds.
 */
export class Client {
  #outbox;
  #emitter;

  /** @param {ClientOptions} options Throws TypeError for a wrong one. */
  constructor({ url, key, emitter = "sdk", maxEvents = 50_000, maxBytes = 32 * 1024 * 1024, retry, onError }) {
    if (typeof emitter !== "string" || emitter === "" || emitter.length > 150) {
      throw new TypeError(`emitter: expected a name of 1 to 150 characters, but it was ${emitter}`);
    }
    this.#emitter = `${emitter}.${uuid7().slice(-8)}`;
    const to = { url: gatewayUrl(url), key: apiKey(key), path: "/v1/events", batches: true };
    // Behind its own server a page may be a program too; what it said under one key is never sent under another.
    const shared = `headrace events ${to.url} ${keyIdOf(to.key)}`;
    const page = typeof document === "object";
    this.#outbox = new Outbox({
      to,
      store: Store.possible ? (lost) => new Store(shared, maxEvents, lost) : null,
      bounds: {
        events: maxEvents,
        bytes: maxBytes,
        batchEvents: 500,
        batchBytes: (page ? 48 : 256) * 1024,
        lingerMs: 25,
      },
      ...(retry && { pace: retry }),
      onError,
    });
  }

  /** The name that events bear: unique to this client. */
  get emitter() {
    return this.#emitter;
  }

  /**
   * Record an answer.
   *
   * @param {Inference} fields
   * @returns {string} Its id. Throws EventError that names a wrong field, nothing else.
   */
  inference(fields) {
    const entry = inferenceEntry(fields, this.#emitter);
    void this.#outbox.offer(entry);
    return entry.eventId;
  }

  /**
   * Record a sign of how good an answer was.
   *
   * @param {Feedback} fields
   * @returns {string} Its id. Throws EventError that names a wrong field, nothing else.
   */
  feedback(fields) {
    const entry = feedbackEntry(fields, this.#emitter);
    void this.#outbox.offer(entry);
    return entry.eventId;
  }

  /**
   * How many were emitted, acknowledged and dropped.
   *
   * @param {"inferences" | "feedback"} kind
   * @returns {Count}
   */
  count(kind) {
    return this.#outbox.count(kind);
  }

  /**
   * @param {number} [timeoutMs]
   * @returns {Promise<boolean>} True once everything recorded so far is taken or given up, false when the time is up.
   */
  flush(timeoutMs = 5000) {
    return this.#outbox.flush(timeoutMs);
  }

  /**
   * Flush, then stop. What is left is dropped and counted; in a browser it stays for the next page.
   *
   * @param {number} [timeoutMs]
   * @returns {Promise<boolean>} True when nothing is left.
   */
  close(timeoutMs = 5000) {
    return this.#outbox.close(timeoutMs);
  }
}
