/**
 * The fields of an event, and what is wrong with one. A field that a program gets wrong is an error at once; what people
 * typed never is. A measure that is no number from 0 up is left out, and `extra.left_out` names it: an answer is not lost for
 * its latency. So is a text that is NaN, which is how programs write that there is none. Words are read as the gateway reads
 * them. The fields are those of headrace/contract/events.py, which `headrace schema inference` and `… feedback` print.
 */

import { ZONED, millisOf } from "./times.js";

/** A wrong field: a bug of the caller, named in one sentence. */
export class EventError extends Error {
  name = "EventError";
}

/**
 * @typedef {Date | string | number | object} Time A Date, a text in ISO 8601 with its zone, or a number since 1970: of
 *   seconds, milli-, micro- or nanoseconds, the largest in which it is after 1973. Also what docs/events.md lists of texts and
 *   objects, as an HTTP date or a Firestore timestamp.
 * @typedef {"user" | "implicit" | "outcome" | "judge" | "reviewer" | "audit"} Source
 * @typedef {"thumb" | "rating" | "correction" | "comment" | "rephrase" | "reroute" | "escalation" | "abandon"
 *   | "resolution" | "label" | "verdict"} Signal
 * @typedef {"routing" | "retrieval" | "generation" | "rephrasing" | "guardrail" | "no_error"} Blame
 */

/**
 * One answer of one model version to one question. Costs are US dollars. Null and undefined mean unset.
 *
 * @typedef {object} Inference
 * @property {string} task
 * @property {string} version The version that answered, as in `router@12`.
 * @property {string | null} [inference_id] Its id; a UUID of version 7 is made where it is left out.
 * @property {Time | null} [occurred_at]
 * @property {string | null} [tenant]
 * @property {string | null} [emitter]
 * @property {number | null} [revision]
 * @property {"live" | "canary" | "shadow" | null} [arm]
 * @property {string | null} [session_id]
 * @property {string | null} [user_ref] A pseudonym; never a name or an address.
 * @property {string | null} [input] The question.
 * @property {string | null} [output] Free text, where there is any.
 * @property {string | null} [label] The class chosen.
 * @property {object | string | null} [scores] Label to probability; also `[["it", 0.9]]`, `[{ label, score }]`,
 *   `{ labels, scores }`, or one of them as JSON.
 * @property {number | null} [first_token_ms]
 * @property {number | null} [latency_ms]
 * @property {number | null} [tokens_in]
 * @property {number | null} [tokens_out]
 * @property {number | null} [cost]
 * @property {string | null} [trace_id]
 * @property {string | null} [span_id]
 * @property {string | null} [response_id] The provider's own id of the answer.
 * @property {boolean | null} [consent] Whether the question may train a model.
 * @property {string | null} [parent_id]
 * @property {Record<string, unknown> | null} [extra]
 */

/**
 * One sign of how good an answer was, which is named by one of the five ids. Null and undefined mean unset.
 *
 * @typedef {object} Feedback
 * @property {Source} source
 * @property {Signal} signal
 * @property {string | null} [inference_id]
 * @property {string | null} [response_id]
 * @property {string | null} [span_id]
 * @property {string | null} [trace_id]
 * @property {string | null} [session_id]
 * @property {string | null} [feedback_id] Its id; a UUID of version 7 is made where it is left out.
 * @property {Time | null} [occurred_at]
 * @property {string | null} [tenant]
 * @property {string | null} [emitter]
 * @property {number | null} [revision]
 * @property {string | null} [task]
 * @property {number | boolean | string | null} [value] A thumb's 1 or -1 (true or false), a rating's 1 to 5.
 * @property {number | null} [best] Of a rating whose range is not 1 to 5, what stands for the best,
 * @property {number | null} [worst] and for the worst, where that is not 1.
 * @property {string | null} [label]
 * @property {string | null} [comment]
 * @property {Blame | null} [blame]
 * @property {string | null} [rater]
 * @property {string | null} [rater_version]
 * @property {number | null} [inclusion_probability]
 * @property {Record<string, unknown> | null} [extra]
 */

