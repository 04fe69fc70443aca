"""Chromium, driven by the chromedriver that is installed, and the servers that its pages come from."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.responses import HTMLResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from headrace.embedded.server import free_port

SOURCES = Path(__file__).parents[1] / "clients" / "javascript" / "src"


def chromium(profile: Path) -> Any:
    """A headless Chromium on that profile; nothing is downloaded. Skips the test where there is none."""
    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not program or not driver:
        pytest.skip("no browser: apt-get install chromium chromium-driver")
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = program
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.add_argument(f"--user-data-dir={profile}")
    return webdriver.Chrome(options=options, service=webdriver.ChromeService(executable_path=driver))


def killed(browser: Any) -> None:
    """SIGKILL ends the browser, as a crash does; its driver ends too."""
    driver = psutil.Process(browser.service.process.pid)
    os.kill(next(child.pid for child in driver.children() if "chrom" in child.name()), signal.SIGKILL)
    with contextlib.suppress(Exception):
        browser.quit()


@contextlib.asynccontextmanager
async def served(app: Any, port: int = 0) -> AsyncIterator[int]:
    """The port of an application on loopback."""
    port = port or free_port()
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="warning", lifespan="off"))
    serving = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 (uvicorn has no event for it)
        await asyncio.sleep(0.01)
    try:
        yield port
    finally:
        server.should_exit = True
        # A browser keeps connections open.
        server.force_exit = True
        await serving


def site(pages: dict[str, str]) -> Starlette:
    """A company's own server: its pages, and the client's files under /headrace."""
    routes: list[Any] = [Route(path, lambda _, html=html: HTMLResponse(html)) for path, html in pages.items()]
    return Starlette(routes=[*routes, Mount("/headrace", StaticFiles(directory=SOURCES))])
