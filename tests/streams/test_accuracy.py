"""Rolling accuracy and draws on a real ClickHouse: what people volunteer, weights, late labels."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from router_story import START, Story

from headrace.contract.control import Promotion, Served, Step
from headrace.contract.events import Feedback, Inference, new_feedback, new_inference
from headrace.contract.topics import FEEDBACK, INFERENCES, LABELS
from headrace.plan import Plan
from headrace.warehouse import clickhouse_time
from streams.accuracy import Accuracy
from streams.clocks import Clocks
from streams.detectors.detector import View
from streams.detectors.shiryaev_roberts import ShiryaevRoberts
from streams.monitor import Monitor
from streams.window_counts import WindowCounts, alike

EXPERTS = ("hr", "it", "finance")


class Company:
    """Answers with a truth, of which some is told; every third answer is finance's, every second a second tenant's."""

    def __init__(self, story: Story, seed: int = 1) -> None:
        self.story = story
        self.random = random.Random(seed)
        self.truth: dict[Any, str] = {}

    def answer(
        self, n: int, error_rate: float = 0.1, audited: float = 0.2, every_s: float = 1.0, **fields: Any
    ) -> list[Inference]:
        """n answers, one every `every_s`; their truth is known to `tell` alone."""
        made = []
        for number in range(n):
            self.story.now += timedelta(seconds=every_s)
            label = EXPERTS[number % 3]
            score = 0.5 if self.random.random() < 0.2 else 0.95
            one = new_inference(
                "router", label=label, scores={label: score}, occurred_at=self.story.now, input="how do I?",
                tenant=("default", "north")[number % 2], audited=self.random.random() < audited,
                audit_probability=audited, latency_ms=20.0, **({"version": "router@0"} | fields),
            )  # fmt: skip
            wrong = self.random.random() < error_rate
            self.truth[one.inference_id] = EXPERTS[(number + 1) % 3] if wrong else label
            made.append(one)
        self.story.put(INFERENCES, made)
        return made

    def tell(self, answers: Iterable[Inference], source: str = "audit", inclusion: float = 0.0) -> list[Feedback]:
        """The truth of these answers, by `source`."""
        told = [self.said(one, source, "label", label=self.truth[one.inference_id], inclusion_probability=inclusion)
                for one in answers]  # fmt: skip
        self.story.put(LABELS, told)
        return told

    def said(self, one: Inference, source: str, signal: str, **fields: Any) -> Feedback:
        at = one.occurred_at + timedelta(seconds=2)
        return new_feedback(
            one.inference_id, source, signal, task="router", tenant=one.tenant, occurred_at=at, rater=source, **fields
        )

    def right(self, answers: Iterable[Inference]) -> float:
        answers = list(answers)
        return sum(self.truth[one.inference_id] == one.label for one in answers) / len(answers)


@pytest.fixture
def company(story: Story) -> Company:
    return Company(story)


def rows(story: Story, view: str = "accuracy_latest") -> dict[tuple[str, str], dict[str, Any]]:
    return {(row["by"], row["name"]): row for row in story.sink.rows(f"SELECT * FROM {view}")}


def with_reviews(plan: Plan, reviews: float) -> Plan:
    router = plan.tasks["router"]
    audit = router.audit.model_copy(update={"reviews_per_day": reviews})
    return plan.model_copy(update={"tasks": {"router": router.model_copy(update={"audit": audit})}})


def uniform_draws(story: Story, answers: Iterable[Inference], probability: float) -> None:
    drawn = [
        {
            "task": "router", "tenant": one.tenant, "inference_id": str(one.inference_id), "purpose": "uniform",
            "drawn_at": clickhouse_time(story.now), "inclusion_probability": probability,
        }
        for one in answers
    ]  # fmt: skip
    story.sink.insert("audit_draws", [json.dumps(row).encode() for row in drawn])


def test_accuracy_by_group_is_estimated_for_all_answers(story: Story, plan: Plan, company: Company) -> None:
    """Each version, arm, expert and tenant has its figure; what it counts adds up to all answers that users saw."""
    seen = company.answer(600, 0.2)
    canary = company.answer(300, 0.05, version="router@1", arm="canary")
    company.answer(100, 1.0, version="router@1", arm="shadow")
    company.tell([one for one in seen + canary if one.audited])
    Monitor(story.sink, plan).look("router")
    found = rows(story)
    assert found["all", "*"]["answers"] == 900
    for group in ("version", "arm", "expert", "tenant"):
        assert sum(row["answers"] for (by, _), row in found.items() if by == group) == 900
    for name, answers in (("router@0", seen), ("router@1", canary)):
        row = found["version", name]
        assert row["low"] < company.right(answers) < row["high"] and row["high"] - row["low"] < 0.25
        assert row["labelled"] == row["audit_labelled"] == sum(one.audited for one in answers)
    assert found["arm", "canary"]["value"] == found["version", "router@1"]["value"]
    assert found["version", "router@0"]["audit_value"] < found["version", "router@1"]["audit_value"]


def test_thumbs_sharpen_the_figure_and_do_not_bias_it(story: Story, plan: Plan, company: Company) -> None:
    """Where only the wronged speak, the thumbs say 0, and the estimate knows the truth more closely."""
    seen = company.answer(1500, 0.2)
    company.tell([one for one in seen if one.audited])
    wronged = [one for one in seen if company.truth[one.inference_id] != one.label]
    story.put(FEEDBACK, [company.said(one, "user", "thumb", value=-1) for one in wronged[:250]])
    Monitor(story.sink, plan).look("router")
    row = rows(story)["all", "*"]
    assert (row["thumbs_up"], row["thumbs_down"]) == (0, 250)
    assert row["low"] < company.right(seen) < row["high"]
    assert row["high"] - row["low"] < 0.6 * (row["audit_high"] - row["audit_low"])
    assert abs(row["value"] - company.right(seen)) < 0.02


def test_outcomes_are_counted_and_the_audit_speaks_for_the_rest(story: Story, plan: Plan, company: Company) -> None:
    """Outcomes that come for wrong answers alone leave the estimate of all where the truth is."""
    seen = company.answer(1000, 0.2)
    company.tell([one for one in seen if one.audited])
    wrong = [one for one in seen if company.truth[one.inference_id] != one.label]
    company.tell(wrong[:100], "outcome")
    Monitor(story.sink, plan).look("router")
    row = rows(story)["all", "*"]
    assert (row["known"], row["known_errors"]) == (100, 100)
    assert row["low"] < company.right(seen) < row["high"]
    assert row["audit_labelled"] == sum(one.audited for one in seen)


def test_a_late_label_corrects_what_was_known_then(story: Story, plan: Plan, company: Company) -> None:
    """The figure of a closed span stays as it was known, beside it stands what its labels say since."""
    monitor = Monitor(story.sink, plan)
    seen = company.answer(300, 0.3, audited=1.0)
    company.tell(seen[:150])
    company.answer(10, 0.0, every_s=200)
    monitor.look("router")
    before = rows(story, "accuracy_corrected")["all", "*"]
    assert before["labelled"] == 150 and before["closed"]
    company.tell(seen[150:])
    monitor.look("router")
    sql = "SELECT * FROM {} WHERE by = 'all' AND watermark = '{:%Y-%m-%d %H:%M:%S}'"
    then = story.sink.rows(sql.format("accuracy_then", before["watermark"]))
    now = story.sink.rows(sql.format("accuracy_corrected", before["watermark"]))
    assert then == [before] and now[0]["labelled"] == 300 and now[0]["known_at"] > before["known_at"]
    assert story.sink.rows("SELECT count() AS n FROM accuracy_by WHERE closed")[0]["n"] == len(
        story.sink.rows("SELECT DISTINCT watermark, by, name, labelled FROM accuracy_by WHERE closed")
    )


def test_a_label_of_long_ago_leaves_the_current_span_alone(story: Story, plan: Plan, company: Company) -> None:
    """Its own span is corrected, and the figure of now, which it changes nothing about, is not written again."""
    old = company.answer(100, 0.1, audited=1.0)
    story.now += timedelta(days=3)
    company.tell(company.answer(100, 0.1, audited=1.0))
    Monitor(story.sink, plan).look("router")
    watermark = story.sink.rows("SELECT max(watermark) AS at FROM accuracy")[0]["at"]
    starts = story.sink.rows("SELECT DISTINCT window_from AS at FROM windows WHERE window_from > '2026-03-04 00:00:00'")
    successor = Accuracy(story.sink, plan.tasks["router"].windows)
    successor.record({"router": [row["at"] for row in starts]}, {"router": watermark}, story.now)
    company.tell(old)
    WindowCounts(story.sink, plan.tasks).watermark("router")
    written = "SELECT count() AS n FROM accuracy"
    before = story.sink.rows(written)
    successor.record({"router": [START.replace(minute=0)]}, {"router": watermark}, story.now)
    assert story.sink.rows(written) == before != [{"n": 0}]
    corrected = (
        "SELECT max(labelled) AS n FROM accuracy_corrected WHERE by = 'all' AND watermark < '2026-03-04 00:00:00'"
    )
    assert story.sink.rows(corrected) == [{"n": 100}]


def test_a_successor_counts_only_what_changed(story: Story, plan: Plan, company: Company) -> None:
    """A monitor that starts anew goes on from the windows that are counted; a label for an old one still arrives."""
    old = company.answer(100, 0.1, audited=1.0)
    Monitor(story.sink, plan).look("router")
    story.now += timedelta(days=3)
    company.answer(100, 0.1)
    Monitor(story.sink, plan).look("router")
    company.tell(old)
    Monitor(story.sink, plan).look("router")
    sql = "SELECT sum(labelled) AS n FROM windows FINAL WHERE window_from = '2026-03-02 08:00:00'"
    assert story.sink.rows(sql)[0]["n"] == 100


def test_windows_say_how_long_and_how_much(story: Story, plan: Plan, company: Company) -> None:
    """A window has the 99th percentiles, the tokens, and the answers that the plan calls out of scope."""
    router = plan.tasks["router"].model_copy(update={"out_of_scope": "finance"})
    company.answer(99, first_token_ms=5.0, tokens_in=100, tokens_out=3)
    company.answer(3, first_token_ms=500.0, tokens_in=100, tokens_out=3)
    Monitor(story.sink, plan.model_copy(update={"tasks": {"router": router}})).look("router")
    row = story.sink.rows("SELECT * FROM windows FINAL")[0]
    assert (row["requests"], row["tokens_in"], row["tokens_out"], row["out_of_scope"]) == (102, 10_200, 306, 34)
    assert row["first_token_p50_ms"] == 5 and row["first_token_p99_ms"] > 400 and row["latency_p99_ms"] == 20


@pytest.fixture
def read_trigger(story: Story, plan: Plan) -> Callable[[], tuple[int, float]]:
    """How many labels the hard trigger rests on, and its statistic."""
    live = Served(version="router@0", artifact="a", errors=100, labelled=1000)
    promotion = Promotion(task="router", generation=1, step=Step.STEADY, live=live, since=START, at=START)

    def read() -> tuple[int, float]:
        found = ShiryaevRoberts().read(View(story.sink, "router", plan.tasks["router"], promotion, story.now))
        return found.n, found.statistic

    return read


def test_reviews_are_drawn_by_a_secret(story: Story, plan: Plan, company: Company) -> None:
    """Whoever emits cannot choose ids that are drawn: another secret draws others of the same answers."""
    company.answer(600, 0.15, audited=0.0)
    company.answer(1201, 0.0, audited=0.0)
    drawn = []
    for secret in (b"one", b"another"):
        Monitor(story.sink, with_reviews(plan, 100 * 144), audit_secret=secret).look("router")
        drawn.append({row["inference_id"] for row in story.sink.rows("SELECT inference_id FROM audit_draws FINAL")})
        for table in ("audit_draws", "cursors"):
            story.sink.command(f"TRUNCATE TABLE {table} SYNC")
    assert all(60 < len(found) < 140 for found in drawn)
    assert len(drawn[0] & drawn[1]) < 60


def test_targeted_draws_enter_the_estimate_and_never_the_trigger(
    story: Story, plan: Plan, company: Company, read_trigger: Callable[[], tuple[int, float]]
) -> None:
    """Reviews of the doubtful answers: queued blind, in the accuracy by their weights, unseen by the hard trigger."""
    past, seen = company.answer(599, 0.15), company.answer(600, 0.15)
    for window in (past, seen):
        wronged = [one for one in window if company.truth[one.inference_id] != one.label][:60]
        story.put(FEEDBACK, [company.said(one, "user", "thumb", value=-1) for one in wronged])
        company.tell([one for one in window if one.audited])
    later = company.answer(4, 0.0, every_s=200, audited=0.0)
    before = read_trigger()
    monitor = Monitor(story.sink, with_reviews(plan, 100 * 144))
    monitor.look("router")
    drawn = story.sink.rows("SELECT * FROM audit_draws FINAL")
    chosen = {one.inference_id: one for one in seen}
    fresh = [chosen[row["inference_id"]] for row in drawn if not chosen[row["inference_id"]].audited]
    assert 60 < len(fresh) < 140 and {row["purpose"] for row in drawn} == {"targeted"}
    chances = {row["stratum"]: row["inclusion_probability"] for row in drawn}
    assert chances["complained/high"] > chances["silent/high"] > 0.2
    queue = story.sink.rows("SELECT * FROM review_queue WHERE kind = 'audit'")
    assert {row["inference_id"] for row in queue} == {one.inference_id for one in fresh}
    assert {row["label"] for row in queue} == {""} and min(row["inclusion_probability"] for row in queue) > 0.2
    # A successor draws nothing twice.
    Monitor(story.sink, with_reviews(plan, 100 * 144)).look("router")
    assert story.sink.rows("SELECT count() AS n FROM audit_draws FINAL")[0]["n"] == len(drawn)
    company.tell(fresh)
    monitor.look("router")
    row = rows(story)["all", "*"]
    assert row["labelled"] == row["audit_labelled"] + len(fresh)
    assert row["low"] < company.right([*past, *seen, *later]) < row["high"]
    assert row["high"] - row["low"] < row["audit_high"] - row["audit_low"]
    assert read_trigger() == before


def test_labelled_uniform_draws_are_as_good_as_the_base_audit(
    story: Story, plan: Plan, company: Company, read_trigger: Callable[[], tuple[int, float]]
) -> None:
    """A uniform draw that is labelled enters the audit and the hard trigger, before and after the audit is copied."""
    seen = company.answer(400, 0.1)
    company.tell([one for one in seen if one.audited])
    audited = sum(one.audited for one in seen)
    assert read_trigger()[0] == audited
    monitor = Monitor(story.sink, plan)
    monitor.look("router")
    draw = random.Random(3)
    extra = [one for one in seen if not one.audited and draw.random() < 0.5]
    uniform_draws(story, extra, 1 - 0.8 * 0.5)
    assert read_trigger()[0] == audited
    company.tell(extra[:100])
    assert read_trigger()[0] == audited + 100
    Monitor(story.sink, plan).look("router")
    assert read_trigger()[0] == audited + 100
    row = rows(story)["all", "*"]
    assert (row["audit_labelled"], row["labelled"]) == (audited + 100, audited + 100)
    assert row["low"] < company.right(seen) < row["high"]


def test_the_copied_audit_is_the_audit(story: Story, plan: Plan, company: Company) -> None:
    """Labels before their answers, revised ones, and copies made twice leave one true row an answer."""
    story.copies = False
    plain = "SELECT inference_id, answered, label, error FROM {} ORDER BY toUInt128(inference_id)"
    monitor = Monitor(story.sink, plan)
    seen = company.answer(50, 0.3, audited=1.0)
    told = company.tell(seen[:40])
    monitor.look("router")
    settled = story.sink.rows("SELECT count() AS n FROM audit_labels FINAL")[0]["n"]
    assert settled == 40
    other = next(label for label in plan.tasks["router"].labels if label != told[0].label)
    revised = told[0].model_copy(update={"revision": 1, "label": other})
    story.put(LABELS, [revised])
    early = new_inference("router", "router@0", label="hr", occurred_at=story.now, audited=True, audit_probability=1.0)
    company.truth[early.inference_id] = "it"
    company.tell([early])
    story.put(INFERENCES, [early])
    company.tell(seen[40:])
    expected = {one.inference_id: company.truth[one.inference_id] for one in [*seen, early]} | {
        seen[0].inference_id: other
    }
    before = story.sink.rows(plain.format("audit_current"))
    assert {row["inference_id"]: row["label"] for row in before} == expected
    assert len(before) == 51
    monitor.look("router")
    assert (
        story.sink.rows(plain.format("audit_labels FINAL")) == before == story.sink.rows(plain.format("audit_current"))
    )


def test_a_clock_that_is_ahead_moves_no_watermark(company: Company, plan: Plan) -> None:
    """An answer of the future is counted in its window and says nothing of what is complete."""
    company.answer(100)
    counts = alike(company.story.sink, plan.tasks, Clocks(), plan.privacy)["router"]
    before = counts.watermark("router")
    company.story.put(
        INFERENCES, [new_inference("router", "router@0", occurred_at=datetime.now(UTC) + timedelta(days=1))]
    )
    assert counts.watermark("router") == before is not None
    company.answer(10)
    after = counts.watermark("router")
    assert before is not None and after is not None and before < after < before + timedelta(minutes=1)
    assert alike(company.story.sink, plan.tasks, Clocks(), plan.privacy)["router"].watermark("router") == after
