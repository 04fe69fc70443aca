/**
 * A UUID of version 7: it starts with its time, milliseconds since 1970.
 *
 * @param {number} [now]
 * @returns {string}
 */
export function uuid7(now?: number): string;
/**
 * @param {import("./fields.js").Inference} fields
 * @param {string} emitter
 * @returns {Entry} Throws EventError.
 */
export function inferenceEntry(fields: import("./fields.js").Inference, emitter: string): Entry;
/**
 * @param {import("./fields.js").Feedback} fields
 * @param {string} emitter
 * @returns {Entry} Throws EventError.
 */
export function feedbackEntry(fields: import("./fields.js").Feedback, emitter: string): Entry;
/**
 * What a page's user says about the answer of a token.
 *
 * @param {string} token
 * @param {import("./fields.js").Said} said
 * @param {string} keyId
 * @returns {Entry} Throws EventError.
 */
export function pageEntry(token: string, said: import("./fields.js").Said, keyId: string): Entry;
/** @param {string} given @returns {number} */
export function utf8Bytes(given: string): number;
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
export const MAX_EVENT_BYTES: number;
/**
 * What waits to be sent.
 */
export type Entry = {
    /**
     * Of the entry: a revision of an event is an entry of its own.
     */
    id: string;
    eventId: string;
    kind: "inferences" | "feedback";
    /**
     * The event as JSON.
     */
    body: string;
    bytes: number;
    /**
     * Milliseconds since 1970.
     */
    at: number;
    /**
     * Of a page's feedback, the answer's.
     */
    token?: string | undefined;
    /**
     * Of a page's feedback, the key that the page had.
     */
    keyId?: string | undefined;
};
