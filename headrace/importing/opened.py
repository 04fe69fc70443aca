"""A file's bytes, unpacked where it is compressed, and what kind of file its first bytes say it is."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zipfile
import zlib
from pathlib import Path
from typing import Any, BinaryIO, cast

from headrace.errors import EventError
from headrace.importing.headers import printable

HEAD_BYTES = 64 * 1024
PACKED = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd", b"BZh": "bzip2", b"\xfd7zXZ\x00": "xz"}
READ_ERRORS = (EOFError, OSError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, NotImplementedError, RuntimeError)
_BINARY = {
    b"PAR1": "parquet",
    b"PARE": "encrypted Parquet",
    b"ARROW1": "arrow",
    b"\xff\xff\xff\xff": "arrow stream",
    b"\xd0\xcf\x11\xe0": "old office",
    b"ORC": "ORC",
    b"Obj\x01": "Avro",
    b"SQLite format 3": "SQLite",
    b"%PDF": "PDF",
}


def kind_of(path: Path) -> str:
    """What the first bytes say: parquet, arrow, workbook, zip, an unreadable kind's name, or "" for text.

    Raises EventError where there is no such file, or nothing is in it.
    """
    if not path.is_file():
        raise EventError(f"there is no file {path}")
    try:
        with path.open("rb") as file:
            start = file.read(16)
    except OSError as error:
        raise EventError(f"{path} cannot be read: {error.strerror}") from None
    if not start:
        raise EventError(f"{path} is empty")
    if start.startswith(b"PK\x03\x04"):
        return _kind_of_zip(path)
    return next((kind for magic, kind in _BINARY.items() if start.startswith(magic)), "")


class Opened:
    """A file's bytes from its beginning, unpacked, and how far they were read."""

    def __init__(self, path: Path) -> None:
        """Raises EventError where what it is packed in cannot be opened."""
        self._path = path
        self._raw: BinaryIO = path.open("rb")
        self._size = max(1, path.stat().st_size)
        try:
            self.packed, self._stream = self._unpacked()
        except BaseException:
            self._raw.close()
            raise

    def read(self, size: int) -> bytes:
        """Up to so many bytes. Raises EventError where the file is damaged."""
        try:
            found: bytes = self._stream.read(size)
        except READ_ERRORS as error:
            why = "it ends early; it is damaged, or still being written"
            why = why if isinstance(error, EOFError) else printable(str(error))[:200]
            raise EventError(f"{self._path} cannot be read as {self.packed or 'a file'}: {why}") from None
        return found

    def text(self, encoding: str, mark: int, errors: str) -> io.TextIOWrapper:
        """As text after so many bytes of a byte order mark; line ends stay as they are."""
        if mark:
            self.read(mark)
        return io.TextIOWrapper(io.BufferedReader(_Raw(self), HEAD_BYTES), encoding, errors, newline="")

    def done(self) -> float:
        """The share of the file that was read, 0 to 1."""
        return 1.0 if self._raw.closed else min(1.0, self._raw.tell() / self._size)

    def close(self) -> None:
        """Close it."""
        self._raw.close()

    def _unpacked(self) -> tuple[str, Any]:
        start = self._raw.read(6)
        self._raw.seek(0)
        packed = next((name for magic, name in PACKED.items() if start.startswith(magic)), "")
        if packed == "gzip":
            return packed, gzip.GzipFile(fileobj=self._raw)
        if packed == "bzip2":
            return packed, bz2.BZ2File(self._raw)
        if packed == "xz":
            return packed, lzma.LZMAFile(self._raw)
        if packed == "zstd":
            return packed, _zstd(self._path, self._raw)
        if start.startswith(b"PK\x03\x04"):
            return "zip", _only_member(self._path, self._raw)
        return "", self._raw


class _Raw(io.RawIOBase):
    """Opened as io wants it."""

    def __init__(self, opened: Opened) -> None:
        super().__init__()
        self._opened = opened

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        found = self._opened.read(len(buffer))
        buffer[: len(found)] = found
        return len(found)

    def close(self) -> None:
        self._opened.close()
        super().close()


def _zstd(path: Path, raw: BinaryIO) -> Any:
    try:
        import pyarrow as pa
    except ImportError:
        raise EventError(f"{path}: zstd needs pyarrow; pip install 'headrace[import]'") from None
    return pa.CompressedInputStream(pa.PythonFile(cast(io.IOBase, raw), mode="r"), "zstd")


def _members(path: Path, raw: BinaryIO) -> tuple[zipfile.ZipFile, list[zipfile.ZipInfo]]:
    try:
        archive = zipfile.ZipFile(raw)
    except (*READ_ERRORS, ValueError) as error:
        raise EventError(
            f"{path} cannot be read as zip: {printable(str(error))[:200]}; it is damaged, or still being written"
        ) from None
    return archive, [one for one in archive.infolist() if not one.is_dir() and not _of_the_desktop(one.filename)]


def _of_the_desktop(name: str) -> bool:
    """Whether Finder or Windows added a file of its own."""
    last = name.rpartition("/")[2]
    return name.startswith("__MACOSX/") or last.startswith(("._", ".DS_Store")) or last in ("Thumbs.db", "desktop.ini")


def _only_member(path: Path, raw: BinaryIO) -> Any:
    archive, members = _members(path, raw)
    if len(members) != 1:
        names = printable(", ".join(one.filename[:80] for one in members[:5])) or "nothing"
        raise EventError(f"{path} holds {len(members)} files ({names}): unpack it and import each")
    if members[0].flag_bits & 1:
        raise EventError(f"{path} has a password: unpack it and import what is in it")
    try:
        return archive.open(members[0])
    except READ_ERRORS as error:
        raise EventError(f"{path} cannot be read as zip: {printable(str(error))[:200]}") from None


def _kind_of_zip(path: Path) -> str:
    with path.open("rb") as raw:
        names = {one.filename for one in _members(path, raw)[1]}
    if "[Content_Types].xml" in names or "xl/workbook.xml" in names:
        binary = any(name.endswith("workbook.bin") for name in names)
        return "binary workbook" if binary else "workbook"
    if "mimetype" in names and "content.xml" in names:
        return "OpenDocument"
    return ""
