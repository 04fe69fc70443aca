"""What a company has already, as events: rows of CSV, JSON lines or Parquet become inferences or feedback.

sources     rows of a file, read one after the other in bounded memory
times       a cell that holds a time
mapping     a row becomes an event with an id that the same row always gets
checkpoint  how far an import has come, so that one that was killed goes on
months      events that wait to be sent, by the month of their ids
run         the import itself: read, map, send, note what was rejected
"""

from headrace.importing.checkpoint import Checkpoint
from headrace.importing.mapping import Mapping
from headrace.importing.run import Import, ImportProgress, Summary
from headrace.importing.sources import Rows, open_rows

__all__ = ["Checkpoint", "Import", "ImportProgress", "Mapping", "Rows", "Summary", "open_rows"]
