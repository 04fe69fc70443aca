/**
 * Events on their way: bounded, batched, sent again until the gateway has them, and sent while a page is left.
 *
 * A round takes the oldest entries, sends one request and settles each of its entries, or says when to come again. Where
 * there is a store, entries are on disk before a round sends them, and go from there when the gateway has them; a round
 * also sends what other tabs, and pages that are gone, have left there.
 */

import { post } from "./gateway.js";
import { Held } from "./held.js";
import { MAX_ASKED_MS, PACE, delayMs } from "./retry.js";

/**
 * @typedef {import("./events.js").Entry} Entry
 * @typedef {import("./gateway.js").Address} Address
 * @typedef {import("./gateway.js").Outcome} Outcome
 * @typedef {import("./retry.js").Pace} Pace
 * @typedef {import("./store.js").Store} Store
 */

/**
 * Something that a program cannot see otherwise; nothing is thrown for it.
 *
 * @typedef {object} Problem
 * @property {string} why One sentence.
 * @property {boolean} dropped Whether an event was given up; else it waits and is sent again.
 * @property {Record<string, unknown>} [event] The event that was given up.
 */

/**
 * @typedef {object} Bounds
 * @property {number} events How many may wait.
 * @property {number} bytes Of all that wait.
 * @property {number} batchEvents How many go in a request.
 * @property {number} batchBytes Of a request.
 * @property {number} lingerMs How long an event waits for company.
 */

/** Browsers let a page have 64 KiB in requests that outlive it; the rest is left to what else the page sends. */
const KEEPALIVE_BYTES = 60 * 1024;
const LEAVING_REQUESTS = 10;
const EXIT_MS = 5000;
const SAY_EVERY_MS = 60_000;
/** How long an entry that another key left is tried: as long as an answer's token is good. */
const FOREIGN_MS = 7 * 24 * 3600 * 1000;

/** Clients that a program's end waits for. @type {Set<Outbox>} */
const open = new Set();

export class Outbox {
  /** Of all own entries: whether the disk has them is known. @type {Promise<unknown>} */
  #adding = Promise.resolve();
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  #dueAt = Infinity;
  #running = false;
  #more = false;
  /** Somebody asked for it while a round was on its way. */
  #hurried = false;
  #stopped = false;
  #failures = 0;
  #pausedUntil = 0;
  #limit;
  #flyingBytes = 0;
  /** Places in the store that are none of this page's: its key cannot send them, or they cannot be removed. @type {Set<number>} */
  #passed = new Set();
  /** @type {Map<string, number>} */
  #saidAt = new Map();
  #closed = false;
  #ending = false;
  #held;
  #to;
  #store;
  #bounds;
  #pace;
  #keyId;
  #onError;
  #page;
  /** @type {Array<[EventTarget, string, () => void]>} */
  #listening = [];

