/**
 * @param {object} fields
 * @returns {Record<string, unknown>} Throws EventError.
 */
export function inferenceFields(fields: object): Record<string, unknown>;
/**
 * @param {object} fields
 * @returns {Record<string, unknown>} Throws EventError.
 */
export function feedbackFields(fields: object): Record<string, unknown>;
/**
 * @param {object} fields
 * @returns {Record<string, unknown>} Throws EventError.
 */
export function saidFields(fields: object): Record<string, unknown>;
/** @param {unknown} given */
export function shown(given: unknown): string;
/** A wrong field: a bug of the caller, named in one sentence. */
export class EventError extends Error {
}
/**
 * A Date, a text in ISO 8601 with its zone, or a number since 1970: of
 *   seconds, milli-, micro- or nanoseconds, the largest in which it is after 1973. Also what docs/events.md lists of texts and
 *   objects, as an HTTP date or a Firestore timestamp.
 */
export type Time = Date | string | number | object;
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
     * Label to probability; also `[["it", 0.9]]`, `[{ label, score }]`,
     * `{ labels, scores }`, or one of them as JSON.
     */
    scores?: string | object | null | undefined;
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
 * Returns the value as it is sent, undefined for none; throws a sentence for a wrong one.
 */
export type Check = (value: any) => any;
