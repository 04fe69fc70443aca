"""Faust's Kafka driver, reading committed records only: an aborted claim on a control topic is no claim."""

from __future__ import annotations

from typing import Any

import faust
from faust.transport.drivers import aiokafka as driver


class CommittedThread(driver.AIOKafkaConsumerThread):
    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        # Faust sets this for its own exactly-once mode alone, which has open bugs; aiokafka reads it at start.
        consumer._isolation_level = "read_committed"
        return consumer


class CommittedConsumer(driver.Consumer):
    def _new_consumer_thread(self) -> CommittedThread:
        return CommittedThread(self, loop=self.loop, beacon=self.beacon)


class CommittedTransport(driver.Transport):
    Consumer = CommittedConsumer


class CommittedApp(faust.App):
    """A Faust app whose consumer reads committed records only."""

    def _new_transport(self) -> CommittedTransport:
        return CommittedTransport(self.conf.broker_consumer, self)
