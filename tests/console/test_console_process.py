"""The real console, NiceGUI's own routes and websocket included, with and without keys."""

from __future__ import annotations

from pathlib import Path

import aiohttp
import pytest
from console_process import running_console

from console.__main__ import serve
from headrace.access.actions import FOLDER, WAITING
from headrace.access.key_ring import KeyRing
from headrace.contract.actions import Action
from headrace.errors import SettingsError
from headrace.settings import Settings

SOCKET = "/_nicegui_ws/socket.io/?EIO=4&transport="


@pytest.fixture
def away(tmp_path: Path) -> Settings:
    """Settings without servers: the page says so, and is served all the same."""
    return Settings(home=tmp_path, clickhouse="http://127.0.0.1:9", kafka="127.0.0.1:9")


async def opens(http: aiohttp.ClientSession, url: str, origin: str) -> bool:
    """Whether a websocket is opened for a page of this origin."""
    try:
        async with http.ws_connect(f"{url}{SOCKET}websocket", origin=origin) as socket:
            return (await socket.receive_str()).startswith("0{")
    except aiohttp.WSServerHandshakeError as error:
        assert error.status == 403
        return False


async def test_a_strange_page_reaches_no_open_console(away: Settings) -> None:
    """Without keys the page and its websocket are there for this machine's own page, and for no other site or host."""
    with running_console(away) as url:
        async with aiohttp.ClientSession() as http:

            async def status(path: str, **headers: str) -> int:
                async with http.get(f"{url}{path}", headers=headers) as answer:
                    return answer.status

            assert await status("/") == 200
            assert await status(f"{SOCKET}polling") == 200
            assert await status("/", Host="rebound.example") == 403
            assert await status(f"{SOCKET}polling", Host="rebound.example") == 403
            assert await status(f"{SOCKET}polling", Origin="http://evil.example") == 403
            assert await opens(http, url, url)
            assert not await opens(http, url, "http://evil.example")


async def test_a_key_opens_page_and_websocket_until_it_is_revoked(away: Settings, tmp_path: Path) -> None:
    """Nothing of NiceGUI is there before signing in; who signed in is recorded; a revoked key closes the websocket."""
    keys = tmp_path / "keys"
    keys.write_text("hr_1_secret 1 read\n")
    with running_console(away, keys) as url:
        jar = aiohttp.CookieJar(unsafe=True)
        async with aiohttp.ClientSession(cookie_jar=jar, connector=aiohttp.TCPConnector(force_close=True)) as http:

            async def status(path: str) -> int:
                async with http.get(f"{url}{path}", allow_redirects=False) as answer:
                    return answer.status

            assert await status("/") == 303
            assert await status(f"{SOCKET}polling") == 401
            assert not await opens(http, url, url)
            form = {"key": "hr_1_secret"}
            async with http.post(f"{url}/sign-in", data=form, headers={"Origin": url}) as answer:
                page = await answer.text()
                assert answer.status == 200 and "holder of 1" in page and "secret" not in page
            async with http.ws_connect(f"{url}{SOCKET}websocket", origin=url) as socket:
                await socket.receive_str()
                assert not await opens(http, url, "http://evil.example")
                keys.write_text("hr_2_other 2 read\n")
                await socket.send_str("40")
                closed = await socket.receive()
                assert (closed.type, closed.data) == (aiohttp.WSMsgType.CLOSE, 4401)
            assert await status("/") == 303
    # Kafka was away all the time.
    (signed,) = [Action.model_validate_json(line) for line in (tmp_path / FOLDER / WAITING).open()]
    assert (signed.kind, signed.by, signed.via, signed.subject) == ("sign_in", "holder of 1", "console", "1")
    assert signed.origin.startswith("127.0.0.1 at ")


@pytest.mark.parametrize("where", ["http://0.0.0.0:8081", "http://10.0.0.7:8081"])
def test_without_keys_it_listens_for_nobody_else(away: Settings, where: str) -> None:
    """An address that others can reach takes a key first."""
    with pytest.raises(SettingsError, match=f"HEADRACE_CONSOLE is {where}, which others can reach"):
        serve(away.replaced(console=where), KeyRing(away.keys))
