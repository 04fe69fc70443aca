"""Events that arrive over HTTP: checked one by one, in the spool and in Kafka before they are acknowledged."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import SecretStr

from headrace.access.roles import Principal, Role
from headrace.contract.events import Feedback, Inference
from headrace.errors import EventError, HeadraceError
from serving.answering.gateway import Recorder
from serving.http.large_work import Turns
from serving.http.limits import Limits
from serving.http.metrics import Metrics
from serving.http.refusal import Refusal
from serving.intake.batches import Parsed, Wrong, feedback_of, parse
from serving.intake.page_feedback import page_feedback

T = TypeVar("T")

WAIT_S = 5.0
"""How long Kafka may take before the answer says that the events are in the spool."""
MAX_SHOWN = 1000
IN_THREAD_BYTES = 256 * 1024
"""Larger bodies are checked on a thread."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of a request's events.

    wrong: not taken; spooled: the others are on disk, and Kafka has not acknowledged them yet
    """

    inferences: int
    feedback: int
    wrong: Sequence[Wrong]
    spooled: bool

    def fields(self) -> dict[str, Any]:
        """The answer."""
        return {
            "inferences": self.inferences,
            "feedback": self.feedback,
            "refused": len(self.wrong),
            "rejected": [one.fields() for one in self.wrong[:MAX_SHOWN]],
            "spooled": self.spooled,
        }


class Intake:
    """Takes the events of one caller at a time; the good ones of a batch do not wait for the others.

    secret: what answer tokens are checked with
    """

    def __init__(self, recorder: Recorder, limits: Limits, metrics: Metrics, turns: Turns, secret: SecretStr) -> None:
        self._secret = secret
        self._recorder = recorder
        self._limits = limits
        self._metrics = metrics
        self._turns = turns

    async def events(self, body: bytes, principal: Principal, lines: bool = False) -> Taken:
        """Keep the events of a body. Raises Refusal, 400 with each event's fault where none can be taken."""
        return await self.take(await self._read(parse, body, principal, lines), principal)

    async def feedback(self, body: bytes, principal: Principal, token: str = "") -> tuple[Feedback, Taken]:
        """Keep one Feedback; of a web page with the `token` of its answer.

        Raises Refusal, and Forbidden where the principal may not say it.
        """
        if Role.PUBLISH in principal.roles:
            feedback = page_feedback(body, token, principal, self._secret)
        else:
            feedback = await self._read(feedback_of, body, principal)
        return feedback, await self.take(Parsed([feedback]), principal)

    async def take(self, parsed: Parsed, principal: Principal) -> Taken:
        """Keep what was parsed, in whatever form it came, of a caller that was admitted. Raises Refusal."""
        self._limits.charge(principal, len(parsed.events) + len(parsed.wrong))
        if parsed.wrong:
            self._metrics.rejected.inc(len(parsed.wrong))
            if not parsed.events:
                raise _refusal(parsed.wrong)
        stored = await self._keep(parsed)
        inferences = sum(event.id_field == Inference.id_field for event in parsed.events)
        self._metrics.events.labels("inferences").inc(inferences)
        self._metrics.events.labels("feedback").inc(len(parsed.events) - inferences)
        return Taken(inferences, len(parsed.events) - inferences, parsed.wrong, not stored)

    async def _read(self, work: Callable[..., T], body: bytes, principal: Principal, *options: object) -> T:
        if len(body) > IN_THREAD_BYTES:
            return await self._turns.run(principal, work, body, principal, *options)
        return work(body, principal, *options)

    async def _keep(self, parsed: Parsed) -> bool:
        """True: Kafka has them; False: the spool has. Raises Refusal where neither is known."""
        if not parsed.events:
            return True
        try:
            return await self._recorder.keep(parsed.events, WAIT_S, parsed.given)
        except EventError as error:
            raise Refusal(413, f"{error}; nothing was taken") from None
        except (HeadraceError, TimeoutError) as error:
            why = str(error) or f"Kafka did not acknowledge them within {WAIT_S:.0f} s"
            raise Refusal(503, f"the events are not known to be stored: {why}; send the same ones again") from None


def _refusal(wrong: Sequence[Wrong]) -> Refusal:
    """Where no event could be taken: each one's fault, and the first in the sentence."""
    first = wrong[0]
    status = first.status if len({one.status for one in wrong}) == 1 else 400
    return Refusal(
        status,
        f"{len(wrong)} refused; nothing was taken; the first is number {first.index}: {first.message}",
        param=f"{first.list}.{first.index}",
        events=[one.fields() for one in wrong[:MAX_SHOWN]],
    )
