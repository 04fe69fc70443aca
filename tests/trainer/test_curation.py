"""From events in the real ClickHouse to rows that train, choose and test."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from curation_rules import LABELS, adds_up, by_id, curated_history, many, rules
from trainer_history import START, TASK, History

from headrace.plan import Curation, Privacy
from headrace.warehouse import Warehouse
from trainer.curate import sources
from trainer.curate.dataset import DataSet
from trainer.curate.funnel import left_out, shortfall
from trainer.curate.rows import AnswerRow
from trainer.curate.selection import curate
from trainer.curate.text import normal


def test_only_blind_audit_labels_of_the_window_test(empty: Warehouse) -> None:
    """A test row is a base-audit label from the test window; reviews, corrections and thumbs never are."""
    history = History()
    older = many(history, 60)
    test_from = history.now
    newer = [history.audited(f"newer question {n} on subject {n * 31}", "it", "it") for n in range(200)]
    for n in range(40):
        history.say(history.ask(f"corrected {n} {n * 17}", "it"), "user", "correction", label="hr")
        history.say(history.ask(f"reviewed {n} {n * 19}", "it"), "reviewer", "verdict", label="hr", blame="routing")
        history.say(history.ask(f"liked {n} {n * 23}", "it"), "user", "thumb", value=1)
    curated = curated_history(history, empty, test_from=test_from)
    places = by_id(curated)
    assert {row.source for row in curated.split("test")} == {"audit"}
    assert {row.inference_id for row in curated.split("test")} <= set(newer)
    assert {row.inference_id for row in curated.split("forget")} <= set(older)
    assert 0.65 < sum(places[answer][0] == "test" for answer in newer) / len(newer) < 0.85
    assert Counter(row.source for row in curated.rows if row.rank < 4) == {"user": 80}
    assert all(row.rank >= 2 for row in curated.split("validation"))
    assert adds_up(curated)


def test_an_audit_label_tests_even_after_a_review(empty: Warehouse) -> None:
    """A reviewer who speaks later does not take an answer out of the blind test, where it would bias the sample."""
    history = History()
    answers = many(history, 40)
    for answer in answers:
        history.say(answer, "reviewer", "verdict", label="finance", blame="routing", rater="expert-2")
    curated = curated_history(history, empty)
    test = curated.split("test")
    assert len(test) > 20
    assert {row.label for row in test} == set(LABELS)
    assert {row.label for row in curated.split("train") + curated.split("validation")} == {"finance"}


def test_the_split_is_stable(empty: Warehouse) -> None:
    """New labels change no older answer's side of the test split, and the same answers give the same digest."""
    history = History()
    many(history, 100)
    first = curated_history(history, empty)
    again = curate(list(reversed(sources.answers(empty, TASK))), rules())
    assert DataSet.of(first).digest == DataSet.of(again).digest
    for n in range(100):
        history.audited(f"a later question {n} {n * 101}", "it", "it")
    later = by_id(curated_history(history, empty))
    held_out = {"test", "forget"}
    for answer, (split, _) in by_id(first).items():
        assert (later[answer][0] in held_out) == (split in held_out)


def test_no_training_text_is_a_test_text(empty: Warehouse) -> None:
    """A question asked again, in other spelling, does not train when it tests; the row is counted as leakage."""
    history = History()
    for n in range(60):
        text = f"where is {n * 7919} the form"
        history.audited(text, "hr", "hr")
        history.say(history.ask(f"Where  is {n * 7919} the FORM?!", "hr"), "user", "thumb", value=1)
    curated = curated_history(history, empty)
    test = {normal(row.text) for row in curated.split("test")}
    train = {normal(row.text) for row in curated.split("train") + curated.split("validation")}
    assert test and train and not test & train
    assert curated.exclusions["leakage"] == len(curated.split("test"))
    assert curated.exclusions["exact_duplicate"] == 60 - len(curated.split("test"))
    assert adds_up(curated)


