/**
 * Send entries. Never rejects.
 *
 * @param {Address} to
 * @param {Entry[]} entries
 * @param {boolean} keepalive Whether the request outlives the page.
 * @returns {Promise<Outcome>}
 */
export function post(to: Address, entries: Entry[], keepalive: boolean): Promise<Outcome>;
/**
 * @param {number} status
 * @param {any} said The body, decoded; undefined where it is not JSON.
 * @param {string | null} retryAfter
 * @param {number} events
 * @param {boolean} batches
 * @returns {Outcome}
 */
export function outcome(status: number, said: any, retryAfter: string | null, events: number, batches: boolean): Outcome;
export type Entry = import("./events.js").Entry;
/**
 * settled: the gateway has all of them but `refused`, places and reasons, which it will never take
 * split: together they are too much, or one of them spoils the request; send fewer
 * again: none is known to be taken, and another time may be better
 */
export type Outcome = {
    is: "settled";
    refused: Map<number, string>;
} | {
    is: "split";
    why: string;
} | {
    is: "again";
    why: string;
    askedMs: number;
};
export type Address = {
    /**
     * The gateway's.
     */
    url: string;
    /**
     * An API key; empty where the gateway has none.
     */
    key: string;
    path: string;
    /**
     * Whether a request has an array of events, or is one.
     */
    batches: boolean;
};
