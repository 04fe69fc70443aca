"""What the trainer's tests share."""

from __future__ import annotations

import pytest

from headrace.warehouse import Warehouse


@pytest.fixture
def empty(warehouse: Warehouse) -> Warehouse:
    """The module's database with the tables that curation reads and writes emptied."""
    for table in ("inferences", "feedback", "candidates", "datasets", "dataset_rows"):
        warehouse.command(f"TRUNCATE TABLE {table}")
    return warehouse
