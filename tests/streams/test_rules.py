"""What workers hold events to: no emitter chooses what is audited, names an arm, or speaks as somebody else."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from itertools import count
from typing import Any
from uuid import UUID

import pytest
from router_story import Story

from headrace.access.proofs import Proofs
from headrace.access.siphash import siphash
from headrace.contract import ids
from headrace.contract.control import DeadLetter
from headrace.contract.events import Arm, Event, Feedback, Inference, new_feedback, new_inference, pack
from headrace.contract.topics import FEEDBACK, INFERENCES, LABELS, Topic
from headrace.plan import Plan, Privacy
from streams.decode import Raw
from streams.housekeeping import Housekeeping
from streams.monitor import Monitor
from streams.resolver import Resolver
from streams.rules import Rules, Unproven
from streams.store import store
from streams.tables import table_of

OFFSETS = count(1000)
PROOFS = Proofs(b"the gateways'")
RULES = Rules(rates={"router": 0.3}, audit_secret=b"the workers'", proofs=PROOFS)


class Kafka:
    """Events that came by Kafka, stored as a worker stores them."""

    def __init__(self, story: Story, rules: Rules = RULES) -> None:
        self.sink, self.rules = story.sink, rules

    def bring(self, topic: Topic, *events: Event, packed: int = 100) -> list[DeadLetter]:
        letters: list[DeadLetter] = []
        for start in range(0, len(events), packed):
            raw = Raw(topic.name, 0, next(OFFSETS), pack(events[start : start + packed]))
            letters += store([raw], table_of(topic), self.sink, self.rules)
        return letters

    def drawn(self) -> dict[UUID, tuple[bool, float]]:
        """By answer: whether it is audited, and with what probability it was drawn."""
        rows = self.sink.rows("SELECT inference_id, audited, audit_probability AS p FROM inferences FINAL")
        return {row["inference_id"]: (row["audited"], round(row["p"], 6)) for row in rows}


def answers(n: int, **fields: Any) -> list[Inference]:
    return [new_inference("router", "router@0", label="hr", **fields) for _ in range(n)]


@pytest.fixture
def kafka(story: Story) -> Kafka:
    return Kafka(story)


def test_siphash_is_clickhouses(story: Story) -> None:
    """Of any id and key the two implementations make the same number."""
    for _ in range(20):
        one, key = ids.uuid7(), (ids.uuid7().int >> 64, ids.uuid7().int & (1 << 64) - 1)
        sql = f"SELECT sipHash64Keyed((toUInt64('{key[0]}'), toUInt64('{key[1]}')), toUInt128(toUUID('{one}'))) AS n"
        assert story.sink.rows(sql)[0]["n"] == siphash(key, one.int.to_bytes(16, "little"))


def test_workers_draw_the_audit_whatever_an_emitter_says(kafka: Kafka) -> None:
    """At the plan's rate and by the id alone: packed or one by one, odd or plain, audited or not as an emitter says."""
    told = answers(1500, audited=True, audit_probability=1e-6) + answers(1500)
    odd = [one.model_copy(update={"extra": {"a": 1, "b": {"c": None}}}) for one in answers(40)]
    for events, packed in ((told, 100), (odd, 1), (told[:50], 7)):
        assert kafka.bring(INFERENCES, *events, packed=packed) == []
    before = kafka.drawn()
    assert {probability for _, probability in before.values()} == {0.3}
    assert 0.27 < sum(audited for audited, _ in before.values()) / len(before) < 0.33
    halves = [[before[one.inference_id][0] for one in half] for half in (told[:1500], told[1500:])]
    assert abs(sum(halves[0]) - sum(halves[1])) < 150
    # A newer emitter's record goes event by event.
    for one in told[:60]:
        value = json.dumps([one.model_dump(mode="json", exclude_none=True) | {"mood": "good"}]).encode()
        raw = Raw(INFERENCES.name, 0, next(OFFSETS), value)
        assert store([raw], table_of(INFERENCES), kafka.sink, RULES) == []
    assert kafka.drawn() == before


def test_a_replay_after_a_change_of_the_rate(story: Story) -> None:
    """The row takes the draw of the new rate with its probability; what a lower rate drew a higher one draws, too."""
    events = answers(600)
    low, high = Kafka(story), Kafka(story, replace(RULES, rates={"router": 0.6}))
    low.bring(INFERENCES, *events)
    before = low.drawn()
    high.bring(INFERENCES, *events[:300])
    after = high.drawn()
    for number, one in enumerate(events):
        audited, probability = after[one.inference_id]
        assert probability == (0.6 if number < 300 else 0.3)
        assert audited >= before[one.inference_id][0]
        assert number < 300 or after[one.inference_id] == before[one.inference_id]
    low.bring(INFERENCES, *events[:300])
    assert low.drawn() == before


