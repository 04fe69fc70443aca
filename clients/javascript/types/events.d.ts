/**
 * A UUID of version 7: it starts with its time, milliseconds since 1970.
 *
 * @param {number} [now]
 * @returns {string}
 */
export function uuid7(now?: number): string;
/**
 * @param {Inference} fields
 * @param {string} emitter
 * @returns {Entry} Throws EventError.
 */
export function inferenceEntry(fields: Inference, emitter: string): Entry;
/**
 * @param {Feedback} fields
 * @param {string} emitter
 * @returns {Entry} Throws EventError.
 */
export function feedbackEntry(fields: Feedback, emitter: string): Entry;
/**
 * What a page's user says about the answer of a token.
 *
 * @param {string} token
 * @param {Said} said
 * @param {string} keyId
 * @returns {Entry} Throws EventError.
 */
export function pageEntry(token: string, said: Said, keyId: string): Entry;
/** @param {string} given @returns {number} */
export function utf8Bytes(given: string): number;
/**
 * Events and their ids. A field that a program gets wrong is an error at once; what people typed never is. A measure that is
 * no number from 0 up is left out, and `extra.left_out` names it: an answer is not lost for its latency.
 * The fields are those of headrace/contract/events.py, which `headrace schema inference` and `… feedback` print.
 */
/** A wrong field: a bug of the caller, named in one sentence. */
export class EventError extends Error {
}
/**
 * @typedef {Date | string | number} Time A Date, a text in ISO 8601 with its zone, or milliseconds since 1970.
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
 * @property {Record<string, number> | null} [scores] Label to probability.
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
/**
 * What waits to be sent.
 *
 * @typedef {object} Entry
 * @property {string} id Of the entry: a revision of an event is an entry of its own.
 * @property {string} eventId
 * @property {"inferences" | "feedback"} kind
 * @property {string} body The event as JSON.
 * @property {number} bytes
 * @property {number} at Milliseconds since 1970.
 * @property {string} [token] Of a page's feedback, the answer's.
 * @property {string} [keyId] Of a page's feedback, the key that the page had.
 */
/** What the gateway takes of one event, less room for what it adds. */
export const MAX_EVENT_BYTES: number;
/**
 * A Date, a text in ISO 8601 with its zone, or milliseconds since 1970.
 */
export type Time = Date | string | number;
export type Source = "user" | "implicit" | "outcome" | "judge" | "reviewer" | "audit";
export type Signal = "thumb" | "rating" | "correction" | "comment" | "rephrase" | "reroute" | "escalation" | "abandon" | "resolution" | "label" | "verdict";
export type Blame = "routing" | "retrieval" | "generation" | "rephrasing" | "guardrail" | "no_error";
/**
 * One answer of one model version to one question. Costs are US dollars. Null and undefined mean unset.
 */
export type Inference = {
    task: string;
    /**
     * The version that answered, as in `router@12`.
     */
    version: string;
    /**
     * Its id; a UUID of version 7 is made where it is left out.
     */
    inference_id?: string | null | undefined;
    occurred_at?: Time | null | undefined;
    tenant?: string | null | undefined;
    emitter?: string | null | undefined;
    revision?: number | null | undefined;
    arm?: "live" | "canary" | "shadow" | null | undefined;
    session_id?: string | null | undefined;
    /**
     * A pseudonym; never a name or an address.
     */
    user_ref?: string | null | undefined;
    /**
     * The question.
     */
    input?: string | null | undefined;
    /**
     * Free text, where there is any.
     */
    output?: string | null | undefined;
    /**
     * The class chosen.
     */
    label?: string | null | undefined;
    /**
     * Label to probability.
     */
    scores?: Record<string, number> | null | undefined;
    first_token_ms?: number | null | undefined;
    latency_ms?: number | null | undefined;
    tokens_in?: number | null | undefined;
    tokens_out?: number | null | undefined;
    cost?: number | null | undefined;
    trace_id?: string | null | undefined;
    span_id?: string | null | undefined;
    /**
     * The provider's own id of the answer.
     */
    response_id?: string | null | undefined;
    /**
     * Whether the question may train a model.
     */
    consent?: boolean | null | undefined;
    parent_id?: string | null | undefined;
    extra?: Record<string, unknown> | null | undefined;
};
/**
 * One sign of how good an answer was, which is named by one of the five ids. Null and undefined mean unset.
 */
export type Feedback = {
    source: Source;
    signal: Signal;
    inference_id?: string | null | undefined;
    response_id?: string | null | undefined;
    span_id?: string | null | undefined;
    trace_id?: string | null | undefined;
    session_id?: string | null | undefined;
    /**
     * Its id; a UUID of version 7 is made where it is left out.
     */
    feedback_id?: string | null | undefined;
    occurred_at?: Time | null | undefined;
    tenant?: string | null | undefined;
    emitter?: string | null | undefined;
    revision?: number | null | undefined;
    task?: string | null | undefined;
    /**
     * A thumb's 1 or -1 (true or false), a rating's 1 to 5.
     */
    value?: string | number | boolean | null | undefined;
    /**
     * Of a rating whose range is not 1 to 5, what stands for the best,
     */
    best?: number | null | undefined;
    /**
     * and for the worst, where that is not 1.
     */
    worst?: number | null | undefined;
    label?: string | null | undefined;
    comment?: string | null | undefined;
    blame?: Blame | null | undefined;
    rater?: string | null | undefined;
    rater_version?: string | null | undefined;
    inclusion_probability?: number | null | undefined;
    extra?: Record<string, unknown> | null | undefined;
};
/**
 * What a page may say.
 */
export type Said = {
    signal: Signal;
    value?: number;
    best?: number;
    worst?: number;
    label?: string;
    comment?: string;
};
/**
 * What waits to be sent.
 */
export type Entry = {
    /**
     * Of the entry: a revision of an event is an entry of its own.
     */
    id: string;
    eventId: string;
    kind: "inferences" | "feedback";
    /**
     * The event as JSON.
     */
    body: string;
    bytes: number;
    /**
     * Milliseconds since 1970.
     */
    at: number;
    /**
     * Of a page's feedback, the answer's.
     */
    token?: string | undefined;
    /**
     * Of a page's feedback, the key that the page had.
     */
    keyId?: string | undefined;
};
/**
 * Returns the value as it is sent; throws a sentence for a wrong one.
 */
export type Check = (value: any) => any;
