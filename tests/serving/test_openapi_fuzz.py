"""schemathesis over the gateway's OpenAPI."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest
from gateway_process import running

from headrace.settings import Settings

pytestmark = [pytest.mark.stack, pytest.mark.acceptance, pytest.mark.timeout(900)]


async def test_no_request_ends_in_a_server_error(settings: Settings, tmp_path: Path) -> None:
    """Whatever is generated from the schema, and against it, the gateway's own answer is below 500."""
    async with running(settings) as gateway:
        process = await asyncio.create_subprocess_exec(
            Path(sys.executable).parent / "schemathesis",
            "run",
            f"{gateway.settings.gateway}/openapi.json",
            *("--checks", "not_a_server_error"),
            *("--phases", "examples,coverage,fuzzing"),
            *("--max-examples", "300", "--seed", "1", "--continue-on-failure", "--no-color"),
            *("--suppress-health-check", "all", "--generation-database", "none"),
            cwd=tmp_path,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        out, _ = await process.communicate()
        assert process.returncode == 0 and b"Unresolvable" not in out, out.decode()[-6000:]
        assert await gateway.status("/readyz") == 200
