"""What producers put before and behind the JSON of a value, and what a value is that holds no JSON at all.

    before    a byte order mark; NULs; the frame of a schema registry: Confluent's (a zero byte and four of the schema's
              id), Apicurio's (a zero byte and eight), AWS Glue's (3, 0 and sixteen)
    behind    NULs, as programs in C leave them

Bytes that are UTF-16 or UTF-32 by their mark or their zeros are read as such.
"""

from __future__ import annotations

import json
import re

MARK = b"\xef\xbb\xbf"
PADDING = b" \t\r\n"

_BEGINNINGS = b'[{"'
_FRAMES = ((b"\x00", 5), (b"\x00", 9), (b"\x03\x00", 18))
"""How each begins, and how many bytes it has."""
_ENDS = {b"{": b"}", b"[": b"]", b'"': b'"'}
# Behind a brace is a name, in an array of events no array: the first of two brackets is the last byte of a schema's id.
_BEGINS = re.compile(rb'[ \t\r\n]*(?:\{[ \t\r\n]*["}]|\[[ \t\r\n]*[^\[\x00 \t\r\n]|"[ \t\r\n]*[\[{])')
_OTHERS = (
    (b"\x1f\x8b", "gzip"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"\x04\x22\x4d\x18", "lz4"),
    (b"\x82SNAPPY", "snappy"),
    (b"\x03\x05", "a compressed record of the AWS Glue registry"),
    (b"\xac\xed\x00\x05", "a serialized Java object"),
    (b"Obj\x01", "an Avro file"),
    (b"PK\x03\x04", "a zip file"),
)


def payload(value: bytes) -> bytes:
    """The JSON of a value, as UTF-8. Bytes that hold none are what they were, without a frame."""
    first = value[:1]
    if first and first in b"[{" and value[-1:] != b"\x00" and value[1:2] != b"\x00":
        return value
    if first in (b"\x00", b"\x03"):
        value = _behind_nuls(value) or value[_frame(value) :]
    if value[:2] in (b"\xff\xfe", b"\xfe\xff") or value[:1] == b"\x00" or value[1:2] == b"\x00":
        value = _as_utf8(value)
    return value.removeprefix(MARK).rstrip(b"\x00")


def _behind_nuls(value: bytes) -> bytes:
    """The JSON behind NULs, which are no frame and no half of a wide character; empty where that is not so."""
    found = value.lstrip(b"\x00").removeprefix(MARK).rstrip(b"\x00" + PADDING)
    if _BEGINS.match(found) is None:
        return b""
    return found if found.endswith(_ENDS[found.lstrip(PADDING)[:1]]) else b""


def not_json(value: bytes, error: ValueError) -> str:
    """Why a value is no JSON, which is what `error` says of its payload."""
    found = next((name for magic, name in _OTHERS if value.startswith(magic)), "")
    if found:
        return f"the value is not JSON: it is {found}; write the JSON as it is (a producer can compress its batches)"
    frame = _frame(value)
    if frame and value[frame : frame + 1] not in (b"", b"[", b"{", b'"', b"\xef"):
        number = int.from_bytes(value[1:5])
        return (
            f"the value is not JSON: behind a schema registry's frame (schema {number}) is Avro or Protobuf;"
            " use the registry's JSON serializer"
        )
    after = f" (after the {frame} bytes of a schema registry's frame)" if frame else ""
    return f"the value is not JSON{after}: {error if payload(value) else 'it is empty'}"


def _frame(value: bytes) -> int:
    """How many bytes stand before the JSON, or before what is none; 0 where no registry wrote them."""
    if value[:2] in (b"\x00{", b"\x00["):
        # UTF-16; a schema's id would be above two thousand million.
        return 0
    sizes = [size for magic, size in _FRAMES if value.startswith(magic) and len(value) > size]
    for size in sizes:
        begins = value[size : size + 64].removeprefix(MARK).lstrip(PADDING)[:1]
        if begins and begins in _BEGINNINGS:
            return size
    # UTF-16 and UTF-32 without a mark begin with zeros, too.
    if value[:1] == b"\x00" and sizes and not _is_wide(value):
        return sizes[0]
    return 0


def _is_wide(value: bytes) -> bool:
    """Whether the first character is a bracket in UTF-16 or UTF-32."""
    return value[:2] in (b"\x00{", b"\x00[", b"{\x00", b"[\x00") or value[:4] in (b"\x00\x00\x00{", b"\x00\x00\x00[")


def _as_utf8(value: bytes) -> bytes:
    if not _is_wide(value) and value[:2] not in (b"\xff\xfe", b"\xfe\xff") and value[:4] != b"\x00\x00\xfe\xff":
        return value
    try:
        # A lone surrogate is replaced where the event is read.
        return value.decode(json.detect_encoding(value), errors="surrogatepass").encode(errors="surrogatepass")
    except (UnicodeError, LookupError):
        return value
