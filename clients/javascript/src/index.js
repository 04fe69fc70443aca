/** Inferences and feedback to a headrace gateway. */

export { Client } from "./client.js";
export { EventError, uuid7 } from "./events.js";
export { PageClient } from "./page.js";

/**
 * @typedef {import("./client.js").ClientOptions} ClientOptions
 * @typedef {import("./events.js").Inference} Inference
 * @typedef {import("./events.js").Feedback} Feedback
 * @typedef {import("./events.js").Source} Source
 * @typedef {import("./events.js").Signal} Signal
 * @typedef {import("./events.js").Blame} Blame
 * @typedef {import("./page.js").PageOptions} PageOptions
 * @typedef {import("./page.js").Thumb} Thumb
 * @typedef {import("./outbox.js").Count} Count
 * @typedef {import("./outbox.js").Problem} Problem
 */
