"""ClickHouse: the schema, the queries that analysts and the loop share, and the client.

`schema/` holds the tables and views, applied in order; `queries/` one query a file, run by name.
"""

from headrace.warehouse.client import MemorySink, Sink, Warehouse, query_text

__all__ = ["MemorySink", "Sink", "Warehouse", "query_text"]
