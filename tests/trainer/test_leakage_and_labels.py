"""What trains is apart from what tests, and its labels are the task's, however they were written."""

from __future__ import annotations

from uuid import UUID

from curation_rules import LABELS, adds_up, by_id, curated_history, rules
from trainer_history import TASK, History

from headrace.warehouse import Warehouse
from trainer.curate import sources
from trainer.curate.funnel import left_out
from trainer.curate.selection import curate

WORDS = [
    "payroll",
    "vacation",
    "laptop",
    "printer",
    "invoice",
    "contract",
    "training",
    "travel",
    "parking",
    "badge",
    "pension",
    "meeting",
]


def question(n: int) -> str:
    """One of 144 questions of which no two are alike."""
    return (
        f"{WORDS[n % 12]} {n * 7919} for the {WORDS[n // 12]} people of floor {n * 104729}, who can help me out with it"
    )


def audited(history: History, count: int = 60, **fields: str) -> list[UUID]:
    """So many questions with blind labels."""
    return [history.audited(question(n), "hr", LABELS[n % 3], **fields) for n in range(count)]


def test_a_near_duplicate_of_a_test_text_does_not_train(empty: Warehouse) -> None:
    """A question asked again with a word more leaks, whatever its label; the test row stays."""
    history = History()
    audited(history)
    before = curated_history(history, empty)
    again = [history.ask(f"Hello, {question(n)}", "hr") for n in range(60)]
    for answer in again:
        history.say(answer, "user", "correction", label="finance")
    curated = curated_history(history, empty)
    assert curated.split("test") == before.split("test")
    held_out = {row.text for row in curated.split("test")}
    trained = {n for n, answer in enumerate(again) if answer in by_id(curated)}
    assert trained and not {question(n) for n in trained} & held_out
    assert curated.exclusions["leakage"] == len(held_out) and adds_up(curated)


def test_a_session_is_on_one_side_of_training_and_validation(empty: Warehouse) -> None:
    """What chooses a candidate was not seen in training by its conversation either."""
    history = History()
    for n in range(100):
        asked = history.ask(question(n), "hr", session_id=f"s{n // 5}")
        history.say(asked, "reviewer", "verdict", label=("it", "hr")[n % 2], blame="routing")
    curated = curated_history(history, empty)
    sides = [{row.cluster for row in curated.split(split)} for split in ("train", "validation")]
    assert sides[0] and sides[1] and not sides[0] & sides[1]
    assert 25 <= len(curated.split("validation")) <= 60


def test_a_session_of_a_test_row_does_not_train(empty: Warehouse) -> None:
    """What else was asked in a test row's conversation is left out of training; another tenant's session is not."""
    history = History()
    for n in range(60):
        history.audited(question(n), "hr", LABELS[n % 3], session_id=f"s{n}")
    later = [history.ask(f"and what about thing {n} of {n * 6007}", "hr", session_id=f"s{n}") for n in range(60)]
    others = [
        history.ask(f"my other matter {n} is {n * 3001}", "hr", session_id=f"s{n}", tenant="acme") for n in range(60)
    ]
    for answer in later:
        history.say(answer, "reviewer", "verdict", label="it", blame="routing")
    for answer in others:
        history.say(answer, "reviewer", "verdict", label="it", blame="routing", tenant="acme")
    curated = curated_history(history, empty)
    held_out = {row.cluster for row in curated.split("test")}
    assert {f"default s{n}" for n, answer in enumerate(later) if answer not in by_id(curated)} == held_out
    assert curated.exclusions["leakage_session"] == len(held_out) and adds_up(curated)
    assert set(others) <= by_id(curated).keys()


def test_labels_are_read_in_any_spelling(empty: Warehouse) -> None:
    """Case, outer blanks and the label's text in place of its id make no difference; others are named."""
    history = History()
    spelled = ["IT", " it ", "it", "Human Resources", "HUMAN resources", "human_resources", "Service Desk"]
    answers = [history.ask(question(n), "IT") for n in range(len(spelled))]
    for answer, label in zip(answers, spelled, strict=True):
        history.say(answer, "outcome", "resolution", value=1.0, label=label)
    history.say(history.ask(question(20), " It"), "user", "thumb", value=1)
    history.store(empty)
    task = rules(labels=("human_resources", "it"), texts=("Human Resources", "IT"))
    curated = curate(sources.answers(empty, TASK), task)
    assert sorted(row.label for row in curated.rows) == ["human_resources"] * 3 + ["it"] * 4
    assert {row.answered for row in curated.rows} == {"it"}
    assert curated.exclusions == {"unknown_label": 1}
    (unknown,) = curated.unknown
    assert unknown.casefold() == "service desk"


def test_unknown_labels_are_named_where_they_are_many(empty: Warehouse) -> None:
    """Where most labels are none of the plan's, the most frequent ones are said."""
    history = History()
    for n in range(40):
        label = "legal" if n < 20 else "hr" if n < 30 else "facilities"
        history.say(history.ask(question(n), "hr"), "user", "correction", label=label)
    curated = curated_history(history, empty)
    assert left_out(curated, rules().curation) == [
        "unknown_label leaves out 30 of 40 labelled answers (75%): 'legal' 20, 'facilities' 10"
    ]