  /**
   * @param {object} options
   * @param {Address} options.to
   * @param {((lost: () => void) => Store) | null} options.store
   * @param {Bounds} options.bounds
   * @param {Pace} [options.pace]
   * @param {string} [options.keyId]
   * @param {((problem: Problem) => void) | undefined} options.onError
   */
  constructor({ to, store, bounds, pace = PACE, keyId = "", onError }) {
    this.#to = to;
    this.#bounds = bounds;
    this.#held = new Held(bounds.events, bounds.bytes);
    this.#limit = bounds.batchEvents;
    this.#pace = pace;
    this.#keyId = keyId;
    this.#onError = onError;
    this.#store = store?.(() => this.#lost()) ?? null;
    this.#page = typeof document === "object";
    this.#listen();
    open.add(this);
    // What another page left is sent as soon as there is one again.
    if (this.#store) this.#wake(0);
  }

  /** @param {"inferences" | "feedback"} kind */
  count(kind) {
    return this.#held.count(kind);
  }

  /**
   * Take an entry. Never throws.
   *
   * @param {Entry} entry
   * @returns {Promise<boolean>} True once the gateway has it, false once it is given up.
   */
  offer(entry) {
    const own = this.#held.take(entry, this.#closed);
    if (own === null) {
      this.#say(`the buffer is ${this.#closed ? "closed" : "full"}: events are dropped and counted`, entry);
      return Promise.resolve(false);
    }
    if (this.#store) {
      const adding = this.#store.add(entry).then((stored) => (own.stored = stored));
      this.#adding = Promise.all([this.#adding, adding]);
    }
    this.#more = true;
    if (this.#failures === 0) this.#wake(this.#bounds.lingerMs);
    return own.settled;
  }

  /**
   * @param {number} timeoutMs
   * @returns {Promise<boolean>} True once everything offered so far is settled, false when the time is up before.
   */
  async flush(timeoutMs) {
    const all = Promise.all(this.#held.all.map((own) => own.settled)).then(() => true);
    if (this.#held.size > 0) this.#hurry();
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    let timer;
    const late = new Promise((resolve) => (timer = setTimeout(() => resolve(false), timeoutMs)));
    return /** @type {Promise<boolean>} */ (Promise.race([all, late]).finally(() => clearTimeout(timer)));
  }

  /**
   * Flush, then stop. What is left stays in the store for the next page, or is dropped and counted.
   *
   * @param {number} timeoutMs
   */
  async close(timeoutMs) {
    this.#closed = true;
    const flushed = await this.flush(timeoutMs);
    await this.#adding;
    this.#stopped = true;
    clearTimeout(this.#timer);
    for (const [target, type, listener] of this.#listening) target.removeEventListener(type, listener);
    open.delete(this);
    for (const own of this.#held.all) {
      if (!own.stored) this.#refuse(own.entry, "the client was closed before the gateway took it");
      own.settle(false);
    }
    await this.#store?.close();
    return flushed;
  }

  /** The program has nothing else to do. */
  exit() {
    // Where nothing answered in this time nothing will in a moment: the program is not held up twice.
    if (this.#held.size === 0 || this.#ending) return;
    this.#ending = true;
    void this.flush(EXIT_MS);
  }

  #listen() {
    /** @type {(target: unknown, type: string, listener: () => void) => void} */
    const on = (target, type, listener) => {
      if (!(target instanceof EventTarget)) return;
      target.addEventListener(type, listener);
      this.#listening.push([target, type, listener]);
    };
    if (typeof EventTarget !== "function") return;
    on(globalThis, "online", () => this.#hurry());
    if (!this.#page) return;
    on(globalThis, "pagehide", () => this.#leave());
    on(globalThis, "pageshow", () => this.#hurry());
    // On a phone this may be the last that a page is told.
    on(document, "visibilitychange", () => this.#hurry());
  }

  /** Send now what waits for company or for a better time, but for what the gateway asked to wait for. */
  #hurry() {
    const asked = this.#pausedUntil - Date.now();
    this.#more = true;
    this.#hurried = this.#running && asked <= 0;
    this.#wake(asked > 0 ? asked : 0);
  }

  /** @param {number} ms */
  #wake(ms) {
    const at = Date.now() + ms;
    if (this.#running || this.#stopped || this.#dueAt <= at) return;
    clearTimeout(this.#timer);
    this.#dueAt = at;
    this.#timer = setTimeout(() => void this.#run(), ms);
    // A gateway that is away does not keep a program from its end; its exit waits a moment, see `exit`.
    if (this.#failures > 0) /** @type {any} */ (this.#timer).unref?.();
  }

  async #run() {
    this.#dueAt = Infinity;
    this.#running = true;
    /** @type {number | null} */
    let delay = 0;
    while (!this.#stopped && (delay === 0 || this.#hurried || (delay === null && this.#more))) {
      this.#more = this.#hurried = false;
      await this.#adding;
      try {
        delay = await (this.#store ? this.#store.exclusively(() => this.#round()) : this.#round());
      } catch (error) {
        this.#failures += 1;
        delay = delayMs(this.#failures, 0, this.#pace);
        this.#say(`a round failed: ${/** @type {Error} */ (error).message}`);
      }
    }
    this.#running = false;
    if (delay !== null) this.#wake(delay);
  }

  /** @returns {Promise<number | null>} When the next one is due, in milliseconds; null where nothing is left. */
  async #round() {
    const before = this.#held.all.filter((own) => own.stored);
    const { batchBytes } = this.#bounds;
    const found = await this.#store?.oldest(this.#limit, batchBytes, this.#passed);
    // What cannot be read is sent from memory, and may be sent again by the next page: it is the same event.
    if (found === null) for (const own of before) own.stored = false;
    const paused = Math.max(found?.pausedUntil ?? 0, this.#pausedUntil) - Date.now();
    // Clocks jump; a pause that no gateway asked for is none.
    if (paused > 0 && paused <= 2 * MAX_ASKED_MS) return paused;
    const kept = found?.kept ?? [];
    // Another tab has dealt with them.
    if (found && kept.length === 0) for (const own of before) this.#held.settle(own.entry, true);
    const batch = kept.length > 0 ? kept : this.#held.inMemory(this.#limit, batchBytes);
    if (batch.length === 0) {
      this.#failures = 0;
      return null;
    }
    const outcome = await this.#request(batch, this.#page && this.#failures === 0);
    if (outcome.is === "split") {
      this.#limit = Math.ceil(batch.length / 2);
      return 0;
    }
    if (outcome.is === "settled") {
      this.#failures = 0;
      this.#limit = this.#bounds.batchEvents;
      await this.#settle(batch, outcome.refused);
      return 0;
    }
    this.#failures += 1;
    const delay = delayMs(this.#failures, outcome.askedMs, this.#pace);
    if (outcome.askedMs > 0) {
      this.#pausedUntil = Date.now() + delay;
      await this.#store?.pause(this.#pausedUntil);
    }
    this.#say(`${outcome.why}; events wait and are sent again`);
    return delay;
  }

  /**
   * @param {Entry[]} batch
   * @param {boolean} wanted Whether the request shall outlive the page, as far as browsers allow.
   */
  async #request(batch, wanted) {
    const bytes = batch.reduce((sum, entry) => sum + entry.bytes + 1, 2);
    const keepalive = wanted && this.#flyingBytes + bytes <= KEEPALIVE_BYTES;
    const own = keepalive ? batch.map((entry) => this.#held.find(entry.id)) : [];
    for (const one of own) if (one) one.flying = true;
    if (keepalive) this.#flyingBytes += bytes;
    try {
      return await post(this.#to, batch, keepalive);
    } finally {
      for (const one of own) if (one) one.flying = false;
      if (keepalive) this.#flyingBytes -= bytes;
    }
  }

  /** @param {Entry[]} batch @param {Map<number, string>} refused */
  async #settle(batch, refused) {
    /** @type {Set<string>} */
    const dealtWith = new Set();
    for (const [index, entry] of batch.entries()) {
      const why = refused.get(index);
      if (why !== undefined && this.#othersToSend(entry)) continue;
      dealtWith.add(entry.id);
      if (why === undefined) this.#held.settle(entry, true);
      else this.#refuse(entry, why);
    }
    if ((await this.#store?.remove(dealtWith)) !== false) return;
    // They are sent once by this page, whatever stays on the disk.
    for (const { id, place } of /** @type {Array<Entry & {place?: number}>} */ (batch)) {
      if (place !== undefined && dealtWith.has(id)) this.#passed.add(place);
    }
  }

  /** Whether a page with another key should have its turn with a refused entry. @param {Entry} entry */
  #othersToSend(entry) {
    const { keyId, place } = /** @type {Entry & {place?: number}} */ (entry);
    if (keyId === undefined || place === undefined || keyId === this.#keyId) return false;
    if (Date.now() - entry.at > FOREIGN_MS) return false;
    this.#passed.add(place);
    return true;
  }

  /** @param {Entry} entry @param {string} why */
  #refuse(entry, why) {
    this.#say(why, entry);
    this.#held.settle(entry, false);
  }

  /** The page goes: what the disk may not have is kept, and what no request has that outlives it gets one. */
  #leave() {
    const unsure = this.#held.all.filter((own) => !own.stored).map((own) => own.entry);
    if (unsure.length > 0) this.#store?.addAtOnce(unsure);
    const waiting = this.#held.all.filter((own) => !own.flying).map((own) => own.entry);
    const size = this.#to.batches ? this.#bounds.batchEvents : 1;
    for (let requests = 0; requests < LEAVING_REQUESTS && waiting.length > 0; requests += 1) {
      const batch = waiting.splice(0, 1);
      let bytes = (batch[0]?.bytes ?? 0) + 3;
      while (batch.length < size && waiting[0] && bytes + waiting[0].bytes + 1 <= this.#bounds.batchBytes) {
        bytes += waiting[0].bytes + 1;
        batch.push(...waiting.splice(0, 1));
      }
      if (this.#flyingBytes + bytes > KEEPALIVE_BYTES) return;
      void this.#request(batch, true).then((outcome) =>
        outcome.is === "settled" ? this.#settle(batch, outcome.refused) : undefined,
      );
    }
  }

  /** The browser has deleted the store, as when somebody clears a site's data: this page's events are in memory still. */
  #lost() {
    for (const own of this.#held.all) own.stored = false;
    if (!this.#closed) this.#hurry();
  }

  /** @param {string} why @param {Entry} [dropped] */
  #say(why, dropped) {
    const now = Date.now();
    // Each event that is given up is told to who asked for it; what passes, and the console, once a minute.
    if (!(dropped && this.#onError)) {
      if (now - (this.#saidAt.get(why) ?? -Infinity) < SAY_EVERY_MS) return;
      if (this.#saidAt.size > 100) this.#saidAt.clear();
      this.#saidAt.set(why, now);
    }
    try {
      if (!this.#onError) console.warn(`headrace: ${why}`);
      else this.#onError({ why, dropped: dropped !== undefined, ...(dropped && { event: JSON.parse(dropped.body) }) });
    } catch (error) {
      console.error(error);
    }
  }
}

/** @type {any} */ (globalThis).process?.on?.("beforeExit", () => open.forEach((one) => one.exit()));
