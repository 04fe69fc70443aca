"""ClickHouse's errors as the HTTP protocol carries them: a code in a header, a status, one line of text."""

from __future__ import annotations

import re

_CODE = re.compile(r"Code: (\d+)\. ")

# src/Server/HTTP/exceptionCodeToHTTPStatus.cpp, and 392 and 497, which are refusals; every other code is a 500.
_STATUS = {
    401: (194,),
    403: (192, 193, 392, 497, 512, 516),
    400: (6, 7, 9, 25, 26, 27, 36, 38, 41, 53, 62, 69, 72, 117, 130, 167, 168, 223, 321, 376, 427, 441, 467, 675, 676),
    404: (46, 47, 50, 56, 59, 60, 63, 73, 78, 81, 115, 139, 336),
    408: (159,),
    411: (381,),
    413: (307,),
    501: (48,),
    503: (76, 202, 209, 439),
}
# A function written in Python has failed. There is one, see `engine`; the engine's text shows where the program lies.
_PYTHON_FUNCTION = 800
_STATUS_OF = {code: status for status, codes in _STATUS.items() for code in codes}


class Refused(Exception):
    """A request that ends in a ClickHouse error.

    text: the whole line that the client reads, without the server's version
    """

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text

    @property
    def status(self) -> int:
        return _STATUS_OF.get(self.code, 500)


def refuse(code: int, name: str, why: str) -> Refused:
    """An error of the front, worded as the engine words its own."""
    return Refused(code, f"Code: {code}. DB::Exception: {why}. ({name})")


def from_engine(error: Exception) -> Refused:
    """The engine's error; its text starts at `Code:`, behind chdb's own prefixes."""
    text = str(error)
    found = _CODE.search(text)
    if found is None:
        return refuse(1002, "UNKNOWN_EXCEPTION", text or type(error).__name__)
    if int(found.group(1)) == _PYTHON_FUNCTION:
        return refuse(392, "QUERY_IS_PROHIBITED", "The function file is off in the embedded ClickHouse")
    return Refused(int(found.group(1)), text[found.start() :].strip())