def test_each_exclusion_is_a_named_count(empty: Warehouse) -> None:
    """Consent, age, unknown labels, empty texts, conflicts and duplicates are each counted under their own name."""
    history = History()
    history.say(history.ask("an ancient question about leave", "hr"), "user", "correction", label="it")
    history.pass_time(days=400)
    history.say(history.ask("do not use this one", "hr", consent=False), "user", "correction", label="it")
    history.say(history.ask("sent to nobody we know", "hr"), "user", "correction", label="legal")
    history.say(history.ask(" ?! ", "hr"), "user", "correction", label="it")
    cut = {"truncated": {"input": {"characters": 70_000}}}
    history.say(history.ask("a text whose middle is missing", "hr", extra=cut), "user", "correction", label="it")
    cut = {"truncated": {"output": {"characters": 2}}}
    history.say(history.ask("answered at length and liked", "hr", extra=cut), "user", "thumb", value=1)
    history.say(history.ask("answered at length and corrected", "hr", extra=cut), "user", "correction", label="it")
    history.say(history.ask("this one two users see differently", "hr"), "user", "correction", label="it")
    history.say(history.ask("This one two users see differently", "hr"), "user", "correction", label="finance")
    history.say(history.ask("the same again", "hr"), "user", "correction", label="it")
    history.say(history.ask("the same again", "hr"), "user", "correction", label="it")
    history.say(
        history.ask("please reset the password of my work account before the meeting today a", "hr"),
        "user", "correction", label="it",
    )  # fmt: skip
    history.say(
        history.ask("please reset the password of my work account before the meeting today b", "hr"),
        "user", "correction", label="it",
    )  # fmt: skip
    history.say(history.ask("nobody knows", "hr"), "user", "thumb", value=-1)
    blamed = history.ask("liked and yet blamed", "hr")
    history.say(blamed, "user", "thumb", value=1)
    history.say(blamed, "judge", "verdict", blame="routing", label="it", rater="judge")
    history.ask("nobody said a word", "hr")
    curated = curated_history(
        history,
        empty,
        now=history.now,
        privacy=Privacy(retention_days=100),
        curation={"validation_share": 0.1},
    )
    assert curated.exclusions == {
        "no_consent": 1,
        "too_old": 1,
        "unknown_label": 1,
        "empty_text": 1,
        "truncated_text": 3,
        "conflicting_labels": 2,
        "exact_duplicate": 1,
        "near_duplicate": 1,
        "unlabelled": 1,
        "blamed": 1,
    }
    assert len(curated.rows) == 2
    assert adds_up(curated)


def test_a_better_rank_settles_a_conflict(empty: Warehouse) -> None:
    """Where an expert and users disagree on one text, the expert's row stays and the others are counted."""
    history = History()
    history.say(history.ask("who pays for the hotel", "hr"), "user", "correction", label="it")
    history.say(history.ask("who pays for the hotel", "hr"), "reviewer", "verdict", label="finance", blame="routing")
    history.say(history.ask("who pays for the hotel", "hr"), "user", "thumb", value=1)
    curated = curated_history(history, empty)
    assert [(row.label, row.source) for row in curated.rows] == [("finance", "reviewer")]
    assert curated.exclusions == {"conflicting_labels": 2}


@pytest.mark.parametrize(
    ("source", "signal", "fields"),
    [
        ("judge", "verdict", {"blame": "routing"}),
        ("implicit", "rephrase", {}),
        ("user", "rating", {"value": 1}),
        ("reviewer", "verdict", {"blame": "routing"}),
    ],
)
def test_a_thumb_trains_only_unopposed(empty: Warehouse, source: str, signal: str, fields: dict[str, Any]) -> None:
    """A satisfied user's answer trains, unless a judge, a reviewer or the user's own behaviour speaks against it."""
    history = History()
    fine = history.ask("how do I log in", "it")
    history.say(fine, "user", "thumb", value=1)
    doubted = history.ask("what about my salary", "it")
    history.say(doubted, "user", "thumb", value=1)
    history.say(doubted, source, signal, rater="x", **fields)
    curated = curated_history(history, empty)
    assert by_id(curated) == {fine: ("train", "it")}
    assert curated.exclusions == {"blamed": 1}
    assert curated_history(history, empty, curation={"thumbs": False}).rows == ()