/**
 * What a page may say.
 *
 * @typedef {{signal: Signal, value?: number, best?: number, worst?: number, label?: string, comment?: string}} Said
 */

/** @type {readonly string[]} */
const SOURCES = ["user", "implicit", "outcome", "judge", "reviewer", "audit"];
/** @type {readonly string[]} */
const SIGNALS = [
  "thumb", "rating", "correction", "comment", "rephrase", "reroute", "escalation", "abandon", "resolution", "label",
  "verdict",
];
/** @type {readonly string[]} */
const BLAMES = ["routing", "retrieval", "generation", "rephrasing", "guardrail", "no_error"];
/** @type {readonly string[]} */
const ARMS = ["live", "canary", "shadow"];

/** What the gateway reads as true or false; nothing is unset. */
const FLAGS = ["true", "t", "yes", "y", "on", "1", "false", "f", "no", "n", "off", "0", ""];

/** @typedef {(value: any) => any} Check Returns the value as it is sent, undefined for none; throws a sentence for a wrong one. */

/** @param {string} given */
const folded = (given) => given.trim().toLowerCase();

/** @type {Check} */
const text = (given) => {
  if (Number.isNaN(given)) wrong("a text", given);
  if (["number", "bigint", "boolean"].includes(typeof given)) return String(given);
  if (given instanceof Date && !Number.isNaN(given.getTime())) return given.toISOString();
  return typeof given === "string" ? given : wrong("a text", given);
};
/** @type {Check} */
const name = (given) => text(given) || wrong("a text that is not empty", given);
/** The event's own: without it there is no event. @type {Check} */
const id = (given) => name(given);
/** @type {Check} */
const amount = (given) => {
  const found = typeof given === "string" && given.trim() !== "" ? Number(given) : given;
  return Number.isFinite(found) && found >= 0 ? found : wrong("a number from 0 up", given);
};
/** @type {Check} */
const count = (given) => (Number.isInteger(amount(given)) ? amount(given) : wrong("a whole number from 0 up", given));
/** Words are passed on, for the gateway reads them. @type {Check} */
const flag = (given) => {
  if (typeof given === "string" && FLAGS.includes(folded(given))) return folded(given) || undefined;
  return [true, false, 0, 1].includes(given) ? Boolean(given) : wrong("true or false", given);
};
/** @type {Check} */
const number = (given) => (Number.isFinite(given) ? given : wrong("a number", given));
/** @type {Check} */
const bound = (given) => (typeof given === "string" && given.trim() !== "" ? (number(Number(given)), given) : number(given));
/** What a text means the gateway knows. @type {Check} */
const value = (given) => (typeof given === "boolean" || typeof given === "string" ? given : number(given));
/** @type {Check} */
const object = (given) => (isObject(given) ? given : wrong("an object", given));
/** Passed on as given: the gateway reads each form. @type {Check} */
const scores = (given) => {
  const sent = given instanceof Map ? Object.fromEntries(given) : given;
  const read = typeof sent === "string" ? parsed(sent) : sent;
  return scoresIn(read)?.every(isScore) ? sent : wrong("labels with their probabilities", given);
};
/** Text and objects are passed on, for the gateway reads them more finely than in milliseconds. @type {Check} */
const time = (given) => {
  const said = typeof given?.toJSON === "function" && !(given instanceof Date) ? given.toJSON() : given;
  const moment = new Date(millisOf(said) ?? NaN);
  const year = moment.getUTCFullYear();
  if (Number.isNaN(year)) wrong("a time", given);
  if (typeof said === "string" && !ZONED.test(said)) {
    throw new EventError(`: a time needs its zone, as in 2026-01-31T12:00:00Z, but it was ${shown(given)}`);
  }
  if (year < 2000 || year >= 2100) wrong("a time between the years 2000 and 2100", given);
  return typeof said === "number" || said instanceof Date ? moment.toISOString() : said;
};
/** @type {(names: readonly string[]) => Check} */
const oneOf = (names) => (given) => {
  const word = typeof given === "string" ? folded(given).replace(/[- ]/g, "_") : given;
  return word === "" ? undefined : names.includes(word) ? word : wrong(`one of ${names.join(", ")}`, given);
};

