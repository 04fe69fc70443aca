"""How a gateway proves that an answer is its own: an HMAC over what makes it count, which workers check.

Whoever can emit events can claim an arm or repeat an answer's id. What rollouts read of an answer counts only as far as
a gateway has signed it (HMAC-SHA256, RFC 2104, cut to 128 bits). The ids that a gateway makes bear a mark (SipHash),
so that an unsigned event under such an id can be told, and refused, without a look at what is stored.
"""

from __future__ import annotations

import hmac
from typing import Protocol
from uuid import UUID

from headrace.access.mac import Mac
from headrace.access.secrets import gateway_secret
from headrace.access.siphash import key_of, siphash
from headrace.contract import ids
from headrace.contract.events import Inference
from headrace.settings import Settings

BYTES = 16
MARK_BITS = 36
"""Of an id's 74 random bits; an id of another's making bears the mark by chance once in 7e10."""
_NAME = b"headrace answer 1\x00"


class SignedAnswer(Protocol):
    """An Inference, or one that headrace.contract.fast_reading has read."""

    @property
    def inference_id(self) -> UUID: ...
    @property
    def given_id(self) -> str | None: ...
    @property
    def tenant(self) -> str: ...
    @property
    def task(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def arm(self) -> str: ...
    @property
    def label(self) -> str: ...
    @property
    def revision(self) -> int: ...
    @property
    def parent_id(self) -> UUID | None: ...
    @property
    def proof(self) -> str | None: ...


class Proofs:
    """Signs answers and checks signatures with one secret."""

    def __init__(self, secret: bytes) -> None:
        self._mac = Mac(secret)
        self.mark_key = key_of("headrace id 1", secret)

    @classmethod
    def of(cls, settings: Settings) -> Proofs:
        """With the secret that gateways and workers share. Raises SettingsError."""
        return cls(gateway_secret(settings).get_secret_value().encode())

    def sign(self, answer: Inference) -> Inference:
        """The answer with its proof."""
        return answer.model_copy(update={"proof": self.proof(answer)})

    def proof(self, answer: SignedAnswer) -> str:
        """What the answer has to bear."""
        # headrace.contract.fast_reading leaves the tenant unset where the event does not say it.
        parts = [answer.tenant or "default", answer.task, answer.version, answer.arm, answer.label]
        # Under another given id it would be another answer.
        parts += [answer.given_id] if answer.given_id else []
        fixed = b"%d %b" % (answer.revision, answer.parent_id.bytes if answer.parent_id else b"")
        # Each part with its length: none can be taken for the beginning of the next.
        said = b"".join([b"%d:%b" % (len(part), part) for part in [fixed, *map(str.encode, parts)]])
        return self._mac.digest(_NAME + answer.inference_id.bytes + said)[:BYTES].hex()

    def hold(self, answer: SignedAnswer) -> bool:
        """Whether a gateway signed this answer as it is."""
        return answer.proof is not None and hmac.compare_digest(answer.proof.encode(), self.proof(answer).encode())

    def mint(self) -> UUID:
        """A new id, which bears the mark."""
        return self.marked(ids.uuid7())

    def marked(self, inference_id: UUID) -> UUID:
        """An id that bears the mark in place of some of the random bits of this one."""
        rest = inference_id.int >> MARK_BITS
        return UUID(int=rest << MARK_BITS | self._mark(rest))

    def minted(self, inference_id: UUID) -> bool:
        """Whether a gateway made this id; headrace/warehouse/inserts/inferences.sql asks the same."""
        return inference_id.int & (1 << MARK_BITS) - 1 == self._mark(inference_id.int >> MARK_BITS)

    def _mark(self, rest: int) -> int:
        return siphash(self.mark_key, rest.to_bytes(16, "little")) & (1 << MARK_BITS) - 1
