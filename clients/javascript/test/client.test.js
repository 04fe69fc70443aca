import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { Client, EventError, PageClient, uuid7 } from "../src/index.js";
import { Gateway } from "./gateway.js";

const RETRY = { firstMs: 5, mostMs: 20 };
const ANSWER = { task: "router", version: "router@0", label: "it" };

/** @type {Gateway} */
let gateway;
/** @type {import("../src/index.js").Problem[]} */
let problems;
/** @type {Array<{close: (ms?: number) => Promise<boolean>}>} */
let clients;

beforeEach(async () => {
  gateway = await new Gateway().start();
  problems = [];
  clients = [];
});
afterEach(async () => {
  for (const client of clients) await client.close(0);
  await gateway.stop();
});

/** @param {object} [options] */
function clientOf(options) {
  const onError = (/** @type {any} */ problem) => void problems.push(problem);
  const client = new Client({ url: gateway.url ?? "", key: "hr_a_b", emitter: "test", retry: RETRY, onError, ...options });
  clients.push(client);
  return client;
}

test("events arrive once, packed, with the key, in the order they were said", async () => {
  const client = clientOf();
  const ids = Array.from({ length: 1200 }, (_, n) => client.inference({ ...ANSWER, tokens_in: n }));
  client.feedback({ inference_id: ids[0], source: "user", signal: "thumb", value: false });
  assert.equal(await client.flush(), true);
  assert.deepEqual(gateway.taken.map((event) => event.inference_id), [...ids, ids[0]]);
  assert.equal(gateway.taken[1200].value, -1);
  assert.ok(gateway.requests.length <= 5);
  assert.equal(gateway.requests[0]?.headers.authorization, "Bearer hr_a_b");
  assert.ok(gateway.taken.every((event) => event.emitter === client.emitter));
  assert.deepEqual(client.count("inferences"), { emitted: 1200, acknowledged: 1200, dropped: 0 });
  assert.deepEqual(client.count("feedback"), { emitted: 1, acknowledged: 1, dropped: 0 });
});

test("what may pass is sent again with the same ids", async () => {
  gateway.next = ["hang up", { status: 503 }, { status: 408 }, { status: 502, body: "<html>" }, { status: 401 }];
  const client = clientOf();
  const id = client.inference(ANSWER);
  assert.equal(await client.flush(), true);
  assert.equal(gateway.requests.length, 6);
  assert.ok(gateway.requests.every((request) => request.body[0].inference_id === id));
  assert.deepEqual(client.count("inferences"), { emitted: 1, acknowledged: 1, dropped: 0 });
  assert.ok(problems.length > 0 && problems.every((problem) => !problem.dropped));
});

test("a sign-in page that answers 200 has taken nothing", async () => {
  gateway.next = [{ status: 200, body: "<html>Sign in" }, { status: 200, body: {} }];
  const client = clientOf();
  client.inference(ANSWER);
  assert.equal(await client.flush(), true);
  assert.equal(gateway.taken.length, 1);
});

