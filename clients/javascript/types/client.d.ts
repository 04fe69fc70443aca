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
    /** @param {ClientOptions} options Throws TypeError for a wrong one. */
    constructor({ url, key, emitter, maxEvents, maxBytes, retry, onError }: ClientOptions);
    /** The name that events bear: unique to this client. */
    get emitter(): string;
    /**
     * Record an answer.
     *
     * @param {Inference} fields
     * @returns {string} Its id. Throws EventError that names a wrong field, nothing else.
     */
    inference(fields: Inference): string;
    /**
     * Record a sign of how good an answer was.
     *
     * @param {Feedback} fields
     * @returns {string} Its id. Throws EventError that names a wrong field, nothing else.
     */
    feedback(fields: Feedback): string;
    /**
     * How many were emitted, acknowledged and dropped.
     *
     * @param {"inferences" | "feedback"} kind
     * @returns {Count}
     */
    count(kind: "inferences" | "feedback"): Count;
    /**
     * @param {number} [timeoutMs]
     * @returns {Promise<boolean>} True once everything recorded so far is taken or given up, false when the time is up.
     */
    flush(timeoutMs?: number): Promise<boolean>;
    /**
     * Flush, then stop. What is left is dropped and counted; in a browser it stays for the next page.
     *
     * @param {number} [timeoutMs]
     * @returns {Promise<boolean>} True when nothing is left.
     */
    close(timeoutMs?: number): Promise<boolean>;
    #private;
}
export type Inference = import("./fields.js").Inference;
export type Feedback = import("./fields.js").Feedback;
export type Count = import("./held.js").Count;
export type Problem = import("./outbox.js").Problem;
export type Pace = import("./retry.js").Pace;
export type ClientOptions = {
    /**
     * The gateway's address.
     */
    url: string;
    /**
     * An API key with the role `ingest`; left out where the gateway has no keys.
     */
    key?: string | undefined;
    /**
     * The name of this program; each client adds a suffix of its own.
     */
    emitter?: string | undefined;
    /**
     * How many may wait; beyond it new ones are dropped and counted.
     */
    maxEvents?: number | undefined;
    /**
     * Of all that wait.
     */
    maxBytes?: number | undefined;
    /**
     * How long to wait before sending again.
     */
    retry?: import("./retry.js").Pace | undefined;
    /**
     * Told of each event that is given up, and once a minute of what keeps
     * events waiting. Without it the console is.
     */
    onError?: ((problem: Problem) => void) | undefined;
};