/** @type {Record<string, Check>} */
const SHARED = { occurred_at: time, tenant: name, emitter: text, revision: count, extra: object };
/** @type {Record<string, Check>} */
const INFERENCE = {
  ...SHARED, inference_id: id, task: name, version: name, arm: oneOf(ARMS), session_id: text, user_ref: text,
  input: text, output: text, label: text, scores, first_token_ms: amount, latency_ms: amount, tokens_in: count,
  tokens_out: count, cost: amount, trace_id: text, span_id: text, response_id: text, consent: flag, parent_id: name,
};
/** @type {Record<string, Check>} */
const FEEDBACK = {
  ...SHARED, feedback_id: id, inference_id: name, source: oneOf(SOURCES), signal: oneOf(SIGNALS), session_id: text,
  trace_id: text, span_id: text, response_id: text, task: text, value, label: text, comment: text,
  blame: oneOf(BLAMES), rater: text, rater_version: text, inclusion_probability: amount, best: bound, worst: bound,
};
/** What is measured beside the answer, and no reason to lose it. */
const MEASURES = ["scores", "first_token_ms", "latency_ms", "tokens_in", "tokens_out", "cost"];
const REFERENCES = ["inference_id", "response_id", "span_id", "trace_id", "session_id"];

/**
 * @param {object} fields
 * @returns {Record<string, unknown>} Throws EventError.
 */
export function inferenceFields(fields) {
  return checked("Inference", INFERENCE, ["task", "version"], fields);
}

/**
 * @param {object} fields
 * @returns {Record<string, unknown>} Throws EventError.
 */
export function feedbackFields(fields) {
  const event = checked("Feedback", FEEDBACK, ["source", "signal"], fields);
  if (!REFERENCES.some((reference) => event[reference])) {
    throw new EventError(`Feedback: it names its answer by one of ${REFERENCES.join(", ")}`);
  }
  if (event["value"] !== undefined) event["value"] = meant(event);
  return event;
}

/**
 * @param {object} fields
 * @returns {Record<string, unknown>} Throws EventError.
 */
export function saidFields(fields) {
  return checked("Feedback", FEEDBACK, ["signal"], fields);
}

/** The number that a thumb, rating or resolution says; a text as it is. @param {Record<string, unknown>} event */
function meant({ signal, value: said, best, worst }) {
  if (typeof said === "string") return said;
  if (signal === "rating" && typeof said === "boolean") wrongValue("1 to 5", said);
  const found = Number(said);
  const no = found === 0 || found === -1;
  if (signal === "thumb") return found === 1 ? 1 : no ? -1 : wrongValue("a thumb's 1 (up) or -1 (down)", said);
  if (signal === "resolution") return found === 1 ? 1 : no ? 0 : wrongValue("1 (solved) or 0 (not)", said);
  const declared = best !== undefined || worst !== undefined;
  if (signal === "rating" && !declared && !(found >= 1 && found <= 5)) {
    wrongValue("1 to 5, or `best` beside it for another range", said);
  }
  return found;
}

/** @param {string} expected @param {unknown} given @returns {never} */
function wrongValue(expected, given) {
  throw new EventError(`Feedback.value: expected ${expected}, but it was ${shown(given)}`);
}

/**
 * @param {string} what
 * @param {Record<string, Check>} checks
 * @param {string[]} required
 * @param {object} fields
 * @returns {Record<string, unknown>}
 */
