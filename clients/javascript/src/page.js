/** The client of a web page: what its user says about an answer whose token the page got with it. */

import { pageEntry } from "./events.js";
import { EventError } from "./fields.js";
import { apiKey, gatewayUrl, keyIdOf } from "./options.js";
import { Outbox } from "./outbox.js";
import { Store } from "./store.js";

export { EventError };

/**
 * @typedef {import("./held.js").Count} Count
 * @typedef {import("./outbox.js").Problem} Problem
 * @typedef {import("./retry.js").Pace} Pace
 */

/**
 * @typedef {object} PageOptions
 * @property {string} url The gateway's address.
 * @property {string} key A key with the role `publish` that lists the page's origin.
 * @property {Pace} [retry] How long to wait before sending again.
 * @property {(problem: Problem) => void} [onError] Told of what was given up, and once a minute of what keeps feedback
 *   waiting. Without it the console is.
 */

/** @typedef {"up" | "down" | 1 | -1 | boolean} Thumb */

/** A page may have so much waiting, of all its tabs. */
const EVENTS = 1000;
const BYTES = 4 * 1024 * 1024;

/**
 * Says what a user thinks of answers. Each call returns at once with a promise that never rejects: true once the gateway
 * has it, false once it is given up; a page need not wait for it. What the gateway does not have yet is kept on the
 * user's disk and sent by the next page of this origin. An answer has one of each signal; the last one said counts.
 */
export class PageClient {
  #outbox;
  #keyId;

  /** @param {PageOptions} options Throws TypeError for a wrong one. */
  constructor({ url, key, retry, onError }) {
    const to = { url: gatewayUrl(url), key: apiKey(key), path: "/v1/feedback", batches: false };
    this.#keyId = keyIdOf(to.key);
    this.#outbox = new Outbox({
      to,
      // A token binds feedback to its answer, so that a page with a newer key may send what an older one left.
      store: Store.possible ? (lost) => new Store(`headrace page ${to.url}`, EVENTS, lost) : null,
      bounds: { events: EVENTS, bytes: BYTES, batchEvents: 1, batchBytes: BYTES, lingerMs: 0 },
      ...(retry && { pace: retry }),
      keyId: this.#keyId,
      onError,
    });
  }

  /**
   * @param {string} token The answer's X-Headrace-Token.
   * @param {Thumb} thumb
   */
  thumb(token, thumb) {
    const up = ["up", 1, true].includes(thumb);
    if (!up && !["down", -1, false].includes(thumb)) {
      throw new EventError(`thumb: expected "up" or "down", but it was ${thumb}`);
    }
    return this.#say(token, { signal: "thumb", value: up ? 1 : -1 });
  }

  /**
   * @param {string} token The answer's X-Headrace-Token.
   * @param {number} stars From 1 to 5, or within the range.
   * @param {{best: number, worst?: number}} [range] Where it is not 1 to 5.
   */
  rating(token, stars, range) {
    const { worst = 1, best = 5 } = range ?? {};
    if (!(stars >= Math.min(worst, best) && stars <= Math.max(worst, best))) {
      throw new EventError(`rating: expected ${worst} to ${best}, but it was ${stars}`);
    }
    return this.#say(token, { signal: "rating", value: stars, ...range });
  }

  /**
   * @param {string} token The answer's X-Headrace-Token.
   * @param {string} label What the answer should have been.
   * @param {string} [comment]
   */
  correction(token, label, comment) {
    if (typeof label !== "string" || label.trim() === "" || label.length > 200) {
      throw new EventError(`correction: expected a label of 1 to 200 characters, but it was ${label}`);
    }
    return this.#say(token, { signal: "correction", label, ...(comment ? { comment } : {}) });
  }

  /**
   * @param {string} token The answer's X-Headrace-Token.
   * @param {string} comment
   */
  comment(token, comment) {
    return this.#say(token, { signal: "comment", comment });
  }

  /** How much feedback was emitted, acknowledged and dropped. @returns {Count} */
  get count() {
    return this.#outbox.count("feedback");
  }

  /**
   * @param {number} [timeoutMs]
   * @returns {Promise<boolean>} True once everything said so far is taken or given up, false when the time is up before.
   */
  flush(timeoutMs = 5000) {
    return this.#outbox.flush(timeoutMs);
  }

  /**
   * Flush, then stop. What is left stays for the next page.
   *
   * @param {number} [timeoutMs]
   * @returns {Promise<boolean>} True when nothing is left.
   */
  close(timeoutMs = 5000) {
    return this.#outbox.close(timeoutMs);
  }

  /**
   * @param {string} token
   * @param {import("./fields.js").Said} said
   * @returns {Promise<boolean>}
   */
  #say(token, said) {
    return this.#outbox.offer(pageEntry(token, said, this.#keyId));
  }
}
