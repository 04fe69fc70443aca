"""What a company has already, as events: rows of CSV, JSON lines or Parquet become inferences or feedback.

sources.py     rows of a file, one after the other, from any row on
times.py       a cell that holds a time
mapping.py     a row and what its columns mean become an event with an id that the same row always gets (pure)
checkpoint.py  how far an import has come, so that one that was killed goes on and a finished one sends nothing again
months.py      events that wait to be sent, by the month of their ids
run.py         the import itself: read, map, send, note what was rejected
"""

from headrace.importing.checkpoint import Checkpoint
from headrace.importing.mapping import Mapping
from headrace.importing.run import Import, Progress, Summary
from headrace.importing.sources import Rows, open_rows

__all__ = ["Checkpoint", "Import", "Mapping", "Progress", "Rows", "Summary", "open_rows"]