def test_rows_an_upstream_did_not_answer_cannot_be_paired(empty: Warehouse) -> None:
    """Where the live version cannot be asked again, only test rows that it answered itself are used."""
    history = History()
    mine, others = (
        many(history, 40),
        [history.audited(f"answered by another {n} {n * 37}", "it", "it", version="router@9") for n in range(40)],
    )
    curated = curated_history(history, empty, live_loadable=False)
    held_out = {row.inference_id for row in curated.split("test")}
    assert held_out and held_out <= set(mine)
    assert 20 < curated.exclusions["unpaired"] < 40
    paired = curate(sources.answers(empty, TASK), rules())
    assert {row.inference_id for row in paired.split("test")} & set(others)
    assert adds_up(curated) and adds_up(paired)


def test_shadow_answers_are_nobodys(empty: Warehouse) -> None:
    """What a candidate said in the shadow of the live answer is no row."""
    history = History()
    history.audited("a question in the dark", "hr", "hr", arm="shadow")
    assert curated_history(history, empty).funnel["answers"] == 0


def test_forget_rows_are_bounded_and_never_train(empty: Warehouse) -> None:
    """Older test rows beyond the plan's number are counted, and do not become training rows instead."""
    history = History()
    many(history, 80)
    everything = curated_history(history, empty, test_from=history.now)
    bounded = curate(sources.answers(empty, TASK), rules(test_from=history.now, curation={"forget_rows": 10}))
    assert len(bounded.split("forget")) == 10
    assert bounded.exclusions["beyond_forget_rows"] == len(everything.split("forget")) - 10
    assert len(bounded.split("train")) == len(everything.split("train"))
    assert adds_up(bounded)


def test_the_newest_rows_train_and_the_past_is_rehearsed(empty: Warehouse) -> None:
    """Beyond max_train_rows half the rows are the newest, half a draw of the older; the others are counted."""
    history = History()
    liked = [history.ask(f"liked question {n} about {n * 41}", "hr") for n in range(70)]
    for answer in liked:
        history.say(answer, "user", "thumb", value=1)
    curated = curated_history(history, empty, curation={"max_train_rows": 50})
    trained = {row.inference_id for row in curated.split("train")}
    assert set(liked[45:]) <= trained
    assert len(trained & set(liked[:45])) == 25
    assert trained & set(liked[:20]), "a draw reaches back further than the newest would"
    assert curated.exclusions == {"beyond_max_train_rows": 20}


def test_settled_labels_of_the_present_train_first(empty: Warehouse) -> None:
    """Where not all rows may train, a settled label goes before a thumb, in the present and in the past."""
    history = History()
    settled, thumbs = [], []
    for n in range(160):
        answer = history.ask(f"settled or liked {n} about {n * 47}", "hr")
        if n % 2:
            history.say(answer, "user", "thumb", value=1)
            thumbs.append(answer)
        else:
            history.say(answer, "user", "correction", label="it")
            settled.append(answer)
    test_from = START + timedelta(seconds=200)
    curation = {"max_train_rows": 50, "validation_share": 0.01}
    curated = curated_history(history, empty, curation=curation, test_from=test_from)
    trained = {row.inference_id for row in curated.split("train")}
    new = {row.inference_id for row in curated.split("train") if row.occurred_at >= test_from}
    assert len(trained) == 50 and not trained & set(thumbs)
    assert len(new) >= 25 and len(trained - new) >= 5


def test_validation_is_bounded(empty: Warehouse) -> None:
    """Beyond max_validation_rows settled labels train instead."""
    history = History()
    for n in range(200):
        history.say(history.ask(f"bounded {n} about {n * 53}", "hr"), "user", "correction", label=("hr", "it")[n % 2])
    free = curated_history(history, empty)
    bounded = curated_history(history, empty, curation={"max_validation_rows": 30})
    assert (len(free.split("validation")), len(bounded.split("validation"))) == (80, 30)
    assert len(bounded.split("train")) == 170


