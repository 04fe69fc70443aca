"""Web pages in a real browser: docs/thumbs.md as it stands there, a page of another origin, and no keys at all."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browsers import chromium, served, site
from stage import Upstream, gateway, plan_text, until
from starlette.applications import Starlette
from starlette.responses import HTMLResponse
from starlette.routing import Route

from headrace.access.roles import Role
from headrace.contract.events import Feedback
from headrace.embedded.server import free_port

pytestmark = pytest.mark.browser

THUMBS = (Path(__file__).parents[2] / "docs" / "thumbs.md").read_text("utf-8")
BACKEND, ELEMENT, BUTTONS = (
    re.findall(rf"```{language}\n(.*?)```", THUMBS, re.DOTALL)[0] for language in ("python", "html", "js")
)
BLIND = """const done = arguments[1];
fetch(arguments[0], {method: 'POST', mode: 'no-cors', body: '{"text": "Who pays?"}'}).then((a) => done(a.type), done)"""
PRESSED = """return Array.from(document.querySelector("headrace-thumbs").shadowRoot.querySelectorAll("button"),
    (button) => [button.getAttribute("aria-label"), button.getAttribute("aria-pressed"), button.disabled])"""
POLICY = "default-src 'none'; script-src {0} 'nonce-n'; connect-src {0}"


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Any]:
    found = chromium(tmp_path / "chromium")
    yield found
    found.quit()


async def test_thumbs_as_they_are_documented(browser: Any, upstream: Upstream, tmp_path: Path) -> None:
    """Key, backend and page of docs/thumbs.md bring what a user presses and types; other pages bring nothing."""
    port, own_port = free_port(), free_port()
    url, own, other = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{own_port}", f"http://localhost:{own_port}"

    async with gateway(plan_text(upstream.url), tmp_path) as stage, served(stage.service.app, port):
        pages: dict[str, str] = {"/": "<h1>Helpdesk</h1>"}

        def page(name: str) -> Any:
            policy = {"content-security-policy": POLICY.format(url)}
            return lambda _: HTMLResponse(f"<!doctype html><title>Helpdesk</title>{pages[name]}", headers=policy)

        names = ("/", "/element", "/refused", "/buttons")
        async with served(Starlette(routes=[Route(name, page(name)) for name in names]), own_port):
            key = stage.key("acme", Role.PUBLISH, origins=[own])["authorization"].removeprefix("Bearer ")
            backend = stage.key("acme", Role.INGEST)["authorization"].removeprefix("Bearer ")
            filled = BACKEND.replace("http://127.0.0.1:8080", url).replace("hr_BACKEND_KEY", backend)
            program: dict[str, Any] = {}
            exec(filled, program)
            answers = [await asyncio.to_thread(program["ask"], "My VPN is down") for _ in range(2)]
            assert answers[0]["label"] == "it"

            def written(text: str, token: str) -> str:
                shown = text.replace("https://gateway.example.com", url).replace("hr_PAGE_KEY", key)
                return shown.replace("ANSWER_TOKEN", token)

            pages["/element"] = written(ELEMENT, answers[0]["token"])
            pages["/refused"] = written(ELEMENT, "made.up.token")
            imports, uses = written(BUTTONS, "").split("\n", 1)
            token = f"const token = {answers[1]['token']!r};"
            pages["/buttons"] = f"<script type=module nonce=n>{imports}{token}{uses}</script>"

            await the_element_is_a_pair_of_buttons(browser, own, stage.recorded.sent)
            await asyncio.to_thread(browser.get, f"{own}/buttons")
            await until(lambda: len(stage.recorded.sent) == 6)
            said = [event for event in stage.recorded.sent if isinstance(event, Feedback)]
            assert [(one.signal, one.value, one.label, one.comment) for one in said] == [
                ("thumb", 1, "", ""),
                ("thumb", -1, "", ""),
                ("thumb", -1, "", ""),
                ("rating", 4, "", ""),
                ("correction", None, "hr", "This is about my payslip."),
                ("comment", None, "", "The link is dead."),
            ]
            assert said[0].event_id == said[1].event_id and said[1].occurred_at > said[0].occurred_at
            asked = [event.inference_id for event in stage.recorded.inferences]
            assert [one.inference_id for one in said] == [asked[0]] * 2 + [asked[1]] * 4
            assert {one.tenant for one in said} == {"acme"}
            # On a page that the key does not list, the browser lets nothing through.
            await asyncio.to_thread(browser.get, f"{other}/buttons")
            await asyncio.to_thread(browser.get, own)
            assert len(stage.recorded.sent) == 6


async def the_element_is_a_pair_of_buttons(browser: Any, own: str, sent: list[Any]) -> None:
    """They are named, work by keyboard, show what was pressed, and do not show a thumb that was refused."""
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys

    def keys(*pressed: str) -> Any:
        return asyncio.to_thread(ActionChains(browser).send_keys(*pressed).perform)

    def buttons() -> Any:
        return browser.execute_script(PRESSED)

    await asyncio.to_thread(browser.get, f"{own}/element")
    script = "const one = document.querySelector('headrace-thumbs'); return [one.getAttribute('role'), one.ariaLabel]"
    group = await asyncio.to_thread(browser.execute_script, script)
    assert group == ["group", "Was this answer good?"]
    await keys(Keys.TAB, Keys.ENTER)
    await until(lambda: len(sent) == 1)
    assert buttons() == [["Good answer", "true", False], ["Bad answer", "false", False]]
    await keys(Keys.TAB, Keys.SPACE)
    await until(lambda: len(sent) == 2)
    await keys(Keys.SPACE)
    assert buttons() == [["Good answer", "false", False], ["Bad answer", "true", False]]
    await asyncio.to_thread(browser.get, f"{own}/refused")
    await keys(Keys.TAB, Keys.ENTER)
    await until(lambda: [pressed for _, pressed, _ in buttons()] == ["false", "false"])
    assert len(sent) == 2


async def test_without_keys_no_page_reaches_the_gateway(browser: Any, upstream: Upstream, tmp_path: Path) -> None:
    """A page that a user of this machine has open cannot post to the gateway on loopback, seen or unseen."""
    async with (
        gateway(plan_text(upstream.url), tmp_path) as stage,
        served(stage.service.app) as port,
        served(site({"/": "<h1>Elsewhere</h1>"})) as elsewhere,
    ):
        await asyncio.to_thread(browser.get, f"http://localhost:{elsewhere}")
        for path in ("/v1/route", "/v1/events", "/v1/feedback"):
            ask = asyncio.to_thread(browser.execute_async_script, BLIND, f"http://127.0.0.1:{port}{path}")
            assert await ask == "opaque"
        assert not stage.recorded.sent and not stage.recorded.inferences
