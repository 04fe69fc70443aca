"""SipHash-2-4 as its authors published it: the vectors of their reference implementation."""

from __future__ import annotations

import pytest

from headrace.access.siphash import siphash

KEY = int.from_bytes(bytes(range(8)), "little"), int.from_bytes(bytes(range(8, 16)), "little")


@pytest.mark.parametrize(
    ("length", "found"),
    [(0, 0x726FDB47DD0E0E31), (1, 0x74F839C593DC67FD), (8, 0x93F5F5799A932462), (15, 0xA129CA6149BE45E5)],
)
def test_published_vectors(length: int, found: int) -> None:
    """Bytes 0, 1, 2, … under the key 0 to 15."""
    assert siphash(KEY, bytes(range(length))) == found
