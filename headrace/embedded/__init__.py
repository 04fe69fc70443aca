"""The servers that `headrace up` starts itself, and the supervisor that keeps every part running.

jars         the broker's jars: resolved once, checked, cached
class_cache  the broker's classes, loaded and linked ahead of time
kafka        Apache Kafka's own broker
listeners    where the embedded broker listens and who may log in
clickhouse   ClickHouse's engine behind its HTTP protocol
environment  what each part finds in its environment
part         what a supervisor runs: processes to keep, and steps to do once between them
supervisor   keeps parts running: in order of readiness, with back-off, nothing left behind
state        what the supervisor says about itself, and the lock that tells whether it lives
stack        what makes up headrace on one machine, and `up`, `down`, `status` on it
server       a server for the length of a test or a script
"""
