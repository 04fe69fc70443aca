/** What a caller gives a client, checked. */
/**
 * @param {string} url
 * @returns {string} Without a slash at the end. Throws TypeError.
 */
export function gatewayUrl(url: string): string;
/**
 * @param {string | undefined} key
 * @returns {string} Throws TypeError.
 */
export function apiKey(key?: string | undefined): string;
/** The part of a key that is no secret. @param {string} key @returns {string} */
export function keyIdOf(key: string): string;
