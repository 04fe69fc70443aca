"""The loops that headrace is compared with, each a process: `python -m benchmarks.ingesting.loops plain|faust-empty …`.

plain: what one would write without headrace: aiokafka, pydantic, one insert a batch, one commit a batch; nothing is
bisected, dead-lettered, watched or monitored, and rows do not say where they came from.
faust-empty: a Faust agent that does nothing with a record: what Faust itself costs. It prints its rate.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from headrace.bus.kafka.security import client_options
from headrace.contract.events import Inference
from headrace.settings import Settings
from headrace.warehouse import Warehouse

BATCH_RECORDS = 400
FAUST_OPTIONS: dict[str, Any] = {
    "store": "memory://",
    "table_standby_replicas": 0,
    "web_enabled": False,
    "topic_allow_declare": False,
    "topic_disable_leader": True,
    "broker_commit_interval": 1.0,
    "worker_redirect_stdouts": False,
}


async def plain(settings: Settings, topic: str) -> None:
    """Copy the topic into `inferences` until the process is ended."""
    import aiokafka

    adapter, warehouse = TypeAdapter(list[Inference]), Warehouse.connect(settings)
    consumer = aiokafka.AIOKafkaConsumer(
        topic,
        **client_options(settings),
        group_id=f"{topic}.plain",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
    )
    await consumer.start()
    while True:
        found = await consumer.getmany(timeout_ms=200, max_records=BATCH_RECORDS)
        rows = [
            adapter.dump_json(adapter.validate_json(record.value), exclude_none=True)[1:-1]
            for records in found.values()
            for record in records
        ]
        if rows:
            await asyncio.to_thread(warehouse.insert, "inferences", rows)
            await consumer.commit()


def faust_empty(settings: Settings, topic: str, records: int) -> None:
    """Read `records` records with an agent that does nothing, print how many a second, and end."""
    import faust
    import mode.loop

    from streams.transport import broker_options

    mode.loop.use("uvloop")
    app = faust.App(
        f"{topic}.faust",
        **broker_options(settings),
        datadir=Path(settings.home) / "faust-empty",
        **FAUST_OPTIONS,
    )
    channel = app.topic(topic, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw")

    @app.agent(channel)  # type: ignore[untyped-decorator]
    async def nothing(stream: Any) -> None:
        seen, began = 0, 0.0
        async for _ in stream:
            if not seen:
                began = time.monotonic()
            seen += 1
            if seen == records:
                print(json.dumps({"events_per_s": (seen - 1) / (time.monotonic() - began)}), flush=True)

    faust.Worker(app, loglevel="WARN").execute_from_commandline()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ingesting.loops", description=__doc__)
    parser.add_argument("loop", choices=("plain", "faust-empty"))
    parser.add_argument("topic")
    parser.add_argument("--records", type=int, default=0)
    options = parser.parse_args()
    settings = Settings.from_environ()
    if options.loop == "plain":
        asyncio.run(plain(settings, options.topic))
    else:
        faust_empty(settings, options.topic, options.records)
    return 0


if __name__ == "__main__":
    sys.exit(main())
