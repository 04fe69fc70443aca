/** Times in the forms that the gateway reads (headrace/contract/moments.py), as far as a client has to know them. */

/** How a text says its zone, or that it is a number since 1970. */
export const ZONED =
  /:\d\d.*([zZ]|UTC|GMT|[+-]\d\d(:?\d\d)?)( ?[[(][^\])]*[\])]| [A-Z]+( m=[+-][\d.]+)?)?\s*$|^\s*\\?\/Date\(|^\s*[\d.]+\s*$/;
/** From which number on one is in a unit, and how many of it are a millisecond. */
const UNITS = [[1e17, 1e6], [1e14, 1e3], [1e11, 1], [1e8, 1e-3]];

/**
 * @param {unknown} given A time as docs/events.md lists them.
 * @returns {number | undefined} Milliseconds since 1970.
 */
export function millisOf(given) {
  if (given instanceof Date) return given.getTime();
  if (typeof given === "number") {
    const unit = UNITS.find(([least]) => Math.abs(given) >= /** @type {number} */ (least));
    return unit && given / /** @type {number} */ (unit[1]);
  }
  if (typeof given === "string") return millisOfText(given.trim());
  if (typeof given !== "object" || given === null || Array.isArray(given)) return undefined;
  const named = Object.fromEntries(Object.entries(given).map(([field, inner]) => [field.replace(/^_+/, ""), inner]));
  const { seconds, nanos, nanoseconds, $date: date, ...others } = named;
  if (Object.keys(others).length > 0) return undefined;
  if (seconds !== undefined) return Number(seconds) * 1000 + Number(nanos ?? nanoseconds ?? 0) / 1e6;
  const inner = typeof date === "object" && date !== null ? date["$numberLong"] : date;
  // MongoDB's numbers are milliseconds whatever their size.
  return typeof inner === "string" && Number.isNaN(Number(inner)) ? millisOf(inner) : Number(inner);
}

/** @param {string} given */
function millisOfText(given) {
  if (given !== "" && Number.isFinite(Number(given))) return millisOf(Number(given));
  const dotnet = /^\\?\/Date\((-?\d+)([+-]\d{4})?\)\\?\/$/.exec(given);
  if (dotnet) return Number(dotnet[1]);
  if (!/^\d{4}-/.test(given)) return Date.parse(given);
  return Date.parse(
    given
      .replace(/\[[\w/+-]+\]$/, "")
      .replace(/ ([+-]\d{4}) [A-Za-z+-][\w+-]*( m=[+-][\d.]+)?$/, "$1")
      .replace(/ ?(UTC|GMT|Z)$/i, "Z")
      .replace(/^([\d-]{10})[ t](?=\d)/, "$1T")
      .replace(/(:\d\d(?:\.\d+)?) ?([+-]\d\d)(?::?(\d\d))?$/, (_, clock, hours, minutes = "00") => `${clock}${hours}:${minutes}`)
      .replace(/(:\d\d):60/, "$1:59"),
  );
}
