"""ClickHouse: the schema, the queries that analysts and the loop share, and the client.

`schema/` holds the tables and views, applied in order; `queries/` one query a file in
the folder of the part that asks (`shared/` where several do), run by name.

client         insert JSON rows, run a query by name
foreign_ids    the ids that stand for those that emitters gave
migration      brings a database to the present schema
engines        gives a table another engine or partition key, which ALTER cannot
documentation  docs/warehouse.md's part about tables and views
tables         whole tables out of the warehouse and into it again, in pieces that one insert takes
datasets       data sets, found by what people call them, and emptied by an erasure
copies         the copy of promotions and jobs, as records again
times          how a time is bound to a statement
codes          ClickHouse's error codes: which of them say that waiting may help
"""

from headrace.warehouse.client import MemorySink, Sink, Warehouse, query_text
from headrace.warehouse.times import clickhouse_time

__all__ = ["MemorySink", "Sink", "Warehouse", "clickhouse_time", "query_text"]
