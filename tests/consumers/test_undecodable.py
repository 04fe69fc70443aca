"""What becomes of a control record that cannot be decoded."""

from __future__ import annotations

from base64 import b64decode

from consumers.ownership import decoded
from headrace.bus.protocol import Message
from headrace.contract.control import DeadLetter, Trigger
from headrace.contract.excerpt import Excerpt
from headrace.contract.topics import TRIGGERS


def test_a_record_of_any_size_fits_its_letter() -> None:
    """A small one is kept in its letter; of one that only compression made small the letter keeps an excerpt."""
    small, large = b"no trigger", b"[" + b"x" * 30_000_000
    letter = decoded(Message(TRIGGERS.name, 0, 7, None, small), Trigger)
    assert isinstance(letter, DeadLetter) and b64decode(letter.original) == small
    letter = decoded(Message(TRIGGERS.name, 0, 8, None, large), Trigger)
    assert isinstance(letter, DeadLetter) and letter.excerpt == Excerpt.of(large)
    assert len(letter.to_json()) < 10_000
