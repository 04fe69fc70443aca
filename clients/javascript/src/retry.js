/** When to send again. Pure: the same failures and the same draw give the same moment. */

/**
 * @typedef {object} Pace
 * @property {number} firstMs After the first failure, at most.
 * @property {number} mostMs After many.
 */

/** @type {Pace} */
export const PACE = { firstMs: 500, mostMs: 30_000 };
/** A server that asks for more patience is asked again after this. */
export const MAX_ASKED_MS = 600_000;

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
export function delayMs(failures, askedMs, pace = PACE, draw = Math.random()) {
  const whole = Math.min(pace.mostMs, pace.firstMs * 2 ** Math.min(failures - 1, 30));
  const own = whole * (0.5 + 0.5 * draw);
  const asked = Math.min(askedMs, MAX_ASKED_MS);
  return asked > 0 ? Math.max(own, asked + pace.firstMs * draw) : own;
}

/**
 * @param {string | null} header Retry-After: seconds, or a date.
 * @param {number} [now] Milliseconds since 1970.
 * @returns {number} Milliseconds; 0 where it says nothing.
 */
export function askedMs(header, now = Date.now()) {
  if (header === null || header.trim() === "") return 0;
  const seconds = Number(header);
  const found = Number.isNaN(seconds) ? Date.parse(header) - now : seconds * 1000;
  return Number.isFinite(found) && found > 0 ? found : 0;
}