function checked(what, checks, required, fields) {
  if (!isObject(fields)) throw new EventError(`${what}: expected an object of its fields, but it was ${shown(fields)}`);
  /** @type {Record<string, unknown>} */
  const event = {};
  /** @type {Record<string, string>} */
  const leftOut = {};
  for (const [field, given] of Object.entries(fields)) {
    const check = Object.hasOwn(checks, field) ? checks[field] : undefined;
    if (check === undefined) throw new EventError(`${what}.${field}: there is no such field`);
    if (given === null || given === undefined) continue;
    try {
      const read = check(given);
      if (read !== undefined) event[field] = read;
    } catch (error) {
      const none = MEASURES.includes(field) || (Number.isNaN(given) && [text, name].includes(check));
      if (!none) throw new EventError(`${what}.${field}${/** @type {Error} */ (error).message}`);
      leftOut[field] = shown(given);
    }
  }
  if (Object.keys(leftOut).length > 0) event["extra"] = { .../** @type {object} */ (event["extra"]), left_out: leftOut };
  for (const field of required) {
    if (!(field in event)) throw new EventError(`${what}.${field}: the field is missing`);
  }
  return event;
}

/** @param {string} given */
function parsed(given) {
  try {
    return JSON.parse(given);
  } catch {
    return undefined;
  }
}

/** The scores alone, of each form; undefined where it is none. @param {unknown} given @returns {unknown[] | undefined} */
function scoresIn(given) {
  if (Array.isArray(given)) {
    // One text's list in the list of a batch.
    const inBatch = given.length === 1 && Array.isArray(given[0]) && typeof given[0][0] !== "string";
    const pairs = (inBatch ? given[0] : given).map(pairIn);
    if (new Set(pairs.map((/** @type {any} */ pair) => pair?.[0])).size < pairs.length) return undefined;
    return pairs.includes(undefined) ? undefined : pairs.map((/** @type {any} */ pair) => pair[1]);
  }
  if (!isObject(given)) return undefined;
  const { labels, scores: found } = given;
  if (Array.isArray(labels) && Array.isArray(found)) return labels.length === found.length ? found : undefined;
  return Object.values(pairIn(given)?.slice(1) ?? given);
}

/** @param {unknown} given @returns {[string, unknown] | undefined} */
function pairIn(given) {
  if (Array.isArray(given)) return given.length === 2 && typeof given[0] === "string" ? [given[0], given[1]] : undefined;
  if (!isObject(given) || typeof given["label"] !== "string") return undefined;
  const { label, ...others } = given;
  const [[name, score] = [""], ...more] = Object.entries(others);
  const known = ["score", "probability", "prob", "confidence"].includes(name) && more.length === 0;
  return known ? [label, score] : undefined;
}

/** Whether the gateway takes it: a probability but for a hair, or null. @param {unknown} given */
function isScore(given) {
  if (given === null) return true;
  const found = typeof given === "string" && given.trim() !== "" ? Number(given) : given;
  return typeof found === "number" && found >= -0.001 && found <= 1.001;
}

/** @param {unknown} given @returns {given is Record<string, unknown>} */
function isObject(given) {
  return typeof given === "object" && given !== null && !Array.isArray(given) && !(given instanceof Date);
}

/** @param {string} expected @param {unknown} given @returns {never} */
function wrong(expected, given) {
  throw new EventError(`: expected ${expected}, but it was ${shown(given)}`);
}

/** @param {unknown} given */
export function shown(given) {
  const inner = (/** @type {string} */ _, /** @type {unknown} */ each) => (typeof each === "number" ? notedOf(each) : each);
  try {
    return String(["string", "object"].includes(typeof given) && !(given instanceof Date) ? JSON.stringify(given, inner) : given).slice(0, 80);
  } catch {
    return typeof given;
  }
}

/** A number as JSON has it; NaN and infinities by their names. @param {number} given */
function notedOf(given) {
  return Number.isFinite(given) ? given : String(given);
}