def test_another_secret_draws_others_and_changes_no_stored_draw(story: Story) -> None:
    """A new audit secret holds for what comes then; nothing that is stored is drawn again."""
    first, later = answers(300), answers(300)
    Kafka(story).bring(INFERENCES, *first)
    before = Kafka(story).drawn()
    Kafka(story, replace(RULES, audit_secret=b"a new one")).bring(INFERENCES, *later)
    after = Kafka(story).drawn()
    assert {one: after[one] for one in before} == before
    assert 50 < sum(after[one.inference_id][0] for one in later) < 130


def test_an_arm_counts_only_where_a_gateway_signed_it(story: Story) -> None:
    """Signed arms are stored, and no shadow is audited; any other is live, counted, and keeps what it said."""
    told: list[str] = []
    kafka = Kafka(story, replace(RULES, rates={"router": 1.0}, unproven=Unproven(told.append)))
    canary, shadow = answers(5, arm=Arm.CANARY), answers(5, arm=Arm.SHADOW, parent_id=ids.uuid7())
    signed = [PROOFS.sign(one) for one in canary + shadow]
    forged = [*answers(5, arm=Arm.CANARY), PROOFS.sign(answers(1)[0]).model_copy(update={"arm": Arm.CANARY})]
    forged.append(Proofs(b"another secret").sign(answers(1, arm=Arm.SHADOW)[0]))
    assert kafka.bring(INFERENCES, *signed, *forged, *answers(5)) == []
    rows = kafka.sink.rows(
        "SELECT inference_id, arm, signed, audited, extra FROM inferences FINAL ORDER BY toUInt128(inference_id)"
    )
    found = {row["inference_id"]: row for row in rows}
    assert [found[one.inference_id]["arm"] for one in signed] == ["canary"] * 5 + ["shadow"] * 5
    assert [found[one.inference_id]["audited"] for one in signed] == [True] * 5 + [False] * 5
    assert {(found[one.inference_id]["arm"], found[one.inference_id]["signed"]) for one in forged} == {("live", False)}
    assert [found[one.inference_id]["extra"] for one in forged[-2:]] == [
        '{"said_arm":"canary"}',
        '{"said_arm":"shadow"}',
    ]
    assert sum(row["signed"] for row in rows) == 10 and sorted(told) == ["missing"] * 5 + ["wrong"] * 2


def test_nobody_replaces_an_answer_of_the_gateways(kafka: Kafka) -> None:
    """An unsigned event under an id that a gateway made is refused by name; its neighbours are stored."""
    own = PROOFS.sign(new_inference("router", "router@0", inference_id=PROOFS.mint(), label="hr"))
    others = answers(3)
    assert kafka.bring(INFERENCES, own) == []
    forged = own.model_copy(update={"label": "it", "proof": None})
    copied = own.model_copy(update={"label": "finance", "version": "router@9"})
    letters = kafka.bring(INFERENCES, others[0], forged, others[1], copied, others[2])
    assert [letter.record_index for letter in letters] == [1, 3]
    assert all("is an answer of the gateway's" in letter.reason for letter in letters)
    rows = kafka.sink.rows("SELECT label, signed FROM inferences FINAL ORDER BY signed DESC")
    assert [tuple(row.values()) for row in rows] == [("hr", True)] + [("hr", False)] * 3


def test_feedback_belongs_on_its_own_topic(kafka: Kafka) -> None:
    """What users say and what experts say have a topic each; what stands on the other's is refused alone."""
    one = answers(1)[0]
    said = {source: new_feedback(one.inference_id, source, "label", label="it") for source in
            ("user", "implicit", "outcome", "judge", "reviewer", "audit")}  # fmt: skip
    letters = kafka.bring(FEEDBACK, *said.values())
    assert [letter.record_index for letter in letters] == [2, 3, 4, 5]
    assert letters[-1].reason == (
        "Feedback.source: audit does not speak on headrace.feedback, which takes user, implicit; it belongs on"
        " headrace.labels"
    )
    assert [letter.record_index for letter in kafka.bring(LABELS, *said.values())] == [0, 1]
    rows = kafka.sink.rows("SELECT source, ground_truth FROM feedback FINAL")
    assert {(row["source"], row["ground_truth"]) for row in rows} == {
        (source, source not in ("user", "implicit")) for source in said
    }
    kafka.rules = replace(kafka.rules, labels_below={0: next(OFFSETS) + 2})
    assert kafka.bring(FEEDBACK, said["audit"]) == []
    assert len(kafka.bring(FEEDBACK, said["audit"])) == 1


def test_a_field_said_twice_is_what_was_checked(kafka: Kafka) -> None:
    """Of a field that an event has twice the table holds what the rules saw, or the event is refused."""
    one = answers(1)[0]
    for first, last in (("audit", "user"), ("user", "audit")):
        said = new_feedback(one.inference_id, last, "label", label="it").to_json()
        value = b'[{"source":"%b",%b]' % (first.encode(), said[1:])
        store([Raw(FEEDBACK.name, 0, next(OFFSETS), value)], table_of(FEEDBACK), kafka.sink, RULES)
    for first, last in (("canary", "live"), ("live", "canary")):
        said = new_inference("router", "router@0", arm=last).to_json()
        value = b'[{"arm":"%b",%b]' % (first.encode(), said[1:])
        store([Raw(INFERENCES.name, 0, next(OFFSETS), value)], table_of(INFERENCES), kafka.sink, RULES)
    assert kafka.sink.rows("SELECT DISTINCT source FROM feedback") == [{"source": "user"}]
    assert kafka.sink.rows("SELECT arm, count() AS n FROM inferences GROUP BY arm") == [{"arm": "live", "n": 2}]