test("Retry-After is waited for, and what is said meanwhile waits too", async () => {
  gateway.next = [{ status: 429, headers: { "retry-after": "1" } }];
  const client = clientOf();
  client.inference(ANSWER);
  while (gateway.requests.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  client.inference(ANSWER);
  assert.equal(await client.flush(), true);
  const [first, second] = gateway.requests;
  assert.ok(first && second && second.at - first.at >= 990, `${second?.at} - ${first?.at}`);
  assert.equal(gateway.taken.length, 2);
});

test("an event that the gateway refuses costs itself alone and is named", async () => {
  gateway.refuses = { ghost: "Inference.label: no" };
  const client = clientOf();
  const labels = ["it", "ghost", "hr"];
  const ids = labels.map((label) => client.inference({ ...ANSWER, label }));
  assert.equal(await client.flush(), true);
  client.inference({ ...ANSWER, label: "ghost" });
  assert.equal(await client.flush(), true);
  assert.deepEqual(gateway.taken.map((event) => event.label), ["it", "hr"]);
  assert.deepEqual(problems.map((one) => [one.why, one.dropped]), Array(2).fill(["Inference.label: no", true]));
  assert.equal(problems[0]?.event?.["inference_id"], ids[1]);
  assert.deepEqual(client.count("inferences"), { emitted: 4, acknowledged: 2, dropped: 2 });
});

test("a request that is refused as a whole is sent in halves until one event is at fault", async () => {
  gateway.most = 3000;
  const client = clientOf();
  for (let n = 0; n < 40; n += 1) client.inference({ ...ANSWER, input: n === 17 ? "x".repeat(3000) : "a" });
  assert.equal(await client.flush(), true);
  assert.equal(new Set(gateway.taken.map((event) => event.inference_id)).size, 39);
  assert.deepEqual(client.count("inferences"), { emitted: 40, acknowledged: 39, dropped: 1 });
});

test("a full buffer drops and counts, and the gateway gets the rest", async () => {
  const client = clientOf({ maxEvents: 3 });
  for (let n = 0; n < 5; n += 1) client.inference(ANSWER);
  assert.deepEqual(client.count("inferences"), { emitted: 5, acknowledged: 0, dropped: 2 });
  assert.equal(await client.flush(), true);
  client.inference(ANSWER);
  assert.equal(await client.flush(), true);
  assert.equal(gateway.taken.length, 4);
  assert.equal(problems.filter((problem) => problem.dropped).length, 2);
});

test("a gateway that is away comes back to everything that was said", async () => {
  const client = clientOf();
  const port = gateway.port;
  await gateway.stop();
  const ids = Array.from({ length: 50 }, () => client.inference(ANSWER));
  assert.equal(await client.flush(50), false);
  gateway = await new Gateway().start(port);
  assert.equal(await client.flush(), true);
  assert.deepEqual(gateway.taken.map((event) => event.inference_id), ids);
});

test("what is left when a client is closed is dropped and counted", async () => {
  const client = clientOf();
  await gateway.stop();
  client.inference(ANSWER);
  assert.equal(await client.close(30), false);
  client.inference(ANSWER);
  assert.deepEqual(client.count("inferences"), { emitted: 2, acknowledged: 0, dropped: 2 });
  await gateway.start();
});

test("what people type never throws", async () => {
  const client = clientOf();
  const long = `begin${"é".repeat(2_000_000)}end`;
  for (const typed of ["\ud800 half", "\0", "", "😀".repeat(70_000), long]) {
    client.inference({ ...ANSWER, input: typed, extra: { typed: typed.slice(0, 100) } });
    client.feedback({ session_id: typed || "s", source: "user", signal: "comment", comment: typed });
  }
  client.inference({ ...ANSWER, input: null, output: undefined, occurred_at: null });
  assert.equal(await client.flush(), true);
  assert.equal(gateway.taken[0].input, "\ufffd half");
  const cut = gateway.taken.filter((event) => event.input?.startsWith("begin"));
  assert.ok(cut.length === 1 && cut[0].input.endsWith("end") && cut[0].input.length < 130_000);
  assert.deepEqual(Object.keys(gateway.taken[10]).sort(), [
    "emitter", "inference_id", "label", "occurred_at", "task", "version",
  ]);
  assert.equal(client.count("inferences").acknowledged, 6);
});

test("a measure that is none is left out and named, and values are read as they are meant", async () => {
  const client = clientOf();
  const fields = { latency_ms: NaN, tokens_in: -3, cost: /** @type {any} */ ("0.5"), extra: { page: "vpn" } };
  client.inference({ ...ANSWER, ...fields, scores: { it: NaN }, session_id: /** @type {any} */ (42) });
  const about = { session_id: "s", source: /** @type {const} */ ("user") };
  for (const value of [0, false, -1, 1, true, "up"]) client.feedback({ ...about, signal: "thumb", value });
  client.feedback({ ...about, signal: "rating", value: 8, best: 10 });
  client.feedback({ ...about, signal: "resolution", value: false });
  assert.equal(await client.flush(), true);
  const [answer, ...said] = gateway.taken;
  const left = { latency_ms: "NaN", tokens_in: "-3", scores: '{"it":"NaN"}' };
  assert.deepEqual([answer.extra, answer.cost, answer.session_id], [{ page: "vpn", left_out: left }, 0.5, "42"]);
  assert.ok(!("latency_ms" in answer || "scores" in answer || "tokens_in" in answer));
  assert.deepEqual(said.map((event) => event.value), [-1, -1, -1, 1, 1, "up", 8, 0]);
});

test("a word, a flag and a range pass in each form that the gateway reads, and NaN is no text", async () => {
  const client = clientOf();
  /** @type {any[]} */
  const flags = ["no", "False", " off ", "1", "", 0];
  for (const consent of flags) client.inference({ ...ANSWER, consent });
  client.inference({ ...ANSWER, session_id: /** @type {any} */ (NaN), arm: /** @type {any} */ (" Live ") });
  const about = { session_id: "s", source: /** @type {any} */ ("USER"), comment: /** @type {any} */ (NaN) };
  client.feedback({ ...about, signal: /** @type {any} */ ("Thumb"), value: 1, blame: /** @type {any} */ ("No-Error") });
  client.feedback({ ...about, signal: "rating", value: 4, best: /** @type {any} */ ("10"), worst: /** @type {any} */ ("0") });
  assert.equal(await client.flush(), true);
  const [thumb, rating] = gateway.taken.splice(7);
  assert.deepEqual(gateway.taken.map((event) => event.consent), ["no", "false", "off", "1", undefined, false, undefined]);
  const last = gateway.taken[6];
  assert.deepEqual([last.session_id, last.arm, last.extra], [undefined, "live", { left_out: { session_id: "NaN" } }]);
  assert.deepEqual([thumb.signal, thumb.source, thumb.value, thumb.blame], ["thumb", "user", 1, "no_error"]);
  assert.deepEqual([rating.value, rating.best, rating.worst, rating.comment], [4, "10", "0", undefined]);
});

test("scores pass in each form that the gateway reads, and what is none is left out as JSON", async () => {
  const client = clientOf();
  const forms = [
    [["it", 0.9]], [[["it", 0.9], ["hr", 0.1]]], [{ label: "it", score: 0.9 }], { labels: ["it"], scores: [0.9] },
    '{"it":.9}', '{"it":0.9}', { it: "0.9" }, { it: null, hr: 1 }, { label: "it", score: 1.0004 },
  ];
  const none = [{ it: 5 }, { it: "high" }, [0.9], [["it", 0.9], ["it", 0.1]], [{ label: "it" }], { labels: ["it"], scores: [] }, 7];
  for (const scores of forms) client.inference({ ...ANSWER, scores });
  for (const scores of none) client.inference({ ...ANSWER, scores: /** @type {any} */ (scores) });
  assert.equal(await client.flush(), true);
  const leftOut = ['{"it":.9}', ...none];
  const passed = forms.filter((scores) => scores !== '{"it":.9}');
  assert.deepEqual(gateway.taken.map((event) => event.scores).filter((scores) => scores !== undefined), passed);
  const marks = gateway.taken.map((event) => event.extra?.left_out.scores).filter((mark) => mark !== undefined);
  assert.deepEqual(marks, leftOut.map((scores) => JSON.stringify(scores)));
});

test("a time passes in each form that the gateway reads, and the id has it", async () => {
  const client = clientOf();
  const at = Date.parse("2026-03-02T13:05:09Z");
  const dated = new Date(at);
  const forms = [
    at, at / 1000, at * 1000, dated, String(at), String(at / 1000), "2026-03-02 13:05:09+00", "2026-03-02 13:05:09 UTC",
    "2026-03-02T14:05:09+01:00[Europe/Berlin]", "2026-03-02T13:05:09.000000123Z", "2026-03-02t18:35:09+0530",
    "2026-03-02 13:05:09 +0000 UTC", "2026-03-02 13:05:09.5 +0000 UTC m=+0.01", dated.toUTCString(), String(dated),
    `/Date(${at})/`, { seconds: at / 1000, nanos: 7 }, { _seconds: at / 1000, _nanoseconds: 0 },
    { $date: dated.toISOString() }, { $date: at }, { $date: { $numberLong: String(at) } }, { toJSON: () => dated.toISOString() },
  ];
  for (const given of forms) {
    const id = client.inference({ ...ANSWER, occurred_at: given });
    assert.equal(Math.floor(parseInt(id.replace("-", "").slice(0, 12), 16) / 1000), at / 1000, JSON.stringify(given));
  }
  assert.equal(await client.flush(), true);
  const passed = forms.map((given) => (typeof given === "number" ? dated : given));
  assert.deepEqual(gateway.taken.map((event) => event.occurred_at), JSON.parse(JSON.stringify(passed)));
  for (const wrong of ["2026-03-02 13:05:09", "2026-03-02", "2026-03-02T13:05:09[Europe/Berlin]", "tomorrow", "", 7, {}, [], true, { seconds: "x" }]) {
    assert.throws(() => client.inference({ ...ANSWER, occurred_at: /** @type {any} */ (wrong) }), EventError);
  }
});

test("a wrong field is named at once", () => {
  const client = clientOf();
  /** @type {Array<[any, string]>} */
  const inferences = [
    [{ task: "router" }, "Inference.version: the field is missing"],
    [{ ...ANSWER, lable: "it" }, "Inference.lable: there is no such field"],
    [{ ...ANSWER, constructor: 1 }, "Inference.constructor: there is no such field"],
    [{ ...ANSWER, task: "" }, 'Inference.task: expected a text that is not empty, but it was ""'],
    [{ ...ANSWER, session_id: {} }, "Inference.session_id: expected a text, but it was {}"],
    [{ ...ANSWER, consent: "maybe" }, 'Inference.consent: expected true or false, but it was "maybe"'],
    [{ ...ANSWER, occurred_at: "2026-01-31T12:00:00" }, "Inference.occurred_at: a time needs its zone, as in "],
    [{ ...ANSWER, occurred_at: new Date(NaN) }, "Inference.occurred_at: expected a time, but it was Invalid Date"],
    [{ ...ANSWER, extra: { n: 1n } }, "extra: it cannot be written as JSON: "],
    ["router", 'Inference: expected an object of its fields, but it was "router"'],
  ];
  /** @type {Array<[any, string]>} */
  const feedback = [
    [{ source: "user", signal: "thumb", value: 1 }, "Feedback: it names its answer by one of inference_id, "],
    [{ source: "me", signal: "thumb", session_id: "s" }, "Feedback.source: expected one of user, implicit, "],
    [{ source: "user", signal: "thumb", session_id: "s", value: 7 }, "Feedback.value: expected a thumb's 1 (up) or -1 "],
    [{ source: "user", signal: "rating", session_id: "s", value: 8 }, "Feedback.value: expected 1 to 5, or `best` beside "],
    [{ source: "user", signal: "rating", session_id: "s", value: NaN }, "Feedback.value: expected a number, but it was NaN"],
    [{ source: "user", signal: "rating", session_id: "s", value: true }, "Feedback.value: expected 1 to 5, but it was true"],
    [{ source: "user", signal: "rating", session_id: "s", value: 3, best: "many" }, "Feedback.best: expected a number, but "],
    [{ source: "user", signal: "thumb", session_id: NaN, value: 1 }, "Feedback: it names its answer by one of inference_id, "],
    [{ source: "user", signal: " ", session_id: "s" }, "Feedback.signal: the field is missing"],
    [{ source: "user", signal: "thumb", session_id: "s", feedback_id: NaN }, "Feedback.feedback_id: expected a text, but "],
  ];
  /** @type {(call: () => unknown, says: string) => void} */
  const throws = (call, says) =>
    assert.throws(call, (error) => error instanceof EventError && error.message.startsWith(says));
  for (const [fields, says] of inferences) throws(() => client.inference(fields), says);
  for (const [fields, says] of feedback) throws(() => client.feedback(fields), says);
  assert.equal(client.count("inferences").emitted, 0);
  assert.throws(() => new Client({ url: "gateway:8080" }), TypeError);
  assert.throws(() => new Client({ url: gateway.url ?? "", key: "a b" }), TypeError);
});

test("an id carries its event's time, and a given one is kept", async () => {
  const client = clientOf();
  const id = client.inference({ ...ANSWER, occurred_at: "2026-03-02T13:00:00.123456+01:00" });
  assert.equal(parseInt(id.replace("-", "").slice(0, 12), 16), Date.parse("2026-03-02T12:00:00.123Z"));
  assert.match(uuid7(), /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  assert.equal(client.inference({ ...ANSWER, inference_id: "chatcmpl-7" }), "chatcmpl-7");
  await client.flush();
  assert.equal(gateway.taken[0].occurred_at, "2026-03-02T13:00:00.123456+01:00");
});

test("a page says one thing a request, by the answer's token, and when", async () => {
  const page = new PageClient({ url: `${gateway.url}/`, key: "hr_p_q", retry: RETRY });
  clients.push(page);
  gateway.next = [{ status: 503 }];
  const said = [
    page.thumb("t1", "up"), page.thumb("t1", "down"), page.rating("t2", 4), page.correction("t2", "hr", "pay"),
    page.comment("t2", "no"),
  ];
  assert.deepEqual(await Promise.all(said), Array(5).fill(true));
  const requests = gateway.requests.slice(1);
  assert.deepEqual(gateway.requests[0]?.body, requests[0]?.body);
  assert.deepEqual(requests.map((one) => [one.path, one.headers["x-headrace-token"]]), [
    ...Array(2).fill(["/v1/feedback", "t1"]), ...Array(3).fill(["/v1/feedback", "t2"]),
  ]);
  for (const { body } of requests) assert.ok(Math.abs(Date.parse(body.occurred_at) - Date.now()) < 60_000);
  assert.deepEqual(requests.map(({ body: { occurred_at, ...fields } }) => fields), [
    { signal: "thumb", value: 1 }, { signal: "thumb", value: -1 }, { signal: "rating", value: 4 },
    { signal: "correction", label: "hr", comment: "pay" }, { signal: "comment", comment: "no" },
  ]);
  assert.deepEqual(page.count, { emitted: 5, acknowledged: 5, dropped: 0 });
});

test("feedback on a token that is over is given up; a key or an origin at fault is waited out", async () => {
  const over = { status: 403, body: { error: { message: "the answer token is older than 7 days", param: "token" } } };
  const origin = { status: 403, body: { error: { message: "key p is for web pages of x alone", param: null } } };
  gateway.next = [over, origin, { status: 401 }];
  const page = new PageClient({ url: gateway.url ?? "", key: "hr_p_q", retry: RETRY, onError: (one) => problems.push(one) });
  clients.push(page);
  assert.equal(await page.thumb("t1", -1), false);
  assert.equal(await page.thumb("t2", true), true);
  assert.deepEqual(problems.filter((one) => one.dropped).map((one) => one.why), ["the answer token is older than 7 days"]);
  for (const wrong of [() => page.thumb("t", /** @type {any} */ (2)), () => page.rating("t", 6), () => page.thumb("", "up")]) {
    assert.throws(wrong, EventError);
  }
});
