"""HMAC-SHA256 under a prepared key is HMAC-SHA256."""

from __future__ import annotations

import hmac

from hypothesis import given
from hypothesis import strategies as st

from headrace.access.mac import Mac, mac_of


@given(st.binary(max_size=200), st.lists(st.binary(max_size=300), max_size=3))
def test_it_is_what_the_library_computes(key: bytes, texts: list[bytes]) -> None:
    """Keys shorter and longer than a block, one text after the other."""
    made = Mac(key)
    assert [made.digest(text) for text in texts] == [hmac.digest(key, text, "sha256") for text in texts]


def test_a_secret_is_prepared_once() -> None:
    """Texts beyond ASCII are UTF-8."""
    assert mac_of("schlüssel") is mac_of("schlüssel")
    assert mac_of("schlüssel").digest(b"x") == hmac.digest("schlüssel".encode(), b"x", "sha256")
