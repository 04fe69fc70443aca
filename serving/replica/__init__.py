"""One gateway among others.

service     what is started in which order, and what is stopped
heartbeat   what it tells the others: which generation serves, and which candidate is out
bus        the way to Kafka, which may be down at any time
"""