def test_the_funnel_is_the_case_studys(empty: Warehouse) -> None:
    """Feedback parts into satisfied, unsatisfied and neutral; blamed by the judge; confirmed by an expert."""
    history = History()
    for n in range(10):
        answer = history.ask(f"funnel question {n} {n * 43}", "hr")
        history.say(answer, "user", "thumb", value=1 if n < 6 else -1)
        if n >= 7:
            history.say(answer, "judge", "verdict", blame="routing", label="it", rater="judge")
        if n >= 8:
            blame = "routing" if n == 9 else "no_error"
            history.say(answer, "reviewer", "verdict", blame=blame, label="it" if n == 9 else "hr", rater="expert")
    history.say(history.ask("just a remark", "hr"), "user", "comment", comment="hm")
    funnel = curated_history(history, empty).funnel
    expected = {
        "feedback": 11,
        "satisfied": 6,
        "unsatisfied": 4,
        "neutral": 1,
        "judge_routing": 3,
        "expert_confirmed": 1,
    }
    assert {name: funnel[name] for name in expected} == expected
    assert funnel["ground_truth"] == sum(funnel[name] for name in ("train", "validation", "test", "forget")) == 8


def test_validation_is_stratified(empty: Warehouse) -> None:
    """Each label gives the planned share of its settled rows to validation."""
    history = History()
    for n in range(90):
        label = LABELS[0] if n < 60 else LABELS[1]
        history.say(history.ask(f"stratified {n} {n * 47}", "hr"), "user", "correction", label=label)
    curated = curated_history(history, empty, curation={"validation_share": 0.4})
    assert Counter(row.label for row in curated.split("validation")) == {"hr": 24, "it": 12}


def test_a_shortfall_says_how_many_labels(empty: Warehouse) -> None:
    """The number of missing audit labels counts that some of them will train; enough is zero."""
    history = History()
    many(history, 200)
    curated = curated_history(history, empty)
    test, train = len(curated.split("test")), len(curated.split("train"))
    needs, why = shortfall(curated, Curation(min_test_rows=300, min_train_rows=10))
    assert needs == -(-(300 - test) // 0.75) and f"{test} blind test rows of the 300" in why
    needs, why = shortfall(curated, Curation(min_test_rows=30, min_train_rows=500))
    assert needs >= (500 - train) / 0.15 - 1 and f"{train} training rows of the 500" in why
    assert shortfall(curated, Curation(min_test_rows=30, min_train_rows=10)) == (0, "")


def test_what_would_be_left_out_is_not_waited_for_in_silence(empty: Warehouse) -> None:
    """Where nine of ten labels are left out, ten times as many are needed, and the reason names the exclusion."""
    history = History()
    many(history, 180, consent=False)
    for n in range(20):
        history.audited(f"a question with consent {n} about {n * 7001}", "hr", LABELS[n % 3])
    curated = curated_history(history, empty)
    test = len(curated.split("test"))
    needs, why = shortfall(curated, Curation(min_test_rows=100, min_train_rows=10))
    assert 5 * (100 - test) < needs < 15 * (100 - test)
    assert "no_consent leaves out 180 of 200 labelled answers (90%)" in why
    assert left_out(curated, Curation(max_left_out=0.95)) == []
    several = replace(curated, exclusions={"no_consent": 80, "too_old": 70, "text_changed": 5})
    assert [one.split()[0] for one in left_out(several, Curation())] == ["no_consent", "too_old", "text_changed"]
    assert left_out(several, Curation(max_left_out=0.9)) == []


def test_an_answer_has_every_column_of_the_query(empty: Warehouse) -> None:
    """The query's columns are the fields of AnswerRow, with their types."""
    history = History()
    history.audited("one question", "hr", "it")
    history.store(empty)
    (answer,) = sources.answers(empty, TASK)
    assert isinstance(answer, AnswerRow)
    assert answer.occurred_at == START + timedelta(seconds=1)
    assert (answer.audit_label, answer.settled_label, answer.settled_rank) == ("it", "it", 4)
    assert answer.consent is True and answer.volunteered is False
