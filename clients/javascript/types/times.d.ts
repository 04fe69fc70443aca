/**
 * @param {unknown} given A time as docs/events.md lists them.
 * @returns {number | undefined} Milliseconds since 1970.
 */
export function millisOf(given: unknown): number | undefined;
/** Times in the forms that the gateway reads (headrace/contract/moments.py), as far as a client has to know them. */
/** How a text says its zone, or that it is a number since 1970. */
export const ZONED: RegExp;
