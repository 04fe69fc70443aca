/** What a caller gives a client, checked. */

/**
 * @param {string} url
 * @returns {string} Without a slash at the end. Throws TypeError.
 */
export function gatewayUrl(url) {
  const found = typeof url === "string" ? url.replace(/\/+$/, "") : "";
  // In a page `/headrace` is an address, behind the page's own server.
  const here = typeof location === "object" ? location.href : undefined;
  if (typeof url !== "string" || (found === "" && here === undefined) || !parses(found || "/", here)) {
    throw new TypeError(`url: expected the gateway's address, as in https://gateway.example.com, but it was ${url}`);
  }
  return found;
}

/**
 * @param {string | undefined} key
 * @returns {string} Throws TypeError.
 */
export function apiKey(key = "") {
  if (typeof key !== "string" || /[^\x21-\x7e]/.test(key)) throw new TypeError("key: expected an API key, hr_…");
  return key;
}

/** The part of a key that is no secret. @param {string} key @returns {string} */
export function keyIdOf(key) {
  return key.split("_")[1] ?? "";
}

/** @param {string} url @param {string | undefined} here */
function parses(url, here) {
  try {
    return /^https?:$/.test(new URL(url, here).protocol);
  } catch {
    return false;
  }
}
