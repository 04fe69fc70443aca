"""Keys that change while a real gateway serves, and what of them can be found afterwards."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest
from gateway_process import events, everything, running

from headrace.events import Inference
from headrace.settings import Settings
from headrace.topics import INFERENCES

pytestmark = pytest.mark.stack


async def test_keys_change_while_the_gateway_serves(
    settings: Settings, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A key counts from the request after it was made until it is revoked or rotated out; its secret is in no log, no
    answer, no list of processes, no key list and no file of the home."""
    secrets: list[str] = []

    async def keys(*arguments: str) -> str:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            "from headrace.cli import app; app()",
            "keys",
            *arguments,
            env=os.environ | settings.environ(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        out, err = await process.communicate()
        assert process.returncode == 0, err.decode()
        assert not any(secret in (out + err).decode() for secret in secrets)
        text = out.decode().strip()
        if arguments[0] in ("add", "rotate"):
            secrets.append(text.rsplit("_", 1)[1])
        return text

    async with running(settings) as gateway:

        async def models(key: str) -> int:
            headers = {"authorization": f"Bearer {key}"} if key else {}
            answer = await gateway.client.get("/v1/models", headers=headers)
            assert not any(secret in answer.text for secret in secrets)
            return answer.status_code

        assert await models("") == 200
        frontend = await keys("add", "frontend", "--role", "ingest", "--tenant", "acme")
        reader = await keys("add", "reader", "--role", "read")
        assert [await models(key) for key in ("", frontend, reader, frontend + "0")] == [401, 200, 200, 401]
        gateway.client.headers["authorization"] = f"Bearer {frontend}"
        await gateway.route()
        rotated = await keys("rotate", "frontend", "--overlap", "1h")
        assert [await models(key) for key in (frontend, rotated)] == [200, 200]
        await keys("revoke", frontend.split("_")[1])
        await keys("revoke", "reader")
        assert [await models(key) for key in (frontend, rotated, reader)] == [401, 200, 401]
        gateway.client.headers["authorization"] = f"Bearer {rotated}"
        await gateway.route()
        listed = await keys("list")
        assert sorted(line.split()[0] for line in listed.splitlines()[2:]) == ["active", "revoked", "revoked"]
        processes = "".join(
            (folder / "cmdline").read_bytes().decode(errors="replace")
            for folder in Path("/proc").iterdir()
            if folder.name.isdigit() and (folder / "cmdline").exists()
        )
        assert await gateway.stop() == 0
    answered = events(await everything(settings, INFERENCES), Inference)
    assert [(event.tenant, event.key_id) for event in answered] == [
        ("acme", key.split("_")[1]) for key in (frontend, rotated)
    ]
    files = [path.read_bytes() for path in settings.home.rglob("*") if path.is_file()]
    told = capfd.readouterr()
    assert len(secrets) == 3 and len(files) > 2
    for secret in secrets:
        assert secret not in told.out + told.err + processes
        assert not any(secret.encode() in content for content in files)
