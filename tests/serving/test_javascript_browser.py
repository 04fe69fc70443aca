"""clients/javascript in Chromium: what a page's user said arrives, whatever happens to page, network and gateway."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from browsers import chromium, killed, served, site
from stage import SECRET, Stage, Upstream, gateway, plan_text, until

from headrace.access.roles import Role
from headrace.access.tokens import answer_token
from headrace.contract import ids
from headrace.contract.events import Feedback
from headrace.embedded.server import free_port

pytestmark = pytest.mark.browser

PAGE = """<!doctype html><title>Helpdesk</title><script type="module">
import {{ PageClient }} from "/headrace/page.js";
window.client = new PageClient({{ url: "{url}", key: "{key}", retry: {{ firstMs: 20, mostMs: 100 }}, onError() {{}} }});
</script>"""
READY = "const done = arguments[0]; const look = () => window.client ? done() : setTimeout(look, 5); look();"
SAY = "for (const token of arguments[0]) client.thumb(token, arguments[1]);"


class World:
    """A gateway that comes and goes on one port, a company's pages, and a browser that a user sits at."""

    def __init__(self, upstream: Upstream, home: Path) -> None:
        self.home = home
        self.plan = plan_text(upstream.url)
        self.gateway_port = free_port()
        self.url = f"http://127.0.0.1:{self.gateway_port}"
        self.browser = chromium(home / "chromium")
        self.browser.set_script_timeout(30)
        self.page_port = free_port()
        self.page = f"http://127.0.0.1:{self.page_port}"
        self.taken: list[Feedback] = []

    async def run(self, script: str, *arguments: Any) -> Any:
        return await asyncio.to_thread(self.browser.execute_script, script, *arguments)

    async def open(self, address: str = "/") -> None:
        """Return when the page has its client."""
        await asyncio.to_thread(self.browser.get, self.page + address)
        await asyncio.to_thread(self.browser.execute_async_script, READY)

    async def say(self, tokens: Sequence[str], thumb: str = "up", then: str = "") -> None:
        await self.run(SAY + then, tokens, thumb)

    async def leave_the_network(self, offline: bool) -> None:
        conditions = {"offline": offline, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
        await asyncio.to_thread(self.browser.execute_cdp_cmd, "Network.enable", {})
        await asyncio.to_thread(self.browser.execute_cdp_cmd, "Network.emulateNetworkConditions", conditions)

    async def crash(self) -> None:
        """The browser dies, and the user starts it again."""
        await asyncio.to_thread(killed, self.browser)
        self.browser = await asyncio.to_thread(chromium, self.home / "chromium")

    def answers(self) -> set[UUID]:
        """Answers of which the gateway has feedback; twice, and it was the same event."""
        assert len({(one.event_id, one.revision) for one in self.taken}) == len({one.event_id for one in self.taken})
        return {one.inference_id for one in self.taken}


def tokens(count: int) -> dict[UUID, str]:
    now = datetime.now(UTC)
    return {(answer := ids.uuid7()): answer_token(SECRET, "acme", answer, now) for _ in range(count)}


@pytest.fixture
async def world(upstream: Upstream, tmp_path: Path) -> AsyncIterator[World]:
    made = World(upstream, tmp_path)
    yield made
    await asyncio.to_thread(made.browser.quit)


BROKEN = {
    "/none": "Object.defineProperty(window, 'indexedDB', {get() { throw new DOMException('no', 'SecurityError'); }})",
    "/full": "IDBObjectStore.prototype.add = () => { throw new DOMException('full', 'QuotaExceededError'); }",
    "/unreadable": "IDBObjectStore.prototype.openCursor = () => { throw new DOMException('broken', 'UnknownError'); }",
    "/stuck": "IDBCursor.prototype.delete = () => { throw new DOMException('broken', 'UnknownError'); }",
    "/unlocked": "Object.defineProperty(Navigator.prototype, 'locks', {get: () => undefined})",
}


async def test_a_page_that_cannot_keep_or_lock_speaks_all_the_same(world: World) -> None:
    """Where the browser keeps nothing, has no room or no locks, what is said while the gateway is away arrives."""
    async with gateway(world.plan, world.home) as stage:
        key = stage.key("acme", Role.PUBLISH, origins=[world.page])["authorization"].removeprefix("Bearer ")
    html = PAGE.format(url=world.url, key=key)
    said: set[UUID] = set()
    async with served(
        site({path: f"<script>{script}</script>{html}" for path, script in BROKEN.items()}), world.page_port
    ):
        for path in BROKEN:
            await world.open(path)
            some = tokens(5)
            said |= some.keys()
            await world.say(list(some.values()))
            assert not await world.run("return client.flush(100)")
            async with gateway(world.plan, world.home) as stage, served(stage.service.app, world.gateway_port):
                assert await world.run("return client.flush(20000)")
                world.taken += stage.recorded.sent  # type: ignore[arg-type]
            assert world.answers() == said


LATE = """if (!sessionStorage.getItem("left")) {
  sessionStorage.setItem("left", "yes");
  IDBObjectStore.prototype.add = () => { throw new DOMException("not now", "TransactionInactiveError"); };
}"""


async def test_a_page_that_is_left_before_the_disk_took_anything_loses_nothing(world: World) -> None:
    """Forty thumbs and a page change at once: more than requests may outlive the page, and the gateway is away."""
    async with gateway(world.plan, world.home) as stage:
        key = stage.key("acme", Role.PUBLISH, origins=[world.page])["authorization"].removeprefix("Bearer ")
    html = f"<script>{LATE}</script>{PAGE.format(url=world.url, key=key)}"
    said = tokens(40)
    async with served(site({"/": html}), world.page_port):
        await world.open()
        await world.say(list(said.values()), then="location.reload();")
        await asyncio.to_thread(world.browser.execute_async_script, READY)
        async with gateway(world.plan, world.home) as stage, served(stage.service.app, world.gateway_port):
            await until(lambda: len({one.event_id for one in stage.recorded.sent}) == len(said))
            assert {one.inference_id for one in stage.recorded.sent} == said.keys()  # type: ignore[union-attr]
        assert not await world.run("return Object.keys(localStorage).length")


async def test_a_page_of_another_tenant_leaves_what_is_not_its_own(world: World) -> None:
    """Two keys in pages of one origin: feedback that the other cannot send waits for its own page."""
    async with gateway(world.plan, world.home) as stage:
        keys = {
            tenant: stage.key(tenant, Role.PUBLISH, origins=[world.page])["authorization"].removeprefix("Bearer ")
            for tenant in ("acme", "globex")
        }
    pages = {f"/{tenant}": PAGE.format(url=world.url, key=key) for tenant, key in keys.items()}
    said = tokens(3)
    async with served(site(pages), world.page_port):
        await world.open("/acme")
        await world.say(list(said.values()))
        assert not await world.run("return client.flush(100)")
        await world.open("/globex")
        async with gateway(world.plan, world.home) as stage, served(stage.service.app, world.gateway_port):
            answer = ids.uuid7()
            await world.say([answer_token(SECRET, "globex", answer, datetime.now(UTC))])
            assert await world.run("return client.flush(20000)")
            assert {one.tenant for one in stage.recorded.sent} == {"globex"}
            await world.open("/acme")
            await until(lambda: len({one.event_id for one in stage.recorded.sent}) == 4)
            assert {one.inference_id for one in stage.recorded.sent} == said.keys() | {answer}  # type: ignore[union-attr]


async def test_nothing_a_user_says_is_lost(world: World) -> None:
    """Over a page change, an absent gateway, a closed tab, an absent network and a crash each thumb arrives, once."""

    def serving(stage: Stage) -> Any:
        stage.recorded.sent = world.taken  # type: ignore[assignment]
        return served(stage.service.app, world.gateway_port)

    said: dict[UUID, str] = {}

    def some(count: int = 12) -> list[str]:
        new = tokens(count)
        said.update(new)
        return list(new.values())

    def everything() -> bool:
        return world.answers() == said.keys()

    async with gateway(world.plan, world.home) as stage:
        key = stage.key("acme", Role.PUBLISH, origins=[world.page])["authorization"].removeprefix("Bearer ")
    html = PAGE.format(url=world.url, key=key)
    async with served(site({"/": html, "/next": html, "/bare": "<h1>Bye"}), world.page_port):
        async with gateway(world.plan, world.home) as stage, serving(stage):
            await world.open()
            # To a page without the client: requests that outlive the page are all that can bring these.
            await world.say(some(3), then="location.href = '/bare';")
            await until(everything)
            await world.open()
            await world.say(some(60), then="location.href = '/next';")
            await until(everything)
        # The gateway is gone: two tabs speak, and one of them is closed.
        await world.open()
        first = world.browser.current_window_handle
        await asyncio.to_thread(world.browser.switch_to.new_window, "tab")
        await world.open("/next")
        await world.say(some())
        await world.run("return client.flush(100)")
        await asyncio.to_thread(world.browser.close)
        await asyncio.to_thread(world.browser.switch_to.window, first)
        await world.say(some(), "down")
        async with gateway(world.plan, world.home) as stage, serving(stage):
            await until(everything)
            await world.leave_the_network(True)
            await world.say(some())
            assert not await world.run("return client.flush(200)")
            await world.leave_the_network(False)
            await until(everything)
            assert await world.run("return client.flush(10000)")
            assert (await world.run("return client.count"))["dropped"] == 0
        await world.say(some())
        await world.run("return client.flush(100)")
        await world.crash()
        async with gateway(world.plan, world.home) as stage, serving(stage):
            await world.open("/next")
            await until(everything)
            # What the last page has sent is kept no longer.
            assert await world.run("return client.flush(10000)")
            await world.open()
            assert await world.run("return client.flush(10000)")
