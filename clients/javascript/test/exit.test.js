import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { afterEach, beforeEach, test } from "node:test";
import { Gateway } from "./gateway.js";

/** @type {Gateway} */
let gateway;

beforeEach(async () => {
  gateway = await new Gateway().start();
});
afterEach(() => gateway.stop());

/** @param {string} code @returns {Promise<{code: number | null, seconds: number}>} */
function program(code) {
  const index = new URL("../src/index.js", import.meta.url).href;
  const whole = `import { Client } from ${JSON.stringify(index)};
    const client = new Client({ url: process.argv[1], onError() {} });
    const say = () => client.inference({ task: "router", version: "router@0" }); ${code}`;
  const began = Date.now();
  return new Promise((resolve) =>
    execFile(
      process.execPath, ["--input-type=module", "--eval", whole, gateway.url ?? ""],
      (error) => resolve({ code: error ? Number(error.code) : 0, seconds: (Date.now() - began) / 1000 }),
    ),
  );
}

test("a program that ends has sent what it said", async () => {
  gateway.next = [{ status: 503 }, { status: 503 }];
  assert.equal((await program("say(); say();")).code, 0);
  assert.equal(gateway.taken.length, 2);
});

const long = process.env["LONG"] ? {} : { skip: "it waits for five seconds; LONG=1 runs it" };
test("a gateway that is away holds a program's end up for five seconds at most", long, async () => {
  await gateway.stop();
  const { code, seconds } = await program("say();");
  assert.equal(code, 0);
  assert.ok(seconds < 7, `${seconds} s`);
  await gateway.start();
});
