/** What a client has taken and the gateway does not have yet: bounded, counted, each with somebody who may wait for it. */

/**
 * @typedef {import("./events.js").Entry} Entry
 * @typedef {{entry: Entry, stored: boolean, flying: boolean, settle: (taken: boolean) => void, settled: Promise<boolean>}}
 *   Own An entry of this page or program: whether the disk has it, and whether a request has it that outlives the page.
 */

/**
 * Of one kind of event, since the client was made.
 *
 * @typedef {object} Count
 * @property {number} emitted
 * @property {number} acknowledged The gateway has them.
 * @property {number} dropped Given up: refused, the buffer was full, or the time was up.
 */

export class Held {
  /** @type {Map<string, Own>} */
  #own = new Map();
  #bytes = 0;
  #mostEvents;
  #mostBytes;
  #counts = {
    inferences: { emitted: 0, acknowledged: 0, dropped: 0 },
    feedback: { emitted: 0, acknowledged: 0, dropped: 0 },
  };

  /** @param {number} mostEvents @param {number} mostBytes */
  constructor(mostEvents, mostBytes) {
    this.#mostEvents = mostEvents;
    this.#mostBytes = mostBytes;
  }

  get size() {
    return this.#own.size;
  }

  /** All of them, in the order in which they were taken. */
  get all() {
    return [...this.#own.values()];
  }

  /** @param {"inferences" | "feedback"} kind @returns {Count} */
  count(kind) {
    return { ...this.#counts[kind] };
  }

  /** @param {string} id */
  find(id) {
    return this.#own.get(id);
  }

  /**
   * @param {Entry} entry
   * @param {boolean} closed Whether nothing is taken any more.
   * @returns {Own | null} Null where there is no room: the entry is counted as dropped.
   */
  take(entry, closed) {
    const counts = this.#counts[entry.kind];
    counts.emitted += 1;
    if (closed || this.#own.size >= this.#mostEvents || this.#bytes + entry.bytes > this.#mostBytes) {
      counts.dropped += 1;
      return null;
    }
    /** @type {(taken: boolean) => void} */
    let settle = () => {};
    const settled = new Promise((/** @type {(taken: boolean) => void} */ resolve) => (settle = resolve));
    const own = { entry, stored: false, flying: false, settle, settled };
    this.#own.set(entry.id, own);
    this.#bytes += entry.bytes;
    return own;
  }

  /**
   * An entry, of this client or left by another page, is dealt with.
   *
   * @param {Entry} entry
   * @param {boolean} taken Whether the gateway has it; else it is given up.
   */
  settle(entry, taken) {
    const own = this.#own.get(entry.id);
    if (own === undefined) return;
    this.#own.delete(entry.id);
    this.#bytes -= entry.bytes;
    this.#counts[entry.kind][taken ? "acknowledged" : "dropped"] += 1;
    own.settle(taken);
  }

  /**
   * The oldest that the disk does not have.
   *
   * @param {number} most
   * @param {number} mostBytes
   */
  inMemory(most, mostBytes) {
    /** @type {Entry[]} */
    const batch = [];
    let bytes = 0;
    for (const own of this.#own.values()) {
      if (own.stored) continue;
      bytes += own.entry.bytes + 1;
      if (batch.length === most || (batch.length > 0 && bytes > mostBytes)) break;
      batch.push(own.entry);
    }
    return batch;
  }
}
