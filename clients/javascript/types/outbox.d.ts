export class Outbox {
    /**
     * @param {object} options
     * @param {Address} options.to
     * @param {((lost: () => void) => Store) | null} options.store
     * @param {Bounds} options.bounds
     * @param {Pace} [options.pace]
     * @param {string} [options.keyId]
     * @param {((problem: Problem) => void) | undefined} options.onError
     */
    constructor({ to, store, bounds, pace, keyId, onError }: {
        to: Address;
        store: ((lost: () => void) => Store) | null;
        bounds: Bounds;
        pace?: import("./retry.js").Pace | undefined;
        keyId?: string | undefined;
        onError: ((problem: Problem) => void) | undefined;
    });
    /** @param {"inferences" | "feedback"} kind */
    count(kind: "inferences" | "feedback"): import("./held.js").Count;
    /**
     * Take an entry. Never throws.
     *
     * @param {Entry} entry
     * @returns {Promise<boolean>} True once the gateway has it, false once it is given up.
     */
    offer(entry: Entry): Promise<boolean>;
    /**
     * @param {number} timeoutMs
     * @returns {Promise<boolean>} True once everything offered so far is settled, false when the time is up before.
     */
    flush(timeoutMs: number): Promise<boolean>;
    /**
     * Flush, then stop. What is left stays in the store for the next page, or is dropped and counted.
     *
     * @param {number} timeoutMs
     */
    close(timeoutMs: number): Promise<boolean>;
    /** The program has nothing else to do. */
    exit(): void;
    #private;
}
export type Entry = import("./events.js").Entry;
export type Address = import("./gateway.js").Address;
export type Outcome = import("./gateway.js").Outcome;
export type Pace = import("./retry.js").Pace;
export type Store = import("./store.js").Store;
/**
 * Something that a program cannot see otherwise; nothing is thrown for it.
 */
export type Problem = {
    /**
     * One sentence.
     */
    why: string;
    /**
     * Whether an event was given up; else it waits and is sent again.
     */
    dropped: boolean;
    /**
     * The event that was given up.
     */
    event?: Record<string, unknown> | undefined;
};
export type Bounds = {
    /**
     * How many may wait.
     */
    events: number;
    /**
     * Of all that wait.
     */
    bytes: number;
    /**
     * How many go in a request.
     */
    batchEvents: number;
    /**
     * Of a request.
     */
    batchBytes: number;
    /**
     * How long an event waits for company.
     */
    lingerMs: number;
};
