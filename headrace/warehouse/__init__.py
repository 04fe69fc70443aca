"""ClickHouse: the schema, the queries that analysts and the loop share, and the client.

`schema/` holds the tables and views, applied in order; `queries/` one query a file, run by name.
"""

from headrace.warehouse.client import MemorySink, Sink, Warehouse, query_text
from headrace.warehouse.times import clickhouse_time

__all__ = ["MemorySink", "Sink", "Warehouse", "clickhouse_time", "query_text"]
