"""A flywheel in one file, and out of it again.

What is in it: the compacted control topics (who serves, which jobs there were), API keys and this home's secrets, the
published models, and the warehouse's tables. What is not: events that Kafka has and the warehouse has not yet, and the
state of running trainers. A ClickHouse server's own BACKUP is faster and goes on from the last one: leave the tables to
it with --no-warehouse.

archive  the file: a tar whose last member names every other with its digest
save     from a running flywheel into the file
restore  from the file into a flywheel that has nothing yet
"""
