/**
 * How long to wait after so many failures in a row: exponential, of which the second half is drawn, so that programs that
 * failed together do not come again together; never sooner than the other side asks for.
 *
 * @param {number} failures From 1.
 * @param {number} askedMs The answer's Retry-After; 0 where it has none.
 * @param {Pace} [pace]
 * @param {number} [draw] In [0, 1).
 * @returns {number} Milliseconds.
 */
export function delayMs(failures: number, askedMs: number, pace?: Pace, draw?: number): number;
/**
 * @param {string | null} header Retry-After: seconds, or a date.
 * @param {number} [now] Milliseconds since 1970.
 * @returns {number} Milliseconds; 0 where it says nothing.
 */
export function askedMs(header: string | null, now?: number): number;
/** When to send again. Pure: the same failures and the same draw give the same moment. */
/**
 * @typedef {object} Pace
 * @property {number} firstMs After the first failure, at most.
 * @property {number} mostMs After many.
 */
/** @type {Pace} */
export const PACE: Pace;
/** A server that asks for more patience is asked again after this. */
export const MAX_ASKED_MS: 600000;
export type Pace = {
    /**
     * After the first failure, at most.
     */
    firstMs: number;
    /**
     * After many.
     */
    mostMs: number;
};
