"""Record what instrumentations export: run packages of PyPI and npm against a fake model on this machine.

    .venv/bin/python tests/serving/recordings/record.py [AGENT...]

installs into var/recordings, never into the project's own environment, what PYTHON and NODE name below, and writes a
JSON file for each agent beside this script: its exports in OTLP's JSON, in the order in which they came. Ids, times and
addresses are replaced, so that a recording says nothing of the machine that it was made on.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import threading
from base64 import b64decode
from pathlib import Path
from typing import Any

import fake_model
from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
BUILT = ROOT / "var/recordings"
SDK = "opentelemetry-sdk opentelemetry-exporter-otlp-proto-http"
# Agents by the environment that they run in: what it has installed, and the variables that an agent is given.
CONTENT = {"OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "true"}
LATEST = {
    "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "SPAN_ONLY",
    "OTEL_SEMCONV_STABILITY_OPT_IN": "gen_ai_latest_experimental",
}
EVENTS = LATEST | {"OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "EVENT_ONLY"}
KERNEL = {"SEMANTICKERNEL_EXPERIMENTAL_GENAI_ENABLE_OTEL_DIAGNOSTICS_SENSITIVE": "true"}
LANGSMITH = {
    "LANGSMITH_TRACING": "true",
    "LANGSMITH_OTEL_ENABLED": "true",
    "LANGSMITH_OTEL_ONLY": "true",
    "LANGSMITH_API_KEY": "none",
}
PYTHON: dict[str, tuple[str, dict[str, dict[str, str]]]] = {
    "clients": (
        f"{SDK} openai anthropic langchain-openai pydantic-ai-slim[openai] litellm!=1.107.0 langsmith[otel]"
        " opentelemetry-instrumentation-openai opentelemetry-instrumentation-anthropic"
        " opentelemetry-instrumentation-langchain openinference-instrumentation-openai"
        " openinference-instrumentation-anthropic openinference-instrumentation-langchain",
        {
            "openllmetry_openai": {},
            "openllmetry_anthropic": {},
            "openllmetry_langchain": {},
            "openinference_openai": {},
            "openinference_openai_stream": {},
            "openinference_openai_responses": {},
            "openinference_anthropic": {},
            "openinference_langchain": {},
            "pydantic_ai": {},
            "litellm": {},
            "langsmith": LANGSMITH,
        },
    ),
    "openai_v2": (
        f"{SDK} openai<3 opentelemetry-instrumentation-openai-v2 opentelemetry-util-genai<1"
        " openinference-instrumentation-openai",
        {
            "openai_v2": CONTENT,
            "openai_v2_stream": CONTENT,
            "openai_v2-latest": LATEST,
            "openai_v2-events": EVENTS,
            "two_on_one_call": LATEST,
        },
    ),
    # The last of OpenLLMetry with a flat attribute for each message's role and content.
    "openllmetry_flat": (
        f"{SDK} openai<2 opentelemetry-instrumentation-openai==0.40.*",
        {"openllmetry_openai-flat": {}},
    ),
    "google_genai": (
        f"{SDK} google-genai<3 opentelemetry-instrumentation-google-genai",
        {"google_genai-latest": LATEST, "google_genai-events": EVENTS},
    ),
    "semantic_kernel": (f"{SDK} semantic-kernel", {"semantic_kernel": KERNEL}),
}
NODE_SDK = "@opentelemetry/api @opentelemetry/sdk-trace-node @opentelemetry/exporter-trace-otlp-http"
NODE: dict[str, tuple[str, tuple[str, ...]]] = {
    "node": (
        f"{NODE_SDK} ai@5 @ai-sdk/openai@2 zod openai @arizeai/openinference-instrumentation-openai",
        ("vercel_generate_text", "vercel_stream_text", "openinference_openai_js"),
    ),
    "vercel7": (f"{NODE_SDK} ai@7 @ai-sdk/openai @ai-sdk/otel zod", ("vercel7_generate_text",)),
}
START_NS = 1_772_452_800_000_000_000  # 2026-03-02T12:00:00Z
UUIDS = re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b")
# Of the machine or of the SDK's version, and nothing that a reader goes by.
DROPPED = re.compile(
    r"^(host|os|process|telemetry\.sdk|service\.instance|server|net|code)\.|\.version$|user.agent|^hidden_params$"
    r"|msToFinish$|operation\.duration$|PerSecond$"
)


def main(wanted: list[str]) -> None:
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}") or "uv"
    for name, (packages, agents) in PYTHON.items():
        chosen = [agent for agent in agents if not wanted or agent in wanted]
        python = BUILT / name / "bin/python"
        if chosen and not python.exists():
            subprocess.run([uv, "venv", "--quiet", BUILT / name], check=True)
            subprocess.run([uv, "pip", "install", "--quiet", "--python", python, *packages.split()], check=True)
        for agent in chosen:
            record(agent, [str(python), str(HERE / "agents.py"), agent.split("-")[0]], agents[agent])
    for name, (packages, node_agents) in NODE.items():
        chosen = [agent for agent in node_agents if not wanted or agent in wanted]
        folder = BUILT / name
        if chosen and not (folder / "node_modules").exists():
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "package.json").write_text("{}")
            subprocess.run(["npm", "install", "--no-audit", "--no-fund", *packages.split()], cwd=folder, check=True)
        for agent in chosen:
            shutil.copy(HERE / "agents.mjs", folder)
            record(agent, ["node", str(folder / "agents.mjs"), agent], {})


def record(agent: str, command: list[str], variables: dict[str, str]) -> None:
    """Run one agent and write its recording."""
    server = fake_model.server()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_address[1]}"
    clean = {name: text for name, text in os.environ.items() if name in ("PATH", "HOME")}
    own = {
        "MODEL_URL": url,
        "OTEL_EXPORTER_OTLP_ENDPOINT": url,
        "OTEL_SERVICE_NAME": "helpdesk",
        "NO_PROXY": "127.0.0.1",
        # What these packages would otherwise report home.
        "TRACELOOP_TELEMETRY": "false",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    }
    try:
        done = subprocess.run(
            command, env=clean | own | variables, cwd=BUILT, capture_output=True, text=True, timeout=300, check=False
        )
    finally:
        server.shutdown()
    exports = [_plain(path, kind, body) for path, kind, body in server.exports]  # type: ignore[attr-defined]
    if done.returncode or not exports:
        print(f"{agent}: failed\n{done.stdout}{done.stderr}")
        return
    text = json.dumps({"exports": Scrubbed().of(exports)}, indent=1, ensure_ascii=False, sort_keys=True)
    for found in (url, url.removeprefix("http://"), str(server.server_address[1])):
        text = text.replace(found, {url: "http://model.example"}.get(found, "model.example"))
    (HERE / f"{agent}.json").write_text(text + "\n")
    print(f"{agent}: {len(exports)} exports")


class Scrubbed:
    """One recording's ids and times as those of any other: numbered in the order in which they are met, and of time."""

    def __init__(self) -> None:
        self._ids: dict[str, str] = {}
        self._rank: dict[int, int] = {}

    def of(self, exports: list[dict[str, Any]]) -> list[dict[str, Any]]:
        self._rank = {moment: number for number, moment in enumerate(sorted(set(_times(exports))))}
        return [self._value(export) for export in exports]

    def _value(self, value: Any, name: str = "") -> Any:
        if isinstance(value, list):
            return [
                self._value(one) for one in value if not (isinstance(one, dict) and DROPPED.search(one.get("key", "")))
            ]
        if isinstance(value, dict) and str(value.get("key")).endswith("msToFirstChunk"):
            return value | {"value": {"doubleValue": 165.5}}
        if isinstance(value, dict):
            kept = {key: one for key, one in value.items() if not (key == "version" and name == "scope")}
            return {key: self._value(one, key) for key, one in kept.items()}
        if name in ("traceId", "spanId", "parentSpanId") and value:
            return self._ids.setdefault(value, f"{len(self._ids) + 1:0{len(value)}x}")
        if name.endswith("UnixNano"):
            return str(START_NS + 1_000_000 * self._rank.get(int(value), 0))
        return UUIDS.sub(self._uuid, value) if isinstance(value, str) else value

    def _uuid(self, found: re.Match[str]) -> str:
        return self._ids.setdefault(found[0], f"00000000-0000-4000-8000-{len(self._ids) + 1:012x}")


def _times(value: Any) -> list[int]:
    if isinstance(value, list):
        return [found for one in value for found in _times(one)]
    if isinstance(value, dict):
        own = [int(one) for key, one in value.items() if key.endswith("UnixNano") and int(one)]
        return own + [found for one in value.values() for found in _times(one)]
    return []


def _plain(path: str, content_type: str, body: bytes) -> dict[str, Any]:
    """An export as OTLP's JSON."""
    if "json" in content_type:
        return {"path": path, "body": json.loads(body)}
    message = ExportTraceServiceRequest() if path.endswith("traces") else ExportLogsServiceRequest()
    message.ParseFromString(body)
    return {"path": path, "body": _in_hexadecimal(MessageToDict(message))}


def _in_hexadecimal(value: Any, name: str = "") -> Any:
    if isinstance(value, list):
        return [_in_hexadecimal(one) for one in value]
    if isinstance(value, dict):
        return {key: _in_hexadecimal(one, key) for key, one in value.items()}
    return b64decode(value).hex() if name in ("traceId", "spanId", "parentSpanId") else value


if __name__ == "__main__":
    main(sys.argv[1:])
