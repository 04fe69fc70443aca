"""Which versions are loaded, and who says so.

follower         reads promotions and tells the fleet what to serve
fleet            the versions that are loaded, and the table that says which of them answer
loaded           a loaded version: counts what is in flight, so that it leaves without dropping a request
promotions_file  the last promotions, in a file, for a start without Kafka
"""
