"""`python -m streams.embed WINDOWS`: embeds questions of closed windows and writes window_embeddings, then ends.

WINDOWS: a JSON list of objects, fields as in streams.embedder.Wanted. Started by the monitor, with a low priority.
"""

from __future__ import annotations

import json
import os
import sys
from datetime import UTC, datetime
from typing import Any

from headrace.errors import HeadraceError
from headrace.models.encoder_base import Encoder
from headrace.settings import Settings
from headrace.warehouse import Warehouse, clickhouse_time
from streams.embedder import ENCODER
from streams.projection import moments, projected

QUESTIONS = 200
"""Of a window, one a session."""
PRIORITY = 10


def embed(warehouse: Warehouse, encoder: Encoder, window: dict[str, str]) -> None:
    """One window; an empty one too, so that nobody asks again. Raises WarehouseError."""
    rows = warehouse.query("ingest/embeddings_sample", **window, most=QUESTIONS)
    row: dict[str, Any] = {
        **window,
        "encoder": ENCODER,
        **moments(projected(encoder.embed([row["input"] for row in rows]))),
        "known_at": clickhouse_time(datetime.now(UTC)),
    }
    warehouse.insert("window_embeddings", [json.dumps(row).encode()])


def main(argv: list[str] | None = None) -> int:
    os.nice(PRIORITY)
    (argument,) = sys.argv[1:] if argv is None else argv
    try:
        warehouse = Warehouse.connect(Settings.from_environ())
        encoder = Encoder(threads=1)
        for window in json.loads(argument):
            embed(warehouse, encoder, window)
    except HeadraceError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
