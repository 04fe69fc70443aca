export class Store {
    /** Whether there can be one. */
    static get possible(): boolean;
    /**
     * @param {string} name One store a name in an origin.
     * @param {number} most About how many entries it holds, of all tabs.
     * @param {() => void} lost Told when the browser has deleted what was kept.
     */
    constructor(name: string, most: number, lost: () => void);
    /**
     * Keep an entry. Never rejects.
     *
     * @param {Entry} entry
     * @returns {Promise<boolean>} False: it is not kept here.
     */
    add(entry: Entry): Promise<boolean>;
    /**
     * Keep entries of a page that is being left: the database would answer when it is gone.
     *
     * @param {Entry[]} entries
     */
    addAtOnce(entries: Entry[]): void;
    /**
     * The oldest entries, whichever tab kept them, and until when nobody should send. Never rejects.
     *
     * @param {number} most
     * @param {number} bytes
     * @param {ReadonlySet<number>} except Places to leave alone.
     * @returns {Promise<{kept: Kept[], pausedUntil: number} | null>} Null where the store cannot be read.
     */
    oldest(most: number, bytes: number, except: ReadonlySet<number>): Promise<{
        kept: Kept[];
        pausedUntil: number;
    } | null>;
    /**
     * These are dealt with. Never rejects.
     *
     * @param {ReadonlySet<string>} ids
     * @returns {Promise<boolean>} False: they are still there.
     */
    remove(ids: ReadonlySet<string>): Promise<boolean>;
    /**
     * No tab sends until then.
     *
     * @param {number} until Milliseconds since 1970.
     */
    pause(until: number): Promise<void>;
    /**
     * Do some work while no other tab does. Without Web Locks, as on a page without TLS, and where a tab that is put to sleep
     * keeps the lock, two tabs may send the same entry: it has one id and is stored once.
     *
     * @template T
     * @param {() => Promise<T>} work
     * @returns {Promise<T>}
     */
    exclusively<T>(work: () => Promise<T>): Promise<T>;
    /** Close the database; another call opens it again. */
    close(): Promise<void>;
    #private;
}
export type Entry = import("./events.js").Entry;
export type Kept = Entry & {
    place: number;
};
