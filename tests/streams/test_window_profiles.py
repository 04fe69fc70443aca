"""Window profiles: what ClickHouse computes is what the benchmark's numpy computes, and late answers count."""

from __future__ import annotations

import random

import numpy as np
import pytest
from router_story import START, Story
from windows_story import REFERENCE, WINDOW, Answer, tell, view

from benchmarks.shifting.answers import Answers, Reference, columns, numbered
from benchmarks.shifting.questions import Questions
from headrace.contract.topics import INFERENCES
from headrace.plan import Plan
from streams.detectors import out_of_vocabulary, soft
from streams.profiles import Profile

LABELS = ("hr", "it", "finance")
WORDS = ("payslip", "laptop", "über", "vpn-token", "leave2day", "naïve", "Invoice", "and", "why")


def made(seed: int, n: int) -> list[Answer]:
    """Answers with scores of single precision, as the warehouse keeps them."""
    draw = random.Random(seed)
    answers = []
    for _ in range(n):
        weights = [draw.gammavariate(0.4, 1) for _ in LABELS]
        scores = {name: float(np.float32(w / sum(weights))) for name, w in zip(LABELS, weights, strict=True)}
        text = " ".join(draw.choices(WORDS, k=draw.randint(1, 6))) + f" {draw.choice('abcdefghijklmnop') * 3}?"
        answers.append(Answer(scores, text, label=max(scores, key=scores.__getitem__)))
    return answers


def twin(answers: list[Answer]) -> Answers:
    """The benchmark's columns of the same answers."""
    scores = np.array([[answer.scores[name] for name in LABELS] for answer in answers])
    texts = tuple(answer.text for answer in answers)
    questions = Questions(texts, np.zeros((len(answers), 384), dtype=np.float32), np.zeros(len(answers), dtype=int))
    return columns(LABELS, scores, np.ones(len(answers), dtype=bool), *numbered(texts), questions)


def test_the_benchmarks_profile_is_clickhouses(story: Story, plan: Plan) -> None:
    """Counts are equal, sums to nine digits: what `make bench-shift` measures is what production tests."""
    promotion = story.promote("router@1", artifact="a")
    windows = [made(seed, 80) for seed in range(REFERENCE + 1)]
    tell(story, windows)
    (pair,) = soft.pairs(view(story, plan.tasks["router"], promotion, REFERENCE + 1))
    answers = twin([answer for window in windows for answer in window])
    rows = np.arange(len(answers.label)).reshape(-1, 80)
    expected = Reference(answers, list(rows[:-1])).pair(rows[-1])
    assert pair.reference.windows == expected.reference.windows == REFERENCE
    assert pair.reference.label_squares == pytest.approx(expected.reference.label_squares)
    for found, other in ((pair.reference, expected.reference), (pair.window, expected.window)):
        assert (found.sessions, found.scored) == (other.sessions, other.scored)
        assert found.labels == other.labels and found.confidences == other.confidences
        for name in ("confidence_sum", "entropy_sum", "confidence_squares", "entropy_squares", "confidence_entropy"):
            assert getattr(found, name) == pytest.approx(getattr(other, name), rel=1e-9)


def test_the_benchmarks_new_words_are_clickhouses(story: Story, plan: Plan) -> None:
    """The same questions have an unknown word: letters only, in any case and script, of every second question."""
    promotion = story.promote("router@1", artifact="a")
    windows = [made(seed, 40) for seed in range(REFERENCE)] + [[Answer(text="why Zorquix?")] * 20 + made(99, 20)]
    tell(story, windows)
    reading = out_of_vocabulary.OutOfVocabulary().read(view(story, plan.tasks["router"], promotion, REFERENCE + 1))
    # the order of a window's questions is that of a hash of their session: ClickHouse says it
    order = "SELECT arraySort(n -> sipHash64(concat(toString({p:UInt8}), '/', toString(n))), range(40)) AS rows"
    rows = [np.array(story.sink.rows(order, p=place)[0]["rows"]) + 40 * place for place in range(len(windows))]
    answers = twin([Answer(dict.fromkeys(LABELS, 0.3), a.text) for window in windows for a in window])
    expected = Reference(answers, rows[:-1]).new_words(rows[-1])
    assert expected is not None and reading.n == 40
    (window,) = reading.inputs["windows"]
    assert (window["n"], window["m"], window["share"], window["expected"]) == (
        expected.n, expected.m, expected.statistic, expected.inputs["expected"],
    )  # fmt: skip
    assert window["share"] >= 0.5 and window["p_value"] == pytest.approx(expected.p_value)


def test_a_window_is_profiled_once_and_again_when_answers_come_late(story: Story, plan: Plan) -> None:
    """Looks at closed windows write nothing; an answer that comes after its window was profiled is counted."""
    promotion = story.promote("router@1", artifact="a")
    tell(story, [made(seed, 40) for seed in range(REFERENCE + 1)])
    seen = view(story, plan.tasks["router"], promotion, REFERENCE + 1)
    first = soft.pairs(seen)
    for _ in range(2):
        soft.pairs(seen)
    assert story.sink.rows("SELECT count() AS n FROM window_profiles")[0]["n"] == REFERENCE + 1
    story.now = START + REFERENCE * WINDOW
    story.tell(1, version="router@1")
    again = soft.pairs(view(story, plan.tasks["router"], promotion, REFERENCE + 1))
    assert again[0].window.sessions == first[0].window.sessions + 1
    assert again[0].reference == first[0].reference


def test_an_answer_is_profiled_as_its_last_revision_says(story: Story, plan: Plan) -> None:
    """Answers that a later export completed have its labels; one that it says another version gave is that one's."""
    promotion = story.promote("router@1", artifact="a")
    tell(story, [made(seed, 40) for seed in range(REFERENCE)])
    story.now = START + REFERENCE * WINDOW
    first, _ = story.answers(60, 0.0, version="router@1", mix={"it": 1.0})
    story.put(INFERENCES, first)
    soft.pairs(view(story, plan.tasks["router"], promotion, REFERENCE + 1))
    last = [{"label": "hr", "revision": 1, "version": "router@2" if n < 20 else "router@1"} for n in range(60)]
    story.put(INFERENCES, [event.model_copy(update=fields) for event, fields in zip(first, last, strict=True)])
    (pair,) = soft.pairs(view(story, plan.tasks["router"], promotion, REFERENCE + 1))
    assert (pair.window.sessions, pair.window.labels) == (40, {"hr": 40})


def test_answers_without_scores_are_counted_as_such(story: Story, plan: Plan) -> None:
    """An upstream gives none: its sessions count, its scored ones do not."""
    promotion = story.promote("router@1", artifact="a")
    tell(story, [[Answer()] * 40] * (REFERENCE + 1))
    (pair,) = soft.pairs(view(story, plan.tasks["router"], promotion, REFERENCE + 1))
    assert pair.window == Profile(sessions=40, labels={"hr": 40}, windows=1, label_squares={"hr": 40.0})
