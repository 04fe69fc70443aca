"""The servers that `headrace up` starts itself, and the supervisor that keeps every part running.

Read in this order: `jars` and `kafka` (Kafka's own broker), `clickhouse` (ClickHouse's engine behind its HTTP
protocol), `child` (one process), `supervisor` (many), `stack` (which ones make up headrace).
"""
