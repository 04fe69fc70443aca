/**
 * Entries on the disk of a browser: they outlive the page, a crash and an offline night, and the tabs of an origin share
 * them. Where there is no IndexedDB, as in Node, or it takes nothing, as in some private windows, entries stay in memory.
 */

/** @typedef {import("./events.js").Entry} Entry */
/** @typedef {Entry & {place: number}} Kept */

const ENTRIES = "entries";
const NOTES = "notes";
const PAUSE = "paused until";
/** Some browsers leave a request to a broken database without an answer. */
const PATIENCE_MS = 3000;
/** How long another tab may keep all others from sending. */
const LOCKED_MS = 10_000;

export class Store {
  /** @type {Promise<IDBDatabase | null> | undefined} */
  #opening;
  #name;
  #left;
  #most;
  #lost;
  /** How many entries there were at the last look, and those added since. */
  #held = 0;

  /**
   * @param {string} name One store a name in an origin.
   * @param {number} most About how many entries it holds, of all tabs.
   * @param {() => void} lost Told when the browser has deleted what was kept.
   */
  constructor(name, most, lost) {
    this.#name = name;
    this.#left = `${name} left `;
    this.#most = most;
    this.#lost = lost;
  }

  /** Whether there can be one. */
  static get possible() {
    try {
      return typeof indexedDB === "object" && indexedDB !== null;
    } catch {
      return false; // A page in a sandbox may not even look.
    }
  }

