"""The encoding of a text file: by its byte order mark, by an option, or UTF-8; the whole file is looked at first.

A file that is UTF-8 but for a few lines has damaged lines, which are rejected by number. A file that is not UTF-8 is
taken for another encoding only where that alone shows the names of columns that the caller gave; or else it is refused,
with what it would say in the encodings that people use.
"""

from __future__ import annotations

import codecs
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from headrace.errors import EventError
from headrace.importing.headers import printable
from headrace.importing.opened import HEAD_BYTES, Opened

CHUNK = 1024 * 1024
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_OTHERS = {
    "windows-1252": "Windows-1252 (Western European)",
    "windows-1250": "Windows-1250 (Central European)",
    "windows-1251": "Windows-1251 (Cyrillic)",
    "cp850": "CP850 (DOS)",
    "mac-roman": "Mac Roman",
    "windows-1253": "Windows-1253 (Greek)",
    "windows-1254": "Windows-1254 (Turkish)",
    "shift_jis": "Shift JIS",
    "gb18030": "GB 18030",
    "big5": "Big5",
    "euc_kr": "EUC-KR",
}
MARKED = "\ud800"
"""Stands for what is no character of UTF-16 or UTF-32."""
_MARKING = "headrace.importing.marked"
codecs.register_error(_MARKING, lambda error: (MARKED, getattr(error, "end", 0)))

_CELL_ENDS = ',;\t|"\r\n'
# One damaged line in so many is the line's fault, not the encoding's.
_FEW = 100


@dataclass(frozen=True, slots=True)
class Encoding:
    """name: Python's; mark: bytes of a byte order mark; how: by what it was found, for people"""

    name: str
    mark: int
    how: str

    @property
    def errors(self) -> str:
        """Python's name of how a damaged byte is read: as half of a surrogate pair, which no other text holds."""
        return _MARKING if self.name.startswith(("utf-16", "utf-32")) else "surrogateescape"


@dataclass(slots=True)
class _Scan:
    """lines: all; bad: that are not in the encoding; good: that are, and need it; high: bytes above ASCII"""

    lines: int = 0
    bad: int = 0
    good: int = 0
    first: bytes = b""
    first_line: int = 0
    high: set[int] = field(default_factory=set)


def find(path: Path, given: str, wanted: tuple[str, ...], seen: Callable[[float], None]) -> Encoding:
    """Of a file, looked at from beginning to end. Raises EventError that says what was found and what to do.

    given: by an option; wanted: names of columns that it has
    """
    opened = Opened(path)
    head = _whole(opened, HEAD_BYTES)
    opened.close()
    marked = next(((name, len(mark)) for mark, name in _MARKS if head.startswith(mark)), None)
    if given:
        return _given(path, given, marked, seen)
    if marked and marked[0] != "utf-8":
        return _checked(path, Encoding(marked[0], marked[1], f"{marked[0].upper()}, by its byte order mark"), seen)
    if not marked and (name := _by_zeros(head)):
        how = f"{name.upper()}, by its zero bytes, without a byte order mark"
        return _checked(path, Encoding(name, 0, how), seen)
    mark = marked[1] if marked else 0
    scan = _scanned(path, "utf-8", seen)
    if scan.bad == 0:
        return Encoding("utf-8", mark, "UTF-8, by its byte order mark" if mark else "UTF-8")
    named = scan.first_line == 1 and not all(map(str.isascii, wanted))
    if mark or (not named and (scan.bad * _FEW <= scan.lines or scan.bad <= scan.good)):
        return Encoding("utf-8", mark, f"UTF-8, but for {scan.bad} damaged lines, the first of them {scan.first_line}")
    confirmed = _confirmed(head, wanted, scan.high)
    if confirmed:
        name, column = confirmed
        how = f"{_OTHERS[name]}, for only so it has the column {column!r}; --encoding says another"
        return Encoding(name, 0, how)
    raise EventError(_refusal(path, scan))


def shown(name: str) -> str:
    """An encoding as people call it."""
    return _OTHERS.get(name, name.upper())


def _given(path: Path, given: str, marked: tuple[str, int] | None, seen: Callable[[float], None]) -> Encoding:
    try:
        name = codecs.lookup(given).name
        "".encode(name)
    except (LookupError, ValueError):
        raise EventError(
            f"--encoding {given}: there is no such encoding; as in utf-8, utf-16, windows-1252, iso-8859-1, shift_jis"
        ) from None
    if marked and name.removesuffix("-sig") not in (marked[0], marked[0][:6]):
        raise EventError(
            f"--encoding {given}: {path} begins with the byte order mark of {marked[0].upper()}; leave the option out"
        )
    if marked:
        name = marked[0]
    elif name in ("utf-16", "utf-32"):
        name += "-le"
    found = Encoding(name.removesuffix("-sig"), marked[1] if marked else 0, f"{shown(given)}, as --encoding says")
    return _checked(path, found, seen)


def _checked(path: Path, found: Encoding, seen: Callable[[float], None]) -> Encoding:
    """The same, where the whole file is in it but for a few lines."""
    if found.errors == "surrogateescape":
        scan = _scanned(path, found.name, seen)
        if scan.bad * _FEW > scan.lines and scan.bad > scan.good:
            raise EventError(
                f"{path} is not {shown(found.name)}: line {scan.first_line} has bytes that it does not know, "
                f"{_excerpt(scan.first, found.name)!r}"
            )
        return found
    opened, decoder = Opened(path), codecs.getincrementaldecoder(found.name)(found.errors)
    lines = bad = 0
    try:
        opened.read(found.mark)
        # The end may be torn within a character, where a file still grows.
        while chunk := opened.read(CHUNK):
            text = decoder.decode(chunk)
            lines += max(text.count("\n"), text.count("\r"))
            bad += sum(MARKED in line for line in text.splitlines()) if MARKED in text else 0
            seen(opened.done())
    finally:
        opened.close()
    if bad * _FEW > lines:
        raise EventError(f"{path} is not {shown(found.name)}: {bad} lines of {lines} are not; --encoding says another")
    return found


