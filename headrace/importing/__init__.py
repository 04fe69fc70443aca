"""What a company has already, as events: rows of tables, JSON, Parquet or workbooks become inferences or feedback.

sources         rows of a file, whatever its kind
opened          a file's bytes, unpacked
encodings       the encoding of a text file
text            a text file that can be read again
delimited       rows of CSV, TSV and their relatives
records         delimited text as records
headers         names of columns, told apart and found again
json_lines      rows of JSON lines
json_documents  rows of one JSON document
nested          values within values
columnar        rows of Parquet and Arrow files
workbook        rows of Excel workbooks
mapping         a row becomes an event with an id that the same row always gets
values          a cell becomes a field's value
chats           the text of a chat
numbers         a cell that holds a number
times           a cell that holds a time
dates           a time as people and programs write it
date_words      months, days and halves of a day in the large languages
zones           zones as they stand in times
survey          what a whole column shows before a row is sent
checkpoint      how far an import has come, so that one that was killed goes on
months          events that wait to be sent, by the month of their ids
repeats         rows that have the id and the time of another
run             the import itself: read, map, send, note what was rejected
"""

from headrace.importing.checkpoint import Checkpoint
from headrace.importing.mapping import Mapping
from headrace.importing.run import Import, ImportProgress, Summary
from headrace.importing.sources import Reading, Rows, open_rows

__all__ = ["Checkpoint", "Import", "ImportProgress", "Mapping", "Reading", "Rows", "Summary", "open_rows"]
