"""`python -m consumers.alert`: tells the plan's webhook what happens until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
from collections.abc import Sequence

from consumers.alert.outbox import Outbox
from consumers.alert.webhook import Away, Webhook
from consumers.ownership import stop_on_signals
from consumers.process import name_of, run_to_end
from headrace import plan
from headrace.errors import PlanError, WarehouseError
from headrace.plan import Alerts
from headrace.process.readiness import ready
from headrace.settings import Settings
from headrace.warehouse import Warehouse

log = logging.getLogger(__name__)

FIRST_RETRY_S, LAST_RETRY_S = 1.0, 300.0


async def serve(settings: Settings, name: str) -> None:
    """Tell until stopped. Raises PlanError where the plan has no alerts."""
    alerts = plan.load(settings.plan).alerts
    if alerts is None:
        raise PlanError(f"{settings.plan} has no table [alerts]; there is nothing to tell, and nobody to tell it to")
    stop = stop_on_signals()
    webhook = Webhook(alerts)
    try:
        ready(settings, name)
        await _tell(settings, alerts, webhook, stop)
    finally:
        await webhook.close()


async def _tell(settings: Settings, alerts: Alerts, webhook: Webhook, stop: asyncio.Event) -> None:
    outbox: Outbox | None = None
    retry_s = FIRST_RETRY_S
    while not stop.is_set():
        wait_s = alerts.look_s
        try:
            if outbox is None:
                outbox = Outbox(await asyncio.to_thread(Warehouse.connect, settings), alerts.kinds)
            if await _round(outbox, webhook, stop):
                wait_s = 0.0
            retry_s = FIRST_RETRY_S
        except (Away, WarehouseError) as error:
            where = alerts.webhook if isinstance(error, Away) else settings.clickhouse
            log.warning("%s does not take it, the next attempt is in %.0f s: %s", where, retry_s, error)
            wait_s, retry_s = retry_s, min(2 * retry_s, LAST_RETRY_S)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await stop.wait()


async def _round(outbox: Outbox, webhook: Webhook, stop: asyncio.Event) -> int:
    """Tell what is due, one after the other; how many. Each is written down once the receiver has answered."""
    due = await asyncio.to_thread(outbox.due)
    for alert in due:
        if stop.is_set():
            break
        state, answer = await webhook.send(alert)
        await asyncio.to_thread(outbox.told, alert, state, answer)
        (log.info if state == "delivered" else log.error)("%s: %s (%s)", state, alert.text, answer)
    return len(due)


def main(argv: Sequence[str] | None = None) -> int:
    """The process."""
    name = name_of(argv, "alert", "Tell the plan's webhook what happens, and why.")
    return run_to_end(name, lambda settings: serve(settings, name))


if __name__ == "__main__":
    sys.exit(main())
