"""An event that a run of offsets held is explained by that revision or a greater one of the same event, by no other."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass

import pytest
from aiokafka import ConsumerRecord
from router_story import Story

from headrace.contract import ids
from headrace.contract.control import DeadLetter
from headrace.contract.events import Event, new_feedback, pack
from headrace.contract.topics import FEEDBACK, INFERENCES, Topic
from headrace.settings import Settings
from streams.housekeeping_offsets import Offsets
from streams.housekeeping_runs import Reading, Run


@dataclass
class Proofs:
    """What the proof says of a record whose offset has no row."""

    story: Story

    def of(self, topic: Topic, event: Event) -> str:
        value = pack([event])
        record = ConsumerRecord(topic.name, 0, 99, 1_700_000_000_000, 0, None, value, None, 0, len(value), ())
        offsets = Offsets(Settings(), self.story.sink, "test")
        return offsets._judged(Run(topic.name, 0, "", 99, 99), Reading([record], 100, 1), ids.EPOCH).state


@pytest.fixture
def proofs(story: Story) -> Proofs:
    story.copies = False
    return Proofs(story)


def test_a_lost_correction_is_missing(proofs: Proofs) -> None:
    """What it corrects is stored and does not stand for it; a greater revision does."""
    ((answer,), _), story = proofs.story.answers(1), proofs.story
    thumb = new_feedback(answer.inference_id, "user", "thumb", value=-1, task="router", occurred_at=story.now)
    for topic, event in ((INFERENCES, answer), (FEEDBACK, thumb)):
        corrected, last = (event.model_copy(update={"revision": revision}) for revision in (1, 2))
        story.put(topic, [event])
        assert (proofs.of(topic, event), proofs.of(topic, corrected)) == ("explained", "missing")
        story.put(topic, [last])
        assert proofs.of(topic, corrected) == "explained"


def test_another_tenants_event_explains_nothing(proofs: Proofs) -> None:
    """Nor does an event of the other kind that bears the same id."""
    ((answer,), _), story = proofs.story.answers(1), proofs.story
    story.put(INFERENCES, [answer])
    assert proofs.of(INFERENCES, answer.model_copy(update={"tenant": "acme"})) == "missing"
    thumb = new_feedback(
        answer.inference_id, "user", "thumb", value=-1, occurred_at=story.now, feedback_id=answer.inference_id
    )
    assert proofs.of(FEEDBACK, thumb) == "missing"


def test_a_dead_letter_explains_its_own_revision(proofs: Proofs) -> None:
    """The letter of a correction that was refused is no word of another one."""
    ((answer,), _), story = proofs.story.answers(1), proofs.story
    refused, other = (answer.model_copy(update={"revision": revision}) for revision in (2, 1))
    letter = DeadLetter(
        topic=INFERENCES.name, partition=0, offset=7, record_index=0, at=story.now, reason="refused",
        original=_base64(refused), event_id=answer.inference_id,
    )  # fmt: skip
    story.sink.insert("dead_letters", [letter.to_json()])
    assert (proofs.of(INFERENCES, refused), proofs.of(INFERENCES, other)) == ("explained", "missing")


def _base64(event: Event) -> str:
    return b64encode(event.to_json()).decode()
