"""Monitor: events into ClickHouse, rolling accuracy and drift out of it, triggers.

Read in this order: `tables` (which topic fills which table), `decode` (a record into rows and dead letters), `bisect`
and `store` (a block of records into a table), `worker` (the Faust agents around them) with `pressure`, `patience`,
`threads`, `watchdog` and `transport`; then `figures` (rolling windows and accuracy) with `progress` (how far tasks
are), `aside` (what failed) and `clocks` (who is ahead), `detectors/`, `situation` (what the monitor has to know),
`policy` (when to retrain) and `monitor` (one look at a task). `__main__` puts them together.
"""
