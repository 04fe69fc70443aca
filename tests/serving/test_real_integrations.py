"""LiteLLM, pydantic-ai and LangChain themselves, in an environment of their own, with the line that observes them."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from browsers import served
from openai_double import MODEL, TEXT, TOOL, fake_model
from stage import gateway, plan_text

from headrace.contract.events import Event, Inference

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(600)]

REPOSITORY = Path(__file__).parents[2]
PROGRAMS = REPOSITORY / "tests" / "integrations"
EXPORTER = ["opentelemetry-sdk>=1.38", "opentelemetry-exporter-otlp-proto-http>=1.38"]
BARE = ["pydantic==2.14.3", "pydantic-settings>=2.11", "httpx>=0.28"]


def environment(home: Path, *packages: str) -> str:
    """The interpreter of a new environment with these packages."""
    uv = [str(Path(sys.executable).parent / "uv")]
    python = str(home / "bin" / "python")
    for argv in (
        ["venv", "-q", "--python", sys.executable, str(home)],
        ["pip", "install", "-q", "--python", python, *packages],
    ):
        done = subprocess.run([*uv, *argv], capture_output=True, text=True, timeout=300, check=False)
        if done.returncode != 0:
            pytest.skip(f"{packages[0]} cannot be installed here: {done.stderr[-300:]}")
    return python


def run(python: str, program: str, url: str, **environ: str) -> str:
    argv = [python, str(PROGRAMS / program), url]
    done = subprocess.run(argv, env=os.environ | environ, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_litellm_calls_back(tmp_path: Path) -> None:
    """Whole and streamed, with and without an event loop, a tool call; a call that fails is no answer."""
    python = environment(tmp_path / "venv", "litellm>=1.108", *BARE)
    with fake_model() as url:
        said = run(python, "litellm_program.py", url, PYTHONPATH=str(REPOSITORY), LITELLM_LOCAL_MODEL_COST_MAP="True")
    assert "refused" in said
    found = [Inference.strict(line) for line in said.splitlines() if line.startswith("{")]
    assert [event.output for event in found] == [TEXT, TEXT, json.dumps([TOOL]), TEXT, TEXT]
    assert {(event.task, event.input) for event in found} == {("helpdesk", "My VPN is down")}
    # Of a stream LiteLLM keeps the name that was asked for.
    assert [event.version for event in found] == [MODEL, "small-1b", MODEL, MODEL, "small-1b"]
    assert [event.session_id for event in found] == ["conversation-7", "s-2", "", "", ""]
    assert found[0].user_ref == "u-1" and len({event.response_id for event in found}) == 5
    assert [event.first_token_ms > 0 for event in found] == [False, True, False, False, True]


@pytest.mark.parametrize(
    ("program", "packages", "task"),
    [
        ("pydantic_ai_program.py", ["pydantic-ai-slim[openai]>=2"], "helpdesk"),
        (
            "langchain_program.py",
            ["langchain-openai>=1", "langchain>=1", "opentelemetry-instrumentation-langchain>=0.62"],
            "ChatOpenAI.chat",
        ),
    ],
)
async def test_what_is_instrumented_arrives(tmp_path: Path, program: str, packages: list[str], task: str) -> None:
    """An answer of the package is one inference of the gateway, with its texts and the provider's id."""
    python = await asyncio.to_thread(environment, tmp_path / "venv", *packages, *EXPORTER)
    with fake_model() as url:
        async with gateway(plan_text(), tmp_path) as stage, served(stage.service.app) as port:
            exporter = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}"}
            assert TEXT in await asyncio.to_thread(run, python, program, url, **exporter)
            found: list[Event] = stage.recorded.sent
    assert len(found) == 1 and isinstance(found[0], Inference)
    answer = found[0]
    assert (answer.task, answer.version, answer.input, answer.output) == (task, MODEL, "My VPN is down", TEXT)
    assert answer.response_id == "chatcmpl-1" and (answer.tokens_in, answer.tokens_out) == (11, 5)
