"""The simulated company's questions: seeded, unique, of known truth."""

from __future__ import annotations

import time
from collections import Counter, defaultdict

import pytest
from slowness import slowness

from simulation.grammar import ERAS, EXPERTS, HORIZON, LABELS, Question, World
from simulation.grammar.tables import tables
from simulation.grammar.template import parse, render
from simulation.grammar.world import MIXES

MANY = 6_000


@pytest.fixture(scope="module")
def world() -> World:
    """One company, its questions made as tests ask for them."""
    return World(7)


def normal(text: str) -> str:
    return " ".join("".join(sign if sign.isalnum() else " " for sign in text.casefold()).split())


def test_a_template_chooses_a_branch_and_fills_its_slots() -> None:
    """Brackets choose, braces fill, both nest, and blanks left by an empty branch disappear."""
    import random

    rng = random.Random(1)
    template = parse("can I (take|have) (a day (off|free)|) in {month} ?")
    seen = {render(template, rng, {"month": ("May", "June")}) for _ in range(400)}
    assert len(seen) == 2 * 3 * 2
    assert "can I take a day off in May?" in seen
    assert "can I have in June?" in seen


@pytest.mark.parametrize("wrong", ["(a|b", "a)", "a|b", "in {month"])
def test_a_broken_template_is_named(wrong: str) -> None:
    """A bracket that is open or left over is an error that quotes the template."""
    with pytest.raises(ValueError, match="template"):
        parse(wrong)


def test_the_same_seed_asks_the_same_questions_in_any_order(world: World) -> None:
    """Question i of an era depends on the seed, the era and i alone."""
    other = World(7)
    late = other.question(2, 500)
    assert other.questions(1, 300, 200) == world.questions(1, 300, 200)
    assert late == world.question(2, 500)
    assert [q.index for q in world.questions(2, 300, 200)] == list(range(200, 500))
    assert World(8).questions(1, 50) != world.questions(1, 50)


def test_no_question_is_asked_twice_in_a_world(world: World) -> None:
    """No text of either era repeats another one, case, marks and blanks aside, so no test question was trained on."""
    asked = [normal(q.text) for era in ERAS for q in world.questions(era, MANY)]
    assert len(set(asked)) == 2 * MANY


@pytest.mark.parametrize("era", ERAS)
def test_labels_have_their_shares(world: World, era: int) -> None:
    """Each label's share is the mix's, within two points; access to other experts' systems goes to IT."""
    counts = Counter(q.label for q in world.questions(era, MANY))
    for label, share in zip(LABELS, MIXES[era].labels, strict=True):
        assert counts[label] / MANY == pytest.approx(share, abs=0.02)


def test_every_label_has_twenty_intents_of_several_wordings() -> None:
    """At least 20 intents a label, each with at least four templates, and no intent's name is used twice."""
    intents = tables().intents
    assert len({intent.name for intent in intents}) == len(intents)
    for label in LABELS:
        mine = [intent for intent in intents if intent.label == label and intent.era == 1]
        assert len(mine) >= 20
        assert all(len(intent.say) >= 4 for intent in mine)
        assert any(intent.label == label and intent.era == 2 for intent in intents)


def test_the_new_world_brings_names_that_nobody_has_heard(world: World) -> None:
    """25 to 40 systems are new in era 2, each of one owner, and no question of era 1 mentions one."""
    names = {system.name.lower(): system.label for system in world.systems(2)}
    assert 25 <= len(names) == len(world.systems(2)) <= 40
    assert Counter(names.values()).keys() == set(EXPERTS)
    assert names.keys().isdisjoint(system.name.lower() for system in world.systems(1))
    old_words = {word for q in world.questions(1, MANY) for word in normal(q.text).split()}
    assert names.keys().isdisjoint(old_words)
    new = sum(_is_new(world, q) for q in world.questions(2, MANY))
    assert 0.30 <= new / MANY <= 0.50


def test_a_system_has_one_owner_whom_getting_in_does_not_change(world: World) -> None:
    """Questions on what is done in a system go to its owner, in both eras; those on access to it to IT."""
    owners = {f"system:{s.name}": s.label for era in ERAS for s in world.systems(era)}
    asked: dict[str, set[str]] = defaultdict(set)
    for era in ERAS:
        for question in world.questions(era, MANY):
            if question.intent in owners:
                asked[question.intent].add(question.label)
    for intent, labels in asked.items():
        allowed = {owners[intent]} if owners[intent] == "product" else {owners[intent], "it"}
        assert labels <= allowed


def test_a_name_is_always_legible(world: World) -> None:
    """A typo never falls on the one word that tells the expert."""
    for question in world.questions(1, MANY):
        if question.intent.startswith("system:"):
            assert question.intent.removeprefix("system:").lower() in question.text.lower()


def test_the_truth_of_a_text_is_found(world: World) -> None:
    """A question is found by its text, whatever its case and blanks; a stranger's is not."""
    for question in (world.question(1, 0), world.question(2, 2_500)):
        assert world.find(question.text) == question
        assert world.find(f"  {question.text.upper()} ") == question
    assert World(7).find("how deep is the Baltic Sea at Gotland?") is None


def test_a_whole_world_is_made_in_seconds() -> None:
    """All questions that can be looked up are made in under ten seconds of processor time."""
    started = time.process_time()
    fresh = World(11)
    for era in ERAS:
        fresh.questions(era, HORIZON)
    assert time.process_time() - started < 10 * slowness()


def _is_new(world: World, question: Question) -> bool:
    new = {f"system:{s.name}" for s in world.systems(2)} | {i.name for label in LABELS for i in world.intents(label, 2)}
    return question.intent in new
