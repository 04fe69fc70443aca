"""`python -m console`: serve the page at the address of settings.console."""

from __future__ import annotations

import asyncio
import logging
import os
import sys

from nicegui import app, ui

from console.access import Access, Keys
from console.feed import Feed
from console.gate import Gate
from console.page import MARK, mount
from console.signing import routes
from headrace import plan
from headrace.access.actions import TIMEOUT_S, Recorder, action, origin
from headrace.access.key_ring import KeyRing
from headrace.access.roles import Principal
from headrace.bus.kafka import KafkaProducer
from headrace.contract.actions import ActionKind, Via
from headrace.errors import SettingsError, UserError
from headrace.settings import Settings, address, is_loopback
from headrace.warehouse import Warehouse


def serve(settings: Settings, keys: Keys) -> None:
    """Until SIGTERM or SIGINT. Raises UserError where the plan cannot be read, or strangers could look."""
    host, port = address(settings.console)
    access = Access(keys, is_loopback(host))
    if keys.empty and not access.local:
        raise SettingsError(
            f"HEADRACE_CONSOLE is {settings.console}, which others can reach, and {settings.keys} holds no API key; "
            "make one with the role read (`headrace keys add`) or listen on 127.0.0.1"
        )
    feed = Feed(lambda: Warehouse.connect(settings, as_analyst=True), settings.clickhouse)
    log_of_actions = SignIns(settings)
    app.add_middleware(Gate, access=access)
    app.router.routes.extend(routes(access, log_of_actions.record))
    mount(feed, plan.load(settings.plan), access)
    app.on_shutdown(feed.close)
    app.on_shutdown(log_of_actions.close)
    # NiceGUI takes another port where this is set, as it is in the children of a test that starts the whole loop.
    os.environ.pop("PYTEST_CURRENT_TEST", None)
    ui.run(
        host=host,
        port=port,
        title="headrace",
        favicon=MARK,
        dark=None,
        show=False,
        reload=False,
        show_welcome_message=False,
    )


class SignIns:
    """Records who signed in, while their page is shown already."""

    def __init__(self, settings: Settings) -> None:
        self._producer = KafkaProducer(settings, client_id="headrace-console", timeout_s=TIMEOUT_S)
        self._recorder = Recorder(self._producer, settings.home)
        self._recording: set[asyncio.Task[None]] = set()

    def record(self, principal: Principal, remote: str) -> None:
        """By a task of its own: Kafka may be away."""
        by = principal.name or principal.key_id
        done = action(ActionKind.SIGN_IN, by, Via.CONSOLE, principal.key_id, tenant=principal.tenant)
        task = asyncio.create_task(self._recorder.record(done.model_copy(update={"origin": origin(remote)})))
        self._recording.add(task)
        task.add_done_callback(self._recording.discard)

    async def close(self) -> None:
        """Wait for what is being recorded, which takes some seconds at most, and disconnect."""
        await asyncio.gather(*self._recording, return_exceptions=True)
        await self._producer.stop()


def main() -> None:
    # While a broker is away aiokafka says so again and again; what was not recorded is said once.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    try:
        settings = Settings.from_environ()
        serve(settings, KeyRing(settings.keys))
    except UserError as error:
        print(error, file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
