import assert from "node:assert/strict";
import { test } from "node:test";
import { outcome } from "../src/gateway.js";
import { MAX_ASKED_MS, PACE, askedMs, delayMs } from "../src/retry.js";

test("waits double, are drawn from their second half, and are bounded", () => {
  assert.deepEqual([1, 2, 3, 4].map((failures) => delayMs(failures, 0, PACE, 0)), [250, 500, 1000, 2000]);
  assert.deepEqual([1, 2, 3, 4].map((failures) => delayMs(failures, 0, PACE, 1)), [500, 1000, 2000, 4000]);
  assert.equal(delayMs(10_000, 0, PACE, 1), PACE.mostMs);
});

test("nobody comes before the time that the gateway asked for, nor waits for ever", () => {
  for (const draw of [0, 0.5, 0.999]) {
    assert.ok(delayMs(1, 7000, PACE, draw) >= 7000);
    assert.ok(delayMs(1, 1e12, PACE, draw) <= MAX_ASKED_MS + PACE.firstMs);
  }
});

test("Retry-After is seconds or a date", () => {
  const now = Date.parse("2026-11-29T12:00:00Z");
  const said = [null, "", "3", "0", "-1", "Sun, 29 Nov 2026 12:00:05 GMT", "Sun, 29 Nov 2026 11:00:00 GMT", "soon"];
  assert.deepEqual(said.map((header) => askedMs(header, now)), [0, 0, 3000, 0, 0, 5000, 0, 0]);
});

test("each answer says what became of each event", () => {
  const rejected = [{ index: 1, message: "no" }, { index: 9, message: "not one of these" }, { index: "0" }];
  const taken = outcome(202, { rejected }, null, 2, true);
  assert.deepEqual(taken, { is: "settled", refused: new Map([[1, "no"]]) });
  const each = { error: { message: "2 refused", events: [{ index: 0, message: "a" }, { index: 1, message: "b" }] } };
  assert.equal(outcome(400, each, null, 2, true).is, "settled");
  assert.equal(outcome(400, each, null, 3, true).is, "split");
  assert.equal(outcome(413, undefined, null, 2, true).is, "split");
  assert.equal(outcome(413, undefined, null, 1, true).is, "settled");
  for (const status of [302, 401, 403, 404, 405, 408, 425, 429, 500, 502, 503, 504]) {
    assert.equal(outcome(status, undefined, null, 2, true).is, "again", String(status));
  }
});
