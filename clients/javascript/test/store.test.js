import assert from "node:assert/strict";
import { test } from "node:test";
import { PageClient } from "../src/index.js";
import { Gateway } from "./gateway.js";

test("a database that never answers holds nobody up for long", async () => {
  const gateway = await new Gateway().start();
  /** @type {any} */ (globalThis).indexedDB = { open: () => ({}) };
  const client = new PageClient({ url: gateway.url ?? "", key: "hr_a_b" });
  assert.equal(await client.thumb("token", "up"), true);
  assert.equal(await client.close(), true);
  await gateway.stop();
});