def test_a_users_word_under_a_labels_id_replaces_nothing(kafka: Kafka) -> None:
    """Both stay as they were said, resolved, parked and expired each on its own; the balance is exact."""
    asked, other = answers(1)[0], answers(1, session_id="theirs")[0]
    label = new_feedback(asked.inference_id, "audit", "label", label="it")
    forged = new_feedback(None, "user", "correction", feedback_id=label.feedback_id, label="hr", session_id="theirs",
                          occurred_at=label.occurred_at + timedelta(seconds=5))  # fmt: skip
    kafka.bring(INFERENCES, asked, other)
    kafka.bring(LABELS, label)
    assert kafka.bring(FEEDBACK, forged) == []
    assert Resolver(kafka.sink).step() == 1
    kafka.sink.command("OPTIMIZE TABLE feedback FINAL")
    rows = kafka.sink.rows("SELECT source, inference_id, label FROM feedback FINAL ORDER BY source")
    assert [tuple(row.values()) for row in rows] == [
        ("audit", asked.inference_id, "it"),
        ("user", other.inference_id, "hr"),
    ]
    done = Housekeeping(kafka.sink, Privacy(), "test").look()
    assert (done.duplicated, done.missing, done.parked) == (0, 0, 0)
    for query in ("cli/reconcile", "cli/reconcile_full"):
        (row,) = [row for row in kafka.sink.query(query) if row["kind"] == "feedback"]
        assert (row["stored"], row["parked"], row["duplicated"]) == (2, 0, 0)


def test_a_thousand_forged_events_move_no_audit_and_fire_nothing(story: Story, plan: Plan) -> None:
    """Whatever a key of the role ingest can put on Kafka: no figure from audits changes, and no trigger fires."""
    story.promote("router@1", artifact="a", errors=50, labelled=1000)
    shown = [
        PROOFS.sign(one.model_copy(update={"inference_id": PROOFS.marked(one.inference_id), "audited": False}))
        for one in story.answers(400, version="router@1")[0]
    ]
    kafka = Kafka(story, replace(RULES, rates={"router": 1.0}))
    assert kafka.bring(INFERENCES, *shown) == []
    truth = [_label(one, "audit", one.label) for one in shown]
    assert kafka.bring(LABELS, *truth) == []
    monitor = Monitor(story.sink, plan)
    assert monitor.look("router") is None
    before = _audit(story)
    assert before["labelled"] == 400

    letters = kafka.bring(FEEDBACK, *(_label(one, source, "finance") for one in shown[:50]
                                      for source in ("audit", "reviewer", "outcome", "judge")))  # fmt: skip
    assert len(letters) == 200
    letters = kafka.bring(FEEDBACK, *(_label(one, "audit", "finance", feedback_id=label.feedback_id, revision=9)
                                      for one, label in zip(shown[:100], truth, strict=False)))  # fmt: skip
    assert len(letters) == 100
    letters = kafka.bring(FEEDBACK, *(_label(one, "user", "finance", signal="correction", revision=revision,
                                             feedback_id=label.feedback_id)
                                      for one, label in zip(shown[:100], truth, strict=False)
                                      for revision in (0, 9)))  # fmt: skip
    assert letters == []
    again = [one.model_copy(update={"label": "finance", "version": "router@1", "proof": None}) for one in shown[:200]]
    assert len(kafka.bring(INFERENCES, *again)) == 200
    late = {"occurred_at": story.now, "audited": True, "audit_probability": 1e-6, "version": "router@1"}
    canary = [new_inference("router", label="finance", arm=Arm.CANARY, **late) for _ in range(150)]
    shadow = [new_inference("router", label="it", arm=Arm.SHADOW, parent_id=one.inference_id, **late)
              for one in shown[:150]]  # fmt: skip
    assert kafka.bring(INFERENCES, *canary, *shadow) == []

    assert Monitor(story.sink, plan).look("router") is None
    assert _audit(story) == before
    counted = story.sink.rows("SELECT countIf(arm != 'live') AS arms FROM inferences FINAL")
    assert counted == [{"arms": 0}]


def _label(one: Inference, source: str, label: str, signal: str = "label", **fields: Any) -> Feedback:
    return new_feedback(one.inference_id, source, signal, label=label, task="router", rater="expert",
                        occurred_at=one.occurred_at + timedelta(seconds=1), **fields)  # fmt: skip


def _audit(story: Story) -> dict[str, Any]:
    return story.sink.rows("SELECT count() AS labelled, countIf(error) AS errors FROM audit_current")[0]
