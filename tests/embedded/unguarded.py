"""An engine without any lock beside the check, run as a program: what does one let through that the other does?

Each line on standard input is a statement as JSON. Each answer is a line with two flags: whether the engine showed the
canary or wrote a file, and whether `Allowed.check` refused. The folder in argv[1] holds `canary`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import chdb

from headrace.embedded.clickhouse.allowed import Allowed
from headrace.embedded.clickhouse.engine import Parser, Session
from headrace.embedded.clickhouse.errors import Refused


def main() -> None:
    folder = Path(sys.argv[1])
    mark = (folder / "canary").read_bytes().strip()
    connection = chdb.connect(":memory:")
    parser = Parser(Session(chdb.connect(":memory:")))
    allowed = Allowed(parser, parser.names("table_functions"), parser.names("table_engines"))
    for line in sys.stdin:
        statement = json.loads(line)
        try:
            reached = mark in connection.query(statement, "TabSeparated").bytes()
        except Exception as error:
            reached = mark in str(error).encode()
        for written in folder.glob("written*"):
            written.unlink()
            reached = True
        try:
            allowed.check(statement.encode())
            refused = False
        except Refused:
            refused = True
        print(json.dumps([reached, refused]), flush=True)


if __name__ == "__main__":
    main()