def _scanned(path: Path, name: str, seen: Callable[[float], None]) -> _Scan:
    scan, opened = _Scan(), Opened(path)
    try:
        for block in _blocks(opened):
            _add(scan, block, name)
            seen(opened.done())
    finally:
        opened.close()
    return scan


def _blocks(opened: Opened) -> Iterator[bytes]:
    """The file in pieces that end with a line, or where no character is cut."""
    rest = b""
    while chunk := opened.read(CHUNK):
        block = rest + chunk
        end = max(block.rfind(b"\n"), block.rfind(b"\r")) + 1
        if not end:
            end = len(block)
            while end > max(0, len(block) - 4) and block[end - 1] & 0xC0 == 0x80:
                end -= 1
            if end and block[end - 1] >= 0xC0:
                end -= 1
        rest = block[end:]
        yield block[:end]
    if rest:
        yield rest


def _add(scan: _Scan, block: bytes, name: str) -> None:
    if block.isascii():
        scan.lines += max(block.count(b"\n"), block.count(b"\r"))
        return
    for line in block.splitlines():
        scan.lines += 1
        if line.isascii():
            continue
        try:
            line.decode(name)
            scan.good += 1
        except UnicodeDecodeError as error:
            if "unexpected end" in error.reason and block.endswith(line):
                # The file ends within a character, while it grows.
                continue
            scan.bad += 1
            scan.high |= {byte for byte in line if byte >= 0x80}
            if not scan.first_line:
                scan.first_line, scan.first = scan.lines, line[max(0, error.start - 20) : error.start + 20]


def _by_zeros(head: bytes) -> str:
    """UTF-16 or UTF-32 without a mark: text that is mostly ASCII has its zero bytes in the same places."""
    head = head[: len(head) // 4 * 4][:4096]
    if len(head) < 8 or b"\x00" not in head:
        return ""
    zeros = [head[place::4].count(0) / (len(head) // 4) for place in range(4)]
    shapes = {
        "utf-32-le": (0, 1, 1, 1),
        "utf-32-be": (1, 1, 1, 0),
        "utf-16-le": (0, 1, 0, 1),
        "utf-16-be": (1, 0, 1, 0),
    }
    for name, shape in shapes.items():
        if all((zero > 0.7) if full else (zero < 0.1) for zero, full in zip(zeros, shape, strict=True)):
            return name
    return _by_line_ends(head)


def _by_line_ends(head: bytes) -> str:
    """UTF-16 without a mark in a script that is not Latin: read so, its line ends are line ends."""
    for name in ("utf-16-le", "utf-16-be"):
        text = head.decode(name, "replace")
        odd = sum(one == "\ufffd" or not (one.isprintable() or one.isspace()) for one in text)
        ends = max(text.count("\n"), text.count("\r"))
        if ends and odd * 100 <= len(text) and ends * 2 > max(head.count(b"\n"), head.count(b"\r")):
            return name
    return ""


def _confirmed(head: bytes, wanted: tuple[str, ...], high: set[int]) -> tuple[str, str] | None:
    """The one reading in which the file has the columns that the caller named, with one of these columns."""
    named = [name for name in wanted if not name.isascii()]
    if not named:
        return None
    readings: dict[str, str] = {}
    for name in _OTHERS:
        text = unicodedata.normalize("NFC", head.decode(name, "replace")).casefold()
        if all(unicodedata.normalize("NFC", column).casefold() in text for column in named):
            readings.setdefault(bytes(sorted(high)).decode(name, "replace"), name)
    # Where two encodings have the columns and differ in the rest, a person has to say which.
    return (next(iter(readings.values())), named[0]) if len(readings) == 1 else None


def _refusal(path: Path, scan: _Scan) -> str:
    readings: dict[str, list[str]] = {}
    for name in _OTHERS:
        text = _excerpt(scan.first, name)
        if all(one.isascii() or one.isalpha() or one in "€„“”‚‘’–—…«»°§£" for one in text):
            readings.setdefault(text, []).append(name)
    ways = [
        f"{text!r} as {' or '.join(f'{shown(name)}, --encoding {name}' for name in names[:2])}"
        for text, names in readings.items()
    ]
    said = f"reads {'; '.join(ways[:6])}: take the right one" if ways else f"has {scan.first[:40]!r}: say --encoding"
    return (
        f"{path} is not UTF-8, and nothing is sent: {scan.bad} lines of {scan.lines} have other bytes. Line"
        f" {scan.first_line} {said}"
    )


def _excerpt(line: bytes, name: str) -> str:
    """The cell, or what is near, that has the first bytes that are not ASCII."""
    text = line.decode(name, "replace")
    at = next((place for place, one in enumerate(text) if not one.isascii()), 0)
    begin = max(text.rfind(mark, 0, at) for mark in _CELL_ENDS) + 1
    end = min((place for mark in _CELL_ENDS if (place := text.find(mark, at)) > 0), default=len(text))
    return printable(" ".join(text[begin:end].split()))


def _whole(opened: Opened, size: int) -> bytes:
    found = b""
    while len(found) < size and (chunk := opened.read(size - len(found))):
        found += chunk
    return found
