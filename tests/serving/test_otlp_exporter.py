"""OpenTelemetry's own exporter against the real gateway and the real Kafka."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest
from gateway_process import events, everything, running
from instrumented_agent import QUESTIONS

from headrace.contract.events import Feedback, Inference
from headrace.contract.topics import FEEDBACK, INFERENCES, LABELS
from headrace.settings import Settings

pytestmark = pytest.mark.stack


async def test_one_variable_is_enough(settings: Settings) -> None:
    """An instrumented agent that is given the endpoint alone: each answer and each thumb is one event in Kafka."""
    async with running(settings) as gateway:
        agent = await asyncio.create_subprocess_exec(
            sys.executable,
            str(Path(__file__).parent / "instrumented_agent.py"),
            env={name: text for name, text in os.environ.items() if not name.startswith("OTEL_")}
            | {"OTEL_EXPORTER_OTLP_ENDPOINT": gateway.settings.gateway, "NO_PROXY": "127.0.0.1"},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        async with asyncio.timeout(60):
            out, _ = await agent.communicate()
        assert agent.returncode == 0 and out.decode().split() == ["exported"], out.decode()
        answers = {event.span_id: event for event in events(await everything(settings, INFERENCES), Inference)}
        said = events(await everything(settings, FEEDBACK) + await everything(settings, LABELS), Feedback)
    assert len(answers) == QUESTIONS and len({event.inference_id for event in answers.values()}) == QUESTIONS
    assert {event.task for event in answers.values()} == {"router"}
    assert sorted(event.input for event in answers.values()) == sorted(f"Question {n}" for n in range(QUESTIONS))
    # An evaluator's verdict takes a key with the role review; what its span holds beside it is taken.
    assert {event.source for event in said} == {"user"}
    assert {event.span_id for event in said} == answers.keys()
    assert sorted(event.value for event in said) == [-1.0] * (QUESTIONS // 2) + [1.0] * (QUESTIONS // 2)
