/** Events as they wait and are sent: the field's JSON, an id that is kept over retries, and its size. */

import { EventError, feedbackFields, inferenceFields, saidFields, shown } from "./fields.js";
import { millisOf } from "./times.js";

/**
 * What waits to be sent.
 *
 * @typedef {object} Entry
 * @property {string} id Of the entry: a revision of an event is an entry of its own.
 * @property {string} eventId
 * @property {"inferences" | "feedback"} kind
 * @property {string} body The event as JSON.
 * @property {number} bytes
 * @property {number} at Milliseconds since 1970.
 * @property {string} [token] Of a page's feedback, the answer's.
 * @property {string} [keyId] Of a page's feedback, the key that the page had.
 */

/** What the gateway takes of one event, less room for what it adds. */
export const MAX_EVENT_BYTES = 1024 * 1024 - 8192;
/** Of a text that makes an event too large, this much of its beginning and of its end is kept, in UTF-16 units. */
const KEPT_OF_LONG = 60_000;
const MAX_COMMENT = 65_536;

/**
 * A UUID of version 7: it starts with its time, milliseconds since 1970.
 *
 * @param {number} [now]
 * @returns {string}
 */
export function uuid7(now = Date.now()) {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  const view = new DataView(bytes.buffer);
  view.setUint32(0, Math.floor(now / 2 ** 16));
  view.setUint16(4, now % 2 ** 16);
  bytes[6] = 0x70 | (bytes[6] ?? 0) & 0x0f;
  bytes[8] = 0x80 | (bytes[8] ?? 0) & 0x3f;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}

/**
 * @param {import("./fields.js").Inference} fields
 * @param {string} emitter
 * @returns {Entry} Throws EventError.
 */
export function inferenceEntry(fields, emitter) {
  return entryOf("inferences", identified(inferenceFields(fields), "inference_id", emitter), "inference_id");
}

/**
 * @param {import("./fields.js").Feedback} fields
 * @param {string} emitter
 * @returns {Entry} Throws EventError.
 */
export function feedbackEntry(fields, emitter) {
  return entryOf("feedback", identified(feedbackFields(fields), "feedback_id", emitter), "feedback_id");
}

/**
 * What a page's user says about the answer of a token.
 *
 * @param {string} token
 * @param {import("./fields.js").Said} said
 * @param {string} keyId
 * @returns {Entry} Throws EventError.
 */
export function pageEntry(token, said, keyId) {
  if (typeof token !== "string" || token === "" || /[^\x21-\x7e]/.test(token)) {
    throw new EventError(`token: expected the X-Headrace-Token of an answer, but it was ${shown(token)}`);
  }
  const event = saidFields(said);
  const comment = /** @type {string | undefined} */ (event["comment"]);
  if (comment !== undefined && comment.length > MAX_COMMENT) event["comment"] = `${comment.slice(0, MAX_COMMENT - 1)}…`;
  const at = Date.now();
  event["occurred_at"] = new Date(at).toISOString();
  return { ...entry("", "feedback", JSON.stringify(wellFormed(event)), at), token, keyId };
}

/**
 * @param {Record<string, any>} event
 * @param {string} idField
 * @param {string} emitter
 */
function identified(event, idField, emitter) {
  const at = millisOf(event["occurred_at"]) ?? Date.now();
  return {
    [idField]: uuid7(at),
    occurred_at: new Date(at).toISOString(),
    ...(emitter ? { emitter } : {}),
    ...event,
  };
}

/**
 * @param {"inferences" | "feedback"} kind
 * @param {Record<string, any>} event
 * @param {string} idField
 * @returns {Entry}
 */
function entryOf(kind, event, idField) {
  /** @type {string} */
  let body;
  try {
    body = JSON.stringify(wellFormed(event));
    if (utf8Bytes(body) > MAX_EVENT_BYTES) body = JSON.stringify(wellFormed(shortened(event)));
  } catch (error) {
    throw new EventError(`extra: it cannot be written as JSON: ${/** @type {Error} */ (error).message}`);
  }
  return entry(event[idField], kind, body, Date.now());
}

/** @type {(eventId: string, kind: "inferences" | "feedback", body: string, at: number) => Entry} */
const entry = (eventId, kind, body, at) => ({ id: uuid7(), eventId, kind, body, bytes: utf8Bytes(body), at });

/** The event with both ends of its long texts. @param {Record<string, any>} event */
function shortened(event) {
  const both = (/** @type {string} */ long) =>
    long.length > 2 * KEPT_OF_LONG ? `${long.slice(0, KEPT_OF_LONG)}…${long.slice(-KEPT_OF_LONG)}` : long;
  return Object.fromEntries(
    Object.entries(event).map(([field, given]) => [field, typeof given === "string" ? both(given) : given]),
  );
}

/** Half of a surrogate pair, as a text that was cut has it, cannot be written in UTF-8. @param {any} given @returns {any} */
function wellFormed(given) {
  if (typeof given === "string") {
    return given.replace(/[\uD800-\uDBFF](?![\uDC00-\uDFFF])|(?<![\uD800-\uDBFF])[\uDC00-\uDFFF]/g, "\uFFFD");
  }
  if (given === null || typeof given !== "object" || typeof given.toJSON === "function") return given;
  if (Array.isArray(given)) return given.map(wellFormed);
  return Object.fromEntries(Object.entries(given).map(([field, inner]) => [wellFormed(field), wellFormed(inner)]));
}

/** @param {string} given @returns {number} */
export function utf8Bytes(given) {
  return new TextEncoder().encode(given).length;
}
