"""`python -m console`: serve the page at the address of settings.console."""

from __future__ import annotations

import os
import sys

from nicegui import app, ui

from console.feed import Feed
from console.page import MARK, mount
from headrace import plan
from headrace.errors import UserError
from headrace.settings import Settings, address
from headrace.warehouse import Warehouse


def serve(settings: Settings) -> None:
    """Until SIGTERM or SIGINT. Raises UserError where the plan cannot be read."""
    feed = Feed(lambda: Warehouse.connect(settings, as_analyst=True), settings.clickhouse)
    mount(feed, plan.load(settings.plan))
    app.on_shutdown(feed.close)
    host, port = address(settings.console)
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


def main() -> None:
    try:
        serve(Settings.from_environ())
    except UserError as error:
        print(error, file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
