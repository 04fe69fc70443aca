"""How large the body of a request may be."""

from __future__ import annotations

from dataclasses import dataclass

from serving.http.capacity import MIB


@dataclass(frozen=True, slots=True)
class Sizes:
    """What one body may have, in bytes: as sent, and without its encoding."""

    sent: int
    unpacked: int


EVENTS = Sizes(4 * MIB, 8 * MIB)
EXPORTS = Sizes(64 * MIB, 64 * MIB)
"""Of OpenTelemetry: an exporter packs thousands of spans with all their texts, and does not split what is refused."""
CALLS = Sizes(32 * MIB, 32 * MIB)
"""Of OpenAI's API: conversations with images in them."""
