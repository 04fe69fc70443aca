"""Kafka as the parts see it, and the same in memory for tests.

`protocol` says what a bus must do; `kafka` and `memory` do it.
"""

from headrace.bus.protocol import Consumer, Message, Producer

__all__ = ["Consumer", "Message", "Producer"]
