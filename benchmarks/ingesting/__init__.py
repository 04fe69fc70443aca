"""What `make bench-ingest` runs: events, the stage of real servers and processes, and the loops to compare with."""
