/** Inferences and feedback to a headrace gateway. */

export { Client } from "./client.js";
export { uuid7 } from "./events.js";
export { EventError } from "./fields.js";
export { PageClient } from "./page.js";

/**
 * @typedef {import("./client.js").ClientOptions} ClientOptions
 * @typedef {import("./fields.js").Inference} Inference
 * @typedef {import("./fields.js").Feedback} Feedback
 * @typedef {import("./fields.js").Source} Source
 * @typedef {import("./fields.js").Signal} Signal
 * @typedef {import("./fields.js").Blame} Blame
 * @typedef {import("./page.js").PageOptions} PageOptions
 * @typedef {import("./page.js").Thumb} Thumb
 * @typedef {import("./held.js").Count} Count
 * @typedef {import("./outbox.js").Problem} Problem
 */
