"""Faust's Kafka driver, reading committed records only: an aborted claim on a control topic is no claim.

And without four tasks a record: Faust races the delivery of each record against three reasons to stop, though it waits
for nothing unless its stream's queue is full. Here it is run until it waits, and raced only then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Generator
from types import coroutine
from typing import Any

import faust
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from mode.services import WaitResults

from headrace.bus.kafka.security import client_options
from headrace.settings import Settings

HEAD_START = 64
FETCH_WAIT_MS = 100
"""How long a fetch may wait for a first record. Until it ends no partition of its broker is fetched again, those among
them that were left out because they had records waiting: at Faust's 1,500 ms a busy topic stood behind empty ones."""


def broker_options(settings: Settings) -> dict[str, Any]:
    """Faust's options for the brokers and the login that every other client of these settings has.

    Raises SettingsError as `client_options` does.
    """
    options = client_options(settings)
    protocol, context = options["security_protocol"], options.get("ssl_context")
    login: faust.Credentials | None = None
    if "sasl_oauth_token_provider" in options:
        login = faust.OAuthCredentials(oauth_cb=options["sasl_oauth_token_provider"], ssl_context=context)
    elif protocol.startswith("SASL"):
        login = faust.SASLCredentials(
            username=options["sasl_plain_username"],
            password=options["sasl_plain_password"],
            mechanism=options["sasl_mechanism"],
            ssl_context=context,
        )
    elif protocol == "SSL":
        login = faust.SSLCredentials(context)
    return {
        "broker": [f"kafka://{server}" for server in options["bootstrap_servers"]],
        "broker_credentials": login,
    }


class CommittedThread(driver.AIOKafkaConsumerThread):
    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        # Faust sets this for its own exactly-once mode alone, which has open bugs; aiokafka reads it at start.
        consumer._isolation_level = "read_committed"
        consumer._fetch_max_wait_ms = FETCH_WAIT_MS
        return consumer


class CommittedConsumer(driver.Consumer):
    def _new_consumer_thread(self) -> CommittedThread:
        return CommittedThread(self, loop=self.loop, beacon=self.beacon)

    def on_buffer_full(self, tp: TP) -> None:
        """Nothing: a queue that is full makes the delivery wait. Faust would poll for other partitions for a second,
        while this one's records wait in memory and its queue runs empty."""

    async def wait_first(self, *coros: Any, timeout: Any = None) -> WaitResults:
        """As Faust's; a delivery that ends at once is not made a task. Called for each record by `_drain_messages`."""
        if len(coros) != 2 or timeout is not None or not asyncio.iscoroutine(coros[0]) or self.should_stop:
            return await super().wait_first(*coros, timeout=timeout)
        delivery, suspended = coros
        try:
            waits_for = delivery.send(None)
        except StopIteration as done:
            suspended.close()
            return WaitResults([delivery], [done.value], False)
        except BaseException:
            suspended.close()
            raise
        found = await super().wait_first(_rest(delivery, waits_for), suspended)
        # The queue was full. Its reader takes one record each time it runs: let it make room for more than one.
        for _ in range(HEAD_START):
            await asyncio.sleep(0)
        return found


async def _rest(delivery: Coroutine[Any, Any, Any], waits_for: Any) -> Any:
    """The rest of a coroutine that was begun by hand and now waits for something."""
    return await _resumed(delivery, waits_for)


@coroutine
def _resumed(delivery: Coroutine[Any, Any, Any], waits_for: Any) -> Generator[Any, Any, Any]:
    """What `await` does (PEP 380)."""
    try:
        while True:
            try:
                sent = yield waits_for
            except BaseException as error:
                waits_for = delivery.throw(error)
            else:
                waits_for = delivery.send(sent)
    except StopIteration as done:
        return done.value


class CommittedTransport(driver.Transport):
    Consumer = CommittedConsumer


class CommittedApp(faust.App):
    """A Faust app whose consumer reads committed records only."""

    def _new_transport(self) -> CommittedTransport:
        return CommittedTransport(self.conf.broker_consumer, self)
