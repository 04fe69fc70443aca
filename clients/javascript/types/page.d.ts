export { EventError };
/**
 * Says what a user thinks of answers. Each call returns at once with a promise that never rejects: true once the gateway
 * has it, false once it is given up; a page need not wait for it. What the gateway does not have yet is kept on the
 * user's disk and sent by the next page of this origin. An answer has one of each signal; the last one said counts.
 */
export class PageClient {
    /** @param {PageOptions} options Throws TypeError for a wrong one. */
    constructor({ url, key, retry, onError }: PageOptions);
    /**
     * @param {string} token The answer's X-Headrace-Token.
     * @param {Thumb} thumb
     */
    thumb(token: string, thumb: Thumb): Promise<boolean>;
    /**
     * @param {string} token The answer's X-Headrace-Token.
     * @param {number} stars From 1 to 5, or within the range.
     * @param {{best: number, worst?: number}} [range] Where it is not 1 to 5.
     */
    rating(token: string, stars: number, range?: {
        best: number;
        worst?: number;
    }): Promise<boolean>;
    /**
     * @param {string} token The answer's X-Headrace-Token.
     * @param {string} label What the answer should have been.
     * @param {string} [comment]
     */
    correction(token: string, label: string, comment?: string): Promise<boolean>;
    /**
     * @param {string} token The answer's X-Headrace-Token.
     * @param {string} comment
     */
    comment(token: string, comment: string): Promise<boolean>;
    /** How much feedback was emitted, acknowledged and dropped. @returns {Count} */
    get count(): Count;
    /**
     * @param {number} [timeoutMs]
     * @returns {Promise<boolean>} True once everything said so far is taken or given up, false when the time is up before.
     */
    flush(timeoutMs?: number): Promise<boolean>;
    /**
     * Flush, then stop. What is left stays for the next page.
     *
     * @param {number} [timeoutMs]
     * @returns {Promise<boolean>} True when nothing is left.
     */
    close(timeoutMs?: number): Promise<boolean>;
    #private;
}
export type Count = import("./held.js").Count;
export type Problem = import("./outbox.js").Problem;
export type Pace = import("./retry.js").Pace;
export type PageOptions = {
    /**
     * The gateway's address.
     */
    url: string;
    /**
     * A key with the role `publish` that lists the page's origin.
     */
    key: string;
    /**
     * How long to wait before sending again.
     */
    retry?: import("./retry.js").Pace | undefined;
    /**
     * Told of what was given up, and once a minute of what keeps feedback
     * waiting. Without it the console is.
     */
    onError?: ((problem: Problem) => void) | undefined;
};
export type Thumb = "up" | "down" | 1 | -1 | boolean;
import { EventError } from "./fields.js";
