"""One live page about the loop, for the people who run it.

Read in this order: `feed` (rows out of ClickHouse, once for all viewers), `figures` (how numbers are written), `view`
(rows to what the page says), `timeline` (rows to the chart), `panels` and `page` (that on a screen), `__main__`.
"""
