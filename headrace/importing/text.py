"""A text file that can be read from its beginning as often as needed."""

from __future__ import annotations

import io
from pathlib import Path

from headrace.importing.encodings import Encoding
from headrace.importing.opened import Opened

HEAD_CHARACTERS = 256 * 1024


class TextFile:
    """A file's path and encoding.

    how: in which encoding it is read and from what it is unpacked, for people
    """

    def __init__(self, path: Path, encoding: Encoding) -> None:
        self.path, self._encoding = path, encoding
        self._opened: Opened | None = None
        self.packed = ""

    @property
    def how(self) -> str:
        """See TextFile."""
        return f"encoding {self._encoding.how}" + (f", packed by {self.packed}" if self.packed else "")

    def open(self) -> io.TextIOWrapper:
        """From its beginning; a damaged byte is half of a surrogate pair. Raises EventError when it is read."""
        self._opened = Opened(self.path)
        self.packed = self._opened.packed
        return self._opened.text(self._encoding.name, self._encoding.mark, self._encoding.errors)

    def head(self) -> str:
        """Its beginning."""
        with self.open() as text:
            return text.read(HEAD_CHARACTERS)

    def done(self) -> float:
        """See Rows.done."""
        return self._opened.done() if self._opened else 0.0


def damage(text: str) -> str:
    """What to say of a text with bytes that are not of its encoding; empty where there is none."""
    if text.isascii():
        return ""
    at = next((place for place, one in enumerate(text) if "\ud800" <= one <= "\udfff"), None)
    if at is None:
        return ""
    # A byte that is not of its encoding is half of a pair, by Python's surrogateescape.
    around = text[max(0, at - 20) : at + 20].encode("utf-8", "surrogateescape" if text[at] >= "\udc80" else "replace")
    byte = f"byte 0x{ord(text[at]) - 0xDC00:02x}" if "\udc80" <= text[at] <= "\udcff" else "a part of it"
    shown = " ".join(around.decode("utf-8", "replace").split())
    reading = " ".join(around.decode("windows-1252", "replace").split())
    other = f", which reads {reading!r} in Windows-1252" if text[at] >= "\udc80" and "\ufffd" not in reading else ""
    return f"{byte} is not of the file's encoding, in {shown!r}{other}; see --encoding"
