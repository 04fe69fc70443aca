"""What a page's user said is in the warehouse: Chromium, a page change, a minute without network, a killed gateway."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import pytest
from browsers import chromium, served, site

from headrace.access.keys import make
from headrace.access.roles import Role
from headrace.access.secrets import gateway_secret
from headrace.access.tokens import answer_token
from headrace.contract import ids
from headrace.embedded.server import free_port
from headrace.settings import Settings
from headrace.warehouse import Warehouse

pytestmark = [pytest.mark.acceptance, pytest.mark.browser, pytest.mark.timeout(420)]

REPOSITORY = Path(__file__).parents[2]
HEADRACE = [sys.executable, "-c", "from headrace.cli import app; app()"]
PAGE = """<!doctype html><title>Helpdesk</title><script type="module">
import {{ PageClient }} from "{url}/client/page.js";
window.client = new PageClient({{ url: "{url}", key: "{key}" }});
</script>"""
READY = "const done = arguments[0]; const look = () => window.client ? done() : setTimeout(look, 5); look();"
SAY = "for (const token of arguments[0]) client.thumb(token, 'down');"
OFFLINE_S = 60
STORED = "SELECT uniqExact(feedback_id) AS events, count() AS rows FROM feedback_current WHERE key_id = {key:String}"


@pytest.fixture
def up(tmp_path: Path) -> Iterator[tuple[dict[str, str], str, str]]:
    """`headrace up` on free ports; its environment, the gateway's address and the warehouse's."""
    ports = {name: free_port() for name in ("KAFKA", "CLICKHOUSE", "GATEWAY", "CONSOLE")}
    environ = os.environ | {
        "HEADRACE_HOME": str(tmp_path / "home"),
        "HEADRACE_PLAN": str(REPOSITORY / "flywheel.toml"),
        "BROKER_CACHE": str(REPOSITORY / "var" / "cache"),
        "HEADRACE_KAFKA": f"127.0.0.1:{ports['KAFKA']}",
    }
    environ |= {f"HEADRACE_{name}": f"http://127.0.0.1:{port}" for name, port in ports.items() if name != "KAFKA"}
    run = subprocess.run([*HEADRACE, "up", "--detach"], env=environ, capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr
    yield environ, environ["HEADRACE_GATEWAY"], environ["HEADRACE_CLICKHOUSE"]
    down = subprocess.run([*HEADRACE, "down"], env=environ, capture_output=True, text=True, timeout=120)
    assert down.returncode == 0, down.stderr


def kill_gateway(home: str) -> None:
    """SIGKILL; its supervisor starts another."""
    for process in psutil.process_iter(["cmdline"]):
        line = process.info["cmdline"] or []
        if (
            "-m" in line
            and line[line.index("-m") + 1 :][:1] == ["serving"]
            and process.environ()["HEADRACE_HOME"] == home
        ):
            process.kill()
            return
    raise AssertionError("no gateway runs")


async def test_what_users_said_is_in_the_warehouse(up: tuple[dict[str, str], str, str], tmp_path: Path) -> None:
    """Each thumb is one row, none is lost and none twice, and reconcile finds nothing missing."""
    environ, url, clickhouse = up
    home = environ["HEADRACE_HOME"]
    settings = Settings(home=Path(home), clickhouse=clickhouse)
    port = free_port()
    own = f"http://127.0.0.1:{port}"
    key, text = make(settings.keys, "page", "default", frozenset({Role.PUBLISH}), "test", origins=[own])
    secret = gateway_secret(settings)
    said = 0

    def tokens(count: int) -> list[str]:
        nonlocal said
        said += count
        now = datetime.now(UTC)
        return [answer_token(secret, "default", ids.uuid7(), now) for _ in range(count)]

    browser = chromium(tmp_path / "chromium")
    browser.set_script_timeout(60)

    async def run(script: str, *arguments: Any) -> Any:
        return await asyncio.to_thread(browser.execute_script, script, *arguments)

    async def open_page() -> None:
        await asyncio.to_thread(browser.get, own)
        await asyncio.to_thread(browser.execute_async_script, READY)

    async def offline(away: bool) -> None:
        conditions = {"offline": away, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
        await asyncio.to_thread(browser.execute_cdp_cmd, "Network.enable", {})
        await asyncio.to_thread(browser.execute_cdp_cmd, "Network.emulateNetworkConditions", conditions)

    try:
        async with served(site({"/": PAGE.format(url=url, key=text.get_secret_value())}), port):
            await open_page()
            await run(f"{SAY} location.reload();", tokens(40))
            await asyncio.to_thread(browser.execute_async_script, READY)
            await offline(True)
            began = time.monotonic()
            while time.monotonic() - began < OFFLINE_S:
                await run(SAY, tokens(5))
                assert not await run("return client.flush(5000)")
            await offline(False)
            assert await run("return client.flush(40000)")
            await asyncio.to_thread(kill_gateway, home)
            await run(SAY, tokens(40))
            assert await run("return client.flush(50000)")
            count = await run("return client.count")
            assert count["dropped"] == 0 and count["emitted"] == count["acknowledged"]
    finally:
        await asyncio.to_thread(browser.quit)
    warehouse = Warehouse.connect(Settings(home=Path(home), clickhouse=clickhouse))
    found: dict[str, Any] = {}
    deadline = time.monotonic() + 60
    while found.get("events") != said and time.monotonic() < deadline:
        found = warehouse.rows(STORED, key=key.id)[0]
        await asyncio.sleep(0.2)
    assert (found["events"], found["rows"]) == (said, said)
    while True:
        argv = [*HEADRACE, "reconcile"]
        reconcile = await asyncio.to_thread(
            subprocess.run, argv, env=environ, capture_output=True, text=True, timeout=60
        )
        if reconcile.returncode == 0 or time.monotonic() > deadline:
            break
    assert reconcile.returncode == 0, reconcile.stdout
