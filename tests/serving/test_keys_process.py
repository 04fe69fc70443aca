"""Keys that change while a real gateway serves, and what of them can be found afterwards."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest
from gateway_process import events, everything, running
from role_callers import Callers, key_id, key_of_each_role

from headrace.access.roles import Role
from headrace.contract.events import Feedback, Inference
from headrace.contract.topics import FEEDBACK, INFERENCES, LABELS
from headrace.settings import Settings

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
        await keys("revoke", key_id(frontend))
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
    # They may lie in two partitions, which are read in any order.
    answered = sorted(events(await everything(settings, INFERENCES), Inference), key=lambda event: event.occurred_at)
    assert [(event.tenant, event.key_id) for event in answered] == [
        ("acme", key_id(key)) for key in (frontend, rotated)
    ]
    files = [path.read_bytes() for path in settings.home.rglob("*") if path.is_file()]
    told = capfd.readouterr()
    assert len(secrets) == 3 and len(files) > 2
    for secret in secrets:
        assert secret not in told.out + told.err + processes
        assert not any(secret.encode() in content for content in files)


async def test_every_role_is_rotated_under_load(settings: Settings) -> None:
    """A client of each role goes on asking: no request fails before the overlap ends, and every old key does then."""
    first = key_of_each_role(settings.keys)
    async with running(settings) as gateway:
        second = await Callers(gateway.settings, gateway.client, first).rotate()
        assert await gateway.stop() == 0
    for topic, model, roles in (
        (INFERENCES, Inference, (Role.INGEST,)),
        (FEEDBACK, Feedback, (Role.PUBLISH,)),
        (LABELS, Feedback, (Role.OUTCOME, Role.REVIEW)),
    ):
        brought = {event.key_id for event in events(await everything(settings, topic), model)}
        assert brought == {key_id(keys[role]) for keys in (first, second) for role in roles}
