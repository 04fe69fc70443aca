"""How simulated employees react, and that the case study's funnel comes out of it."""

from __future__ import annotations

import random
from itertools import islice

import pytest

from headrace.contract.events import new_feedback
from headrace.contract.ids import uuid7
from simulation.company import Reaction, react, session_length, sessions
from simulation.grammar import LABELS, Question, World
from simulation.upstreams import judge, route

ANSWERS = 5_000
UNHAPPY = {"rephrase", "escalation", "abandon", "reroute", "correction"}

Reacted = tuple[Question, str, list[Reaction]]


def play(seed: int) -> list[Reacted]:
    """ANSWERS answers of the incumbent and what employees did about them, nothing included."""
    world = World(seed)
    rng = random.Random(seed)
    questions = world.questions(1, ANSWERS)
    answers = [route(world, q.text) for q in questions]
    return [(q, answered, react(q, answered, rng)) for q, answered in zip(questions, answers, strict=True)]


def unhappy(reactions: list[Reaction]) -> bool:
    return any(r.signal in UNHAPPY or (r.signal == "thumb" and r.value == -1) for r in reactions)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_funnel_is_near_the_case_study(seed: int) -> None:
    """5,000 answers that are 96 % right give 1,224 feedbacks, 729 satisfied, 140 blamed, 32 confirmed."""
    played = play(seed)
    world = World(seed)
    feedback = [(q, answered, r) for q, answered, r in played if r]
    complaints = [(q, answered) for q, answered, r in feedback if unhappy(r)]
    blamed = [(q, a) for q, a in complaints if judge(world, q.text, a)["blame"] == "routing"]
    assert len(feedback) == pytest.approx(1224, abs=100)
    assert len(feedback) - len(complaints) == pytest.approx(729, abs=80)
    assert len(complaints) == pytest.approx(495, abs=70)
    assert len(blamed) == pytest.approx(140, abs=40)
    assert sum(q.label != a for q, a in blamed) == pytest.approx(32, abs=18)


def test_thumbs_are_biased() -> None:
    """The share of satisfied feedback stands far below the true accuracy, as the displeased answer more often."""
    feedback = [(q, answered, r) for q, answered, r in play(1) if r]
    satisfied = sum(not unhappy(r) for _, _, r in feedback) / len(feedback)
    accuracy = sum(q.label == answered for q, answered, _ in feedback) / len(feedback)
    assert accuracy > 0.93
    assert satisfied < 0.68


def test_misrouted_employees_who_react_are_unhappy_and_some_say_where_it_belongs() -> None:
    """Of those sent to the wrong expert, at least 85 % of who reacts complain, and corrections are nearly all right."""
    rng = random.Random(5)
    corrected = right = complained = reacted = 0
    for question in World(5).questions(1, ANSWERS):
        wrong = next(label for label in LABELS if label != question.label)
        reactions = react(question, wrong, rng)
        reacted += bool(reactions)
        complained += unhappy(reactions)
        for reaction in reactions:
            if reaction.label:
                corrected += 1
                right += reaction.label == question.label
                assert reaction.label != wrong
    assert 0.21 < reacted / ANSWERS < 0.28
    assert complained / reacted > 0.85
    assert 0.15 < corrected / complained < 0.35
    assert right / corrected > 0.9


def test_every_reaction_is_a_feedback_event() -> None:
    """A reaction's fields make a valid Feedback, and it comes after its answer."""
    kinds = set()
    for _, _, reactions in play(1):
        for reaction in reactions:
            made = new_feedback(
                uuid7(),
                reaction.source,
                reaction.signal,
                value=reaction.value,
                label=reaction.label,
                comment=reaction.comment,
            )
            assert made.signal == reaction.signal
            assert reaction.delay_s > 0
            kinds.add(reaction.signal)
    assert kinds >= {"thumb", "rephrase", "escalation", "abandon", "correction"}


def test_reactions_are_a_function_of_the_answer_and_the_generator() -> None:
    """The same question, answer and generator give the same reactions."""
    question = World(1).question(1, 0)
    for seed in range(200):
        assert react(question, "hr", random.Random(seed)) == react(question, "hr", random.Random(seed))


def test_sessions_cover_the_questions_once_and_in_order() -> None:
    """Sessions hold one to three questions, none twice and none left out, under pseudonyms; a seed repeats them."""
    world = World(3)
    first = list(islice(sessions(world, 1), 300))
    asked = [q.index for session in first for q in session.questions]
    assert asked == list(range(len(asked)))
    assert {len(session.questions) for session in first} == {1, 2, 3}
    assert len({session.session_id for session in first}) == 300
    assert all(session.user_ref.startswith("u-") for session in first)
    assert list(islice(sessions(World(3), 1), 300)) == first


def test_most_sessions_hold_one_question() -> None:
    """One question in six of ten sessions, three in one of ten."""
    rng = random.Random(1)
    lengths = [session_length(rng) for _ in range(3_000)]
    assert lengths.count(1) / 3_000 == pytest.approx(0.6, abs=0.04)
    assert lengths.count(3) / 3_000 == pytest.approx(0.1, abs=0.03)