  /**
   * Keep an entry. Never rejects.
   *
   * @param {Entry} entry
   * @returns {Promise<boolean>} False: it is not kept here.
   */
  async add(entry) {
    if (this.#held >= this.#most) return false;
    this.#held += 1;
    return this.#change((entries) => {
      entries.add(entry);
      // Not when the page next has a moment: it may be left before.
      entries.transaction.commit?.();
    });
  }

  /**
   * Keep entries of a page that is being left: the database would answer when it is gone.
   *
   * @param {Entry[]} entries
   */
  addAtOnce(entries) {
    try {
      localStorage.setItem(this.#left + Math.random(), JSON.stringify(entries));
    } catch {
      // No room, or the page may not.
    }
  }

  /** Take over what pages kept at once. Never rejects. */
  async #takeOver() {
    try {
      for (const name of Object.keys(localStorage).filter((one) => one.startsWith(this.#left))) {
        const taken = await this.#change((entries) => {
          for (const entry of JSON.parse(localStorage.getItem(name) ?? "[]")) entries.add(entry);
        });
        if (taken) localStorage.removeItem(name);
      }
    } catch {
      // It may not look.
    }
  }

  /**
   * The oldest entries, whichever tab kept them, and until when nobody should send. Never rejects.
   *
   * @param {number} most
   * @param {number} bytes
   * @param {ReadonlySet<number>} except Places to leave alone.
   * @returns {Promise<{kept: Kept[], pausedUntil: number} | null>} Null where the store cannot be read.
   */
  async oldest(most, bytes, except) {
    await this.#takeOver();
    /** @type {Kept[]} */
    const kept = [];
    let pausedUntil = 0;
    const read = await this.#within("readonly", (transaction) => {
      const pause = transaction.objectStore(NOTES).get(PAUSE);
      pause.onsuccess = () => (pausedUntil = Number(pause.result ?? 0));
      const entries = transaction.objectStore(ENTRIES);
      const counting = entries.count();
      counting.onsuccess = () => (this.#held = counting.result);
      const walk = entries.openCursor();
      let left = bytes;
      walk.onsuccess = () => {
        const cursor = walk.result;
        if (cursor === null) return;
        const place = Number(cursor.key);
        if (!except.has(place)) {
          const entry = /** @type {Entry} */ (cursor.value);
          left -= entry.bytes;
          if (kept.length > 0 && left < 0) return;
          kept.push({ ...entry, place });
        }
        if (kept.length < most) cursor.continue();
      };
    });
    return read ? { kept, pausedUntil } : null;
  }

  /**
   * These are dealt with. Never rejects.
   *
   * @param {ReadonlySet<string>} ids
   * @returns {Promise<boolean>} False: they are still there.
   */
  remove(ids) {
    return this.#change((entries) => {
      const walk = entries.openCursor();
      let left = ids.size;
      walk.onsuccess = () => {
        const cursor = walk.result;
        if (cursor === null || left === 0) return;
        if (ids.has(/** @type {Entry} */ (cursor.value).id)) {
          left -= 1;
          cursor.delete();
        }
        cursor.continue();
      };
    });
  }

  /**
   * No tab sends until then.
   *
   * @param {number} until Milliseconds since 1970.
   */
  async pause(until) {
    await this.#within("readwrite", (transaction) => {
      transaction.objectStore(NOTES).put(until, PAUSE);
    });
  }

  /**
   * Do some work while no other tab does. Without Web Locks, as on a page without TLS, and where a tab that is put to sleep
   * keeps the lock, two tabs may send the same entry: it has one id and is stored once.
   *
   * @template T
   * @param {() => Promise<T>} work
   * @returns {Promise<T>}
   */
  async exclusively(work) {
    const locks = globalThis.navigator?.locks;
    if (locks === undefined) return work();
    /** @type {{done: T} | undefined} */
    let found;
    let began = false;
    const late = new AbortController();
    const timer = setTimeout(() => late.abort(), LOCKED_MS);
    try {
      await locks.request(this.#name, { signal: late.signal }, async () => {
        began = true;
        clearTimeout(timer);
        found = { done: await work() };
      });
    } catch (error) {
      if (began) throw error;
    } finally {
      clearTimeout(timer);
    }
    // A page that may not lock, as one in a sandbox, works without.
    return found === undefined ? work() : found.done;
  }

  /** Close the database; another call opens it again. */
  async close() {
    const database = await this.#opening;
    this.#opening = undefined;
    database?.close();
  }

  /** @param {(entries: IDBObjectStore) => void} work */
  #change(work) {
    return this.#within("readwrite", (transaction) => work(transaction.objectStore(ENTRIES)));
  }

  /**
   * @param {IDBTransactionMode} mode
   * @param {(transaction: IDBTransaction) => void} work
   * @returns {Promise<boolean>} Whether it was committed.
   */
  async #within(mode, work) {
    const database = await this.#open();
    if (database === null) return false;
    return patient(
      new Promise((resolve) => {
        try {
          const transaction = database.transaction([ENTRIES, NOTES], mode);
          transaction.oncomplete = () => resolve(true);
          transaction.onabort = () => resolve(false);
          work(transaction);
        } catch {
          resolve(false); // The connection was closed in between.
        }
      }),
      false,
    );
  }

  #open() {
    this.#opening ??= patient(
      new Promise((resolve) => {
        try {
          const opening = indexedDB.open(this.#name, 1);
          opening.onupgradeneeded = () => {
            opening.result.createObjectStore(ENTRIES, { autoIncrement: true });
            opening.result.createObjectStore(NOTES);
          };
          opening.onsuccess = () => {
            const database = opening.result;
            database.onversionchange = () => void this.close();
            database.onclose = () => {
              this.#opening = undefined;
              this.#lost();
            };
            resolve(database);
          };
          opening.onerror = opening.onblocked = () => resolve(null);
        } catch {
          resolve(null);
        }
      }),
      null,
    );
    return this.#opening;
  }
}

/**
 * @template T
 * @param {Promise<T>} answer
 * @param {T} otherwise
 * @returns {Promise<T>}
 */
function patient(answer, otherwise) {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  const late = new Promise((resolve) => (timer = setTimeout(() => resolve(otherwise), PATIENCE_MS)));
  return /** @type {Promise<T>} */ (Promise.race([answer, late]).finally(() => clearTimeout(timer)));
}
