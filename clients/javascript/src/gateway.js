/** One request to the gateway, and what its answer means for each event in it. */

import { askedMs } from "./retry.js";

/** @typedef {import("./events.js").Entry} Entry */

/**
 * settled: the gateway has all of them but `refused`, places and reasons, which it will never take
 * split: together they are too much, or one of them spoils the request; send fewer
 * again: none is known to be taken, and another time may be better
 *
 * @typedef {{is: "settled", refused: Map<number, string>}
 *   | {is: "split", why: string}
 *   | {is: "again", why: string, askedMs: number}} Outcome
 */

/**
 * @typedef {object} Address
 * @property {string} url The gateway's.
 * @property {string} key An API key; empty where the gateway has none.
 * @property {string} path
 * @property {boolean} batches Whether a request has an array of events, or is one.
 */

/** Of a request without an answer, in milliseconds. */
const TIMEOUT_MS = 30_000;

/**
 * Send entries. Never rejects.
 *
 * @param {Address} to
 * @param {Entry[]} entries
 * @param {boolean} keepalive Whether the request outlives the page.
 * @returns {Promise<Outcome>}
 */
export async function post(to, entries, keepalive) {
  /** @type {Record<string, string>} */
  const headers = { "Content-Type": "application/json" };
  if (to.key) headers["Authorization"] = `Bearer ${to.key}`;
  const token = entries[0]?.token;
  if (token) headers["X-Headrace-Token"] = token;
  const bodies = entries.map((entry) => entry.body).join(",");
  const ending = new AbortController();
  const timer = setTimeout(() => ending.abort(new Error(`no answer within ${TIMEOUT_MS / 1000} s`)), TIMEOUT_MS);
  try {
    const answer = await fetch(to.url + to.path, {
      method: "POST",
      headers,
      body: to.batches ? `[${bodies}]` : bodies,
      ...(keepalive && { keepalive }),
      // Neither cookies nor the page's address are of use to the gateway. Not every runtime knows these.
      ...(typeof document === "object" && { credentials: "omit", referrerPolicy: "no-referrer", cache: "no-store" }),
      signal: ending.signal,
    });
    const text = await answer.text();
    return outcome(answer.status, decoded(text), answer.headers.get("retry-after"), entries.length, to.batches);
  } catch (error) {
    const cause = /** @type {Error} */ (/** @type {Error} */ (error).cause ?? error);
    return { is: "again", why: `no gateway answers at ${to.url}: ${cause.message || error}`, askedMs: 0 };
  } finally {
    clearTimeout(timer);
  }
}

/**
 * @param {number} status
 * @param {any} said The body, decoded; undefined where it is not JSON.
 * @param {string | null} retryAfter
 * @param {number} events
 * @param {boolean} batches
 * @returns {Outcome}
 */
export function outcome(status, said, retryAfter, events, batches) {
  const why = `the gateway answered ${status}: ${said?.error?.message ?? "without a reason"}`;
  if (status >= 200 && status < 300) {
    // A portal that asks people to sign in answers 200 too, and has taken nothing.
    if (batches ? Array.isArray(said?.rejected) : typeof said?.feedback_id === "string") {
      return { is: "settled", refused: places(said.rejected, events) };
    }
    return { is: "again", why: `something other than a gateway answered ${status}`, askedMs: 0 };
  }
  const named = places(said?.error?.events, events);
  // The status says why none was taken, and the list says it of each.
  if ((status === 400 || status === 403 || status === 413) && named.size === events) {
    return { is: "settled", refused: named };
  }
  const atFault = [400, 413, 415, 422].includes(status) || (status === 403 && said?.error?.param === "token");
  if (atFault && events > 1) return { is: "split", why };
  if (atFault) return { is: "settled", refused: new Map([[0, said?.error?.message ?? why]]) };
  return { is: "again", why, askedMs: askedMs(retryAfter) };
}

/** @param {any} rejected @param {number} events @returns {Map<number, string>} */
function places(rejected, events) {
  /** @type {Map<number, string>} */
  const found = new Map();
  for (const one of Array.isArray(rejected) ? rejected : []) {
    if (Number.isInteger(one?.index) && one.index >= 0 && one.index < events) {
      found.set(one.index, String(one.message));
    }
  }
  return found;
}

/** @param {string} text @returns {any} */
function decoded(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
