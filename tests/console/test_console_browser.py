"""The console in a real browser, on a real ClickHouse."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from console_process import running_console, wait_until
from console_story import Story

from headrace.embedded.clickhouse import ClickHouseServer
from headrace.settings import Settings
from headrace.warehouse import Warehouse

pytestmark = [pytest.mark.stack, pytest.mark.browser]

HOSTILE = "<img src=x onerror='window.pwned=1'> rose to 19.7 %"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Headless Chromium, driven by the chromedriver that is installed; nothing is downloaded."""
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not chromium or not driver:
        pytest.skip("no browser: apt-get install chromium chromium-driver")
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    profile = tmp_path_factory.mktemp("chromium")
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1280,800"):
        options.add_argument(argument)
    options.add_argument(f"--user-data-dir={profile}")
    found = webdriver.Chrome(options=options, service=webdriver.ChromeService(executable_path=driver))
    yield found
    found.quit()


def text(browser: Any, selector: str) -> str:
    """The visible text of all that match, chart labels (SVG) included."""
    script = "return [...document.querySelectorAll(arguments[0])].map((e) => e.textContent).join('\\n')"
    found: str = browser.execute_script(script, selector)
    return found


def sees(browser: Any, selector: str, *words: str) -> None:
    def all_there() -> bool:
        found = text(browser, selector)
        return all(word in found for word in words)

    wait_until(all_there, f"{words} in {selector}")


def test_page_shows_the_loop_and_follows_it(browser: Any, database: Settings, warehouse: Warehouse) -> None:
    """A viewer sees who serves, how accurate it is, the trigger and the promotion, and sees the next ones arrive."""
    story = Story(warehouse)
    story.promotion(0, 1, "router@0")
    for hours, correct in ((1, 961), (10, 958), (20, 780)):
        story.accuracy(hours, correct)
    story.trigger(18, HOSTILE)
    story.promotion(24, 2, "router@1", previous="router@0")
    story.action(24, "rollback", "ann", reason=HOSTILE)
    with running_console(database) as url:
        browser.get(url)
        sees(browser, ".tiles", "router@1", "78.0 %", "drift")
        sees(browser, ".plot svg text", "▼ drift", "▲ router@1", "router@0")
        sees(browser, ".happened", HOSTILE)
        sees(browser, ".actions", "ann", "rollback", "ann@desk (cli)", HOSTILE)
        browser.execute_script("window.sameDocument = true")

        story.accuracy(30, 949)
        story.promotion(31, 3, "router@2", previous="router@1")
        sees(browser, ".tiles", "router@2", "94.9 %")
        sees(browser, ".plot svg text", "▲ router@2")

        assert browser.execute_script("return window.sameDocument"), "the page was loaded again"
        assert browser.execute_script("return window.pwned === undefined && !document.querySelector('img[src=\"x\"]')")
        elsewhere = "return performance.getEntries().map((e) => e.name).filter((n) => /^(http|ws)/.test(n))"
        assert {name for name in browser.execute_script(elsewhere) if not name.startswith(url)} == set()


def test_page_outlives_clickhouse(browser: Any, tmp_path: Path) -> None:
    """Without ClickHouse the page stands with one sentence; when ClickHouse comes the figures do, with no reload."""
    server = ClickHouseServer(tmp_path)
    settings = Settings(home=tmp_path, artifacts=tmp_path / "artifacts", clickhouse=server.url)
    with running_console(settings) as url:
        browser.get(url)
        sees(browser, ".banner", f"ClickHouse at {server.url} does not answer; there is nothing to show yet")
        sees(browser, ".chart .empty", "No accuracy yet")
        with server:
            warehouse = Warehouse.connect(settings)
            warehouse.prepare()
            Story(warehouse).accuracy(1, 961)
            sees(browser, ".tiles", "96.1 %")
            wait_until(lambda: not browser.find_element("css selector", ".banner").is_displayed(), "the banner goes")
            warehouse.close()
        sees(browser, ".banner", "the page shows what was read at")
        assert "96.1 %" in text(browser, ".tiles")


def test_signing_in_and_out(browser: Any, database: Settings, tmp_path: Path) -> None:
    """With keys a viewer signs in with one, and is out again by signing out, or when the key is revoked."""
    keys = tmp_path / "keys"
    keys.write_text("hr_1_secret 1 read\n")

    def sign_in(key: str) -> None:
        sees(browser, "label", "An API key with the role read")
        browser.find_element("css selector", "#key").send_keys(key)
        browser.find_element("css selector", "button").click()

    with running_console(database, keys) as url:
        browser.get(url)
        sign_in("hr_1_wrong")
        sees(browser, ".fault", "unknown or was revoked")
        sign_in("hr_1_secret")
        sees(browser, ".topbar", "holder of 1", "Sign out")
        wait_until(lambda: "UTC" in text(browser, ".topbar .at"), "the page is live")
        assert "secret" not in browser.page_source and "hr_1_secret" not in browser.execute_script(
            "return document.cookie"
        )
        browser.find_element("css selector", ".topbar form button").click()
        sign_in("hr_1_secret")
        sees(browser, ".topbar", "holder of 1")
        keys.write_text("hr_2_other 2 read\n")
        sees(browser, "label", "An API key with the role read")
