import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { pageEntry } from "../src/events.js";
import { Outbox } from "../src/outbox.js";
import { Gateway } from "./gateway.js";

/** Stands for the store that tabs share. */
class Shared {
  /** @type {any[]} */
  entries = [];
  place = 0;
  pausedUntil = 0;
  /** @type {Promise<any>} */
  #turns = Promise.resolve();

  /** @param {any} entry */
  async add(entry) {
    this.entries.push({ ...entry, place: (this.place += 1) });
    return true;
  }

  /** @param {number} most @param {number} _ @param {ReadonlySet<number>} except */
  async oldest(most, _, except) {
    const kept = this.entries.filter((entry) => !except.has(entry.place)).slice(0, most);
    return { kept, pausedUntil: this.pausedUntil };
  }

  /** @param {ReadonlySet<string>} ids */
  async remove(ids) {
    this.entries = this.entries.filter((entry) => !ids.has(entry.id));
    return true;
  }

  /** @param {number} until */
  async pause(until) {
    this.pausedUntil = until;
  }

  /** @template T @param {() => Promise<T>} work */
  exclusively(work) {
    const turn = this.#turns.then(work);
    this.#turns = turn.catch(() => undefined);
    return turn;
  }

  async close() {}
}

/** @type {Gateway} */
let gateway;
/** @type {Shared} */
let shared;
/** @type {Outbox[]} */
let tabs;

beforeEach(async () => {
  gateway = await new Gateway().start();
  shared = new Shared();
  tabs = [];
});
afterEach(async () => {
  for (const tab of tabs) await tab.close(0);
  await gateway.stop();
});

function tab(keyId = "k", firstMs = 5) {
  const made = new Outbox({
    to: { url: gateway.url ?? "", key: "hr_k_s", path: "/v1/feedback", batches: false },
    store: () => /** @type {any} */ (shared),
    bounds: { events: 100, bytes: 100_000, batchEvents: 1, batchBytes: 100_000, lingerMs: 0 },
    pace: { firstMs, mostMs: 10 * firstMs },
    keyId,
    onError() {},
  });
  tabs.push(made);
  return made;
}

const say = (/** @type {Outbox} */ from) => from.offer(pageEntry("token", { signal: "thumb", value: 1 }, "k"));

test("what another tab has sent is settled, and the next thing said goes out at once", async () => {
  gateway.next = [{ status: 503 }];
  const [first, second] = [tab("k", 100), tab()];
  const said = say(first);
  while (gateway.requests.length === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  assert.equal(await say(second), true);
  assert.equal(gateway.taken.length, 2);
  assert.equal(await said, true);
  // When the round that has found nothing left is over.
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.equal(await say(first), true);
  assert.equal(gateway.taken.length, 3);
});

test("what a page that is gone has left is sent by the next one, in its order", async () => {
  gateway.next = Array(100).fill({ status: 503 });
  const first = tab();
  const said = [say(first), say(first)];
  assert.equal(await first.close(20), false);
  assert.deepEqual(await Promise.all(said), [false, false]);
  assert.deepEqual(first.count("feedback"), { emitted: 2, acknowledged: 0, dropped: 0 });
  const ids = shared.entries.map((entry) => JSON.parse(entry.body).occurred_at);
  gateway.next = [];
  assert.equal(await say(tab()), true);
  assert.deepEqual(gateway.taken.map((event) => event.occurred_at).slice(0, 2), ids);
  assert.equal(gateway.taken.length, 3);
});

test("one tab is asked for patience, and all have it", async () => {
  gateway.next = [{ status: 429, headers: { "retry-after": "1" } }];
  const first = say(tab());
  while (shared.pausedUntil === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  await Promise.all([first, say(tab())]);
  const [asked, ...later] = gateway.requests.map((request) => request.at);
  assert.ok(asked !== undefined && later.length === 2 && later.every((at) => at - asked >= 990));
});
