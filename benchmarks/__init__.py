"""What headrace can do, measured: `make bench-NAME` prints a table and writes var/bench/NAME.json; `make chaos`."""
