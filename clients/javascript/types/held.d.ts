/** What a client has taken and the gateway does not have yet: bounded, counted, each with somebody who may wait for it. */
/**
 * @typedef {import("./events.js").Entry} Entry
 * @typedef {{entry: Entry, stored: boolean, flying: boolean, settle: (taken: boolean) => void, settled: Promise<boolean>}}
 *   Own An entry of this page or program: whether the disk has it, and whether a request has it that outlives the page.
 */
/**
 * Of one kind of event, since the client was made.
 *
 * @typedef {object} Count
 * @property {number} emitted
 * @property {number} acknowledged The gateway has them.
 * @property {number} dropped Given up: refused, the buffer was full, or the time was up.
 */
export class Held {
    /** @param {number} mostEvents @param {number} mostBytes */
    constructor(mostEvents: number, mostBytes: number);
    get size(): number;
    /** All of them, in the order in which they were taken. */
    get all(): Own[];
    /** @param {"inferences" | "feedback"} kind @returns {Count} */
    count(kind: "inferences" | "feedback"): Count;
    /** @param {string} id */
    find(id: string): Own | undefined;
    /**
     * @param {Entry} entry
     * @param {boolean} closed Whether nothing is taken any more.
     * @returns {Own | null} Null where there is no room: the entry is counted as dropped.
     */
    take(entry: Entry, closed: boolean): Own | null;
    /**
     * An entry, of this client or left by another page, is dealt with.
     *
     * @param {Entry} entry
     * @param {boolean} taken Whether the gateway has it; else it is given up.
     */
    settle(entry: Entry, taken: boolean): void;
    /**
     * The oldest that the disk does not have.
     *
     * @param {number} most
     * @param {number} mostBytes
     */
    inMemory(most: number, mostBytes: number): import("./events.js").Entry[];
    #private;
}
export type Entry = import("./events.js").Entry;
/**
 * An entry of this page or program: whether the disk has it, and whether a request has it that outlives the page.
 */
export type Own = {
    entry: Entry;
    stored: boolean;
    flying: boolean;
    settle: (taken: boolean) => void;
    settled: Promise<boolean>;
};
/**
 * Of one kind of event, since the client was made.
 */
export type Count = {
    emitted: number;
    /**
     * The gateway has them.
     */
    acknowledged: number;
    /**
     * Given up: refused, the buffer was full, or the time was up.
     */
    dropped: number;
};
