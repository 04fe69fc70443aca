"""Web pages in a real browser: the snippet of docs/events.md, a page of another origin, and no keys at all."""

from __future__ import annotations

import asyncio
import contextlib
import re
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from stage import Upstream, gateway, plan_text, until
from starlette.applications import Starlette
from starlette.responses import HTMLResponse
from starlette.routing import Route

from headrace.access.roles import Role
from headrace.embedded.server import free_port

pytestmark = pytest.mark.browser

EVENTS = (Path(__file__).parents[2] / "docs" / "events.md").read_text("utf-8")
SNIPPET = next(block for block in re.findall(r"```js\n(.*?)```", EVENTS, re.DOTALL) if "async function say" in block)
SAY = f"""{SNIPPET}
const [gateway, key, token, done] = arguments;
say(gateway, key, token, {{ signal: "thumb", value: -1 }}).then(() => done("said"), (e) => done(String(e)));
"""
BLIND = """const done = arguments[1];
fetch(arguments[0], {method: 'POST', mode: 'no-cors', body: '{"text": "Who pays?"}'}).then((a) => done(a.type), done)"""


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Any]:
    """Headless Chromium, driven by the chromedriver that is installed; nothing is downloaded."""
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not chromium or not driver:
        pytest.skip("no browser: apt-get install chromium chromium-driver")
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.add_argument(f"--user-data-dir={tmp_path / 'chromium'}")
    found = webdriver.Chrome(options=options, service=webdriver.ChromeService(executable_path=driver))
    yield found
    found.quit()


@contextlib.asynccontextmanager
async def served(app: Any) -> AsyncIterator[int]:
    """The port of an application on loopback."""
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="warning", lifespan="off"))
    serving = asyncio.create_task(server.serve())
    await until(lambda: server.started)
    try:
        yield port
    finally:
        server.should_exit = True
        await serving


async def test_a_page_says_what_its_user_thinks(browser: Any, upstream: Upstream, tmp_path: Path) -> None:
    """The documented function works on the key's page and fails on another; no page reaches anything else."""

    async def on(origin: str, script: str, *arguments: str) -> str:
        await asyncio.to_thread(browser.get, origin)
        return str(await asyncio.to_thread(browser.execute_async_script, script, *arguments))

    page = Starlette(routes=[Route("/", lambda _: HTMLResponse("<h1>Helpdesk</h1>"))])
    async with (
        gateway(plan_text(upstream.url), tmp_path) as stage,
        served(stage.service.app) as port,
        served(page) as elsewhere,
    ):
        url, own, other = (
            f"http://{host}" for host in (f"127.0.0.1:{port}", f"127.0.0.1:{elsewhere}", f"localhost:{elsewhere}")
        )
        # The request is sent without a question, and the page may not see the answer: the gateway must have refused it.
        for path in ("/v1/route", "/v1/events", "/v1/feedback"):
            assert await on(other, BLIND, url + path) == "opaque"
        assert not stage.recorded.sent and not stage.recorded.inferences
        key = stage.key("acme", Role.PUBLISH, origins=[own])["authorization"].removeprefix("Bearer ")
        backend = stage.key("acme", Role.INGEST)
        answer = await stage.client.post("/v1/route", json={"text": "My VPN is down"}, headers=backend)
        token = answer.headers["x-headrace-token"]
        assert await on(own, SAY, url, key, token) == "said"
        assert [(event.tenant, str(event.inference_id)) for event in stage.recorded.sent] == [  # type: ignore[union-attr]
            ("acme", answer.json()["inference_id"])
        ]
        assert (await on(own, SAY, url, key, "made up")).startswith("Error: the answer token is not one")
        assert await on(other, SAY, url, key, token) == "TypeError: Failed to fetch"
        assert len(stage.recorded.sent) == 1
