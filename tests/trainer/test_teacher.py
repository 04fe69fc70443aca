"""The incumbent's own answers train where the plan says so, and no answer that should not."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from curation_rules import LABELS, rules
from trainer_history import START, TASK, History, job_file, plan, questions

from headrace.contract import job_file as jobs
from headrace.contract.ids import uuid7
from headrace.models.tensors import Floats
from headrace.plan.teaching import TeacherLabels
from headrace.settings import Settings
from headrace.warehouse import Warehouse
from trainer.curate.cleaning import Reliability, contradicted, reliability
from trainer.curate.dataset import DataSet
from trainer.curate.rows import Curated, Row
from trainer.curate.sources import Teacher
from trainer.curate.teacher import WEIGHT, Told, quotas, selected
from trainer.curate.teaching import Teaching, told
from trainer.curate.text import digest, normal
from trainer.process.rows import answered, curated
from trainer.progress import on_stdout
from trainer.tune.fitting import epochs_of


def teacher(warehouse: Warehouse, history: History, **fields: Any) -> Teacher:
    """The incumbent of the histories here."""
    until = fields.get("until", history.now + timedelta(seconds=1))
    return Teacher(warehouse, TASK, "router@0", "", START, until)


def row(text: str, label: str, split: str, session: str = "") -> Row:
    """A row of a data set."""
    name = digest(normal(text))
    return Row(
        split, "default", uuid7(), uuid7(), START, text, name, label, "audit", 4, label, "router@0", 1.0,
        f"default {session}" if session else name,
    )  # fmt: skip


def answer(number: int, text: str = "", answered: str = "it", user: str = "", session: str = "") -> Told:
    """An answer of the teacher, drawn in the order of the numbers."""
    return Told(
        "default", UUID(int=number), START, text or f"{number * 7919} {number * 31}", answered, user, session, number
    )


def test_each_answer_that_may_not_train_is_counted(empty: Warehouse) -> None:
    """Without consent or a gateway's signature, cut, of another label, after a drift, or one that people judged."""
    history = History()
    for number in range(5):
        history.recorded(f"may train {number}", "it")
    history.recorded("  May train 4 ", "it")
    history.recorded("of another version", "it", version="router@1")
    history.recorded("shown to nobody", "it", arm="shadow", parent_id=uuid7())
    history.recorded("keep out", "it", consent=False)
    history.recorded("of somebody who was not asked", "it", extra={})
    history.recorded("a program says so", "it", signed=False)
    history.recorded("a long one", "it", extra={"consent": "explicit", "truncated": {"input": {"characters": 70_000}}})
    history.recorded(
        "answered at length", "it", extra={"consent": "explicit", "truncated": {"output": {"characters": 2}}}
    )
    history.recorded("no such label", "facilities")
    history.recorded("an expert is about to see it", "it", audited=True, audit_probability=0.05)
    for source, signal, said in (("user", "thumb", {"value": -1}), ("audit", "label", {"label": "hr"})):
        history.say(history.recorded(f"judged by {source}", "it"), source, signal, **said)
    drifted = history.now
    history.recorded("in another world", "it")
    history.store(empty)
    source = teacher(empty, history, until=drifted + timedelta(seconds=1))
    counted: Counter[str] = Counter()
    for reason, _, answers, _ in source.counts(LABELS):
        counted[reason] += answers
    assert counted == {
        "": 6, "no_consent": 1, "consent_not_explicit": 1, "unsigned": 1, "truncated": 2,
        "unknown_label": 1, "said_about": 2, "awaits_audit": 1,
        "after_drift": 1,
    }  # fmt: skip
    assert [texts for reason, label, _, texts in source.counts(LABELS) if not reason] == [5]
    drawn = source.drawn({"it": 1.0})
    assert {one.text.strip().lower() for one in drawn} == {f"may train {number}" for number in range(5)}
    assert len(drawn) == 5


def test_a_share_of_the_texts_is_drawn_and_the_same_one_again(empty: Warehouse) -> None:
    """A third of many texts, whatever else was asked since."""
    history = History()
    for number in range(600):
        history.recorded(f"question {number}", "it")
    history.store(empty)
    first = teacher(empty, history).drawn({"it": 1 / 3})
    assert 150 < len(first) < 250
    for number in range(600, 900):
        history.recorded(f"question {number}", "hr")
    history.store(empty)
    assert teacher(empty, history).drawn({"it": 1 / 3}) == first


def test_the_teacher_is_trusted_until_the_first_drift_that_it_met(empty: Warehouse, warehouse: Warehouse) -> None:
    """The earliest estimated start of a drift counts, and none from before its first answer."""
    warehouse.command("TRUNCATE TABLE triggers")
    history = History()
    history.recorded("first", "it")
    history.store(empty)
    assert teacher(empty, history).drifted() is None
    for kind, days in (("drift", -3), ("cheaper", 1), ("drift", 5), ("drift", 2)):
        trigger = {"trigger_id": str(uuid7()), "task": TASK, "kind": kind, "test_from": START + timedelta(days=days)}
        empty.insert("triggers", [jsonable(trigger | {"decided_at": START, "reason": "", "evidence": "{}"})])
    assert teacher(empty, history).drifted() == START + timedelta(days=2)
    for changed_at, until in ((None, 2), (START + timedelta(days=1), 1), (START + timedelta(days=4), 2)):
        found = Teaching.of(TeacherLabels(), "router@0", empty, rules(), changed_at, np.asarray, 1, on_stdout())
        assert found.teacher.until == START + timedelta(days=until)
    warehouse.command("TRUNCATE TABLE triggers")


def jsonable(fields: dict[str, Any]) -> bytes:
    """A row for the warehouse."""
    return json.dumps(fields, default=lambda moment: moment.isoformat()).encode()


def test_a_rare_label_gets_a_larger_share() -> None:
    """In proportion to the square root, at most what there is; nothing is asked for beyond the bound."""
    assert quotas({"hr": 10_000, "it": 100}, 1100) == {"hr": 1000, "it": 100}
    assert quotas({"hr": 10_000, "it": 2500}, 300) == {"hr": 200, "it": 100}
    assert quotas({"hr": 40, "it": 30}, 5000) == {"hr": 40, "it": 30}
    assert quotas({}, 5000) == {}
    assert sum(quotas({"hr": 500, "it": 5}, 0).values()) == 0


def test_no_teacher_row_repeats_another_row() -> None:
    """Not the same text, nor nearly, nor a session of a row that tests or chooses; train rows' sessions may."""
    asked = "how many days of parental leave do I get in the first year"
    rows = [
        row("my laptop does not start", "it", "test"),
        row(asked, "hr", "validation"),
        row("where is my invoice", "finance", "forget", session="s1"),
        row("who repairs my screen", "it", "train", session="s2"),
    ]
    given = [
        answer(1, "My laptop does NOT start!"),
        answer(2, asked + "?!"),
        answer(3, asked + " now"),
        answer(4, "what about my bonus", session="s1"),
        answer(5, "and the other screen", session="s2"),
        answer(6, "why is the printer slow today"),
        answer(7, "Why is the printer slow today?"),
        answer(8, "???"),
    ]
    kept, out = selected(given, rows, rules(curation={"max_share_per_user": 1}), "router@0", {"it": 100})
    assert [one.inference_id.int for one in kept] == [5, 6]
    assert out == {"teacher_duplicate": 4, "teacher_near_duplicate": 1, "teacher_leakage": 1}
    assert {(one.split, one.source, one.rank, one.weight) for one in kept} == {("train", "teacher", 0, WEIGHT)}


def test_one_user_teaches_a_bounded_share() -> None:
    """Of the rows that are left; a session stands for a user without a name, and who has neither is not bounded."""
    given = [answer(number, user="loud" if number < 60 else "") for number in range(1, 101)]
    bounded = rules(curation={"max_share_per_user": 0.2})
    kept, out = selected(given, [], bounded, "router@0", {"it": 1000})
    loud = sum(one.inference_id.int < 60 for one in kept)
    assert len(kept) - loud == 41 and loud == out["teacher_beyond_user_share"] * -1 + 59
    assert loud <= 0.2 * len(kept) < loud + 1


@pytest.mark.parametrize("users", [1, 10, 19, 25])
def test_few_users_teach_equal_shares(users: int) -> None:
    """Where a share of each would leave nothing, nobody has more than the others, and nothing of theirs is lost."""
    given = [answer(number, user=f"user-{number % users}") for number in range(1, 101)]
    kept, _ = selected(given, [], rules(), "router@0", {"it": 1000})
    assert len(kept) >= 100 - 100 % users


def test_no_more_rows_than_the_plan_says() -> None:
    """The first by the draw, of each label its own."""
    given = [answer(number, answered=("hr", "it")[number % 2]) for number in range(1, 41)]
    kept, out = selected(given, [], rules(), "router@0", {"hr": 3, "it": 5})
    assert Counter(one.label for one in kept) == {"hr": 3, "it": 5}
    assert max(one.inference_id.int for one in kept) < 11 and out == {"teacher_beyond_max_rows": 32}


def test_audits_prove_a_label_wrong_or_lost() -> None:
    """`hr` questions are always called `it`: the one is lost, the other wrong; of `finance` too little is known."""
    audits = [("it", "hr")] * 30 + [("it", "it")] * 40 + [("finance", "finance")] * 4
    assert reliability(audits, LABELS) == Reliability(wrong=("it",), lost=("hr",), unproven=("finance",))
    good = [("it", "it")] * 96 + [("it", "hr")] * 4 + [("hr", "hr")] * 20 + [("finance", "finance")] * 20
    assert reliability(good, LABELS) == Reliability((), (), ())


def test_a_probe_contradicts_wrong_rows_and_never_a_checked_one() -> None:
    """Of two clouds most of the flipped labels are found, none of them among checked rows."""
    draw = np.random.default_rng(1)
    truth = np.arange(400) % 2
    vectors = (draw.normal(size=(400, 8)) * 0.2 + np.where(truth[:, None] == 1, 1, -1)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    flipped = draw.random(400) < 0.1
    checked = np.arange(400) < 100
    said = np.where(flipped, 1 - truth, truth)
    found = contradicted(vectors, said.tolist(), [1.0] * 400, checked.tolist(), 2, seed=3)
    assert not found[checked].any()
    assert found[flipped & ~checked].mean() > 0.9 and found[~flipped].mean() < 0.02


def test_thousands_of_rows_need_few_epochs() -> None:
    """Where most are a teacher's about five thousand are shown, at most as often as planned; else the plan's epochs."""
    truth = [n % 10 for n in range(50_000)]
    assert epochs_of(6, truth, (), 3) == epochs_of(6, truth, [True] * 50_000, 3) == 6
    taught = [epochs_of(6, truth[:n], [True, *[False] * (n - 1)], 3) for n in (411, 1_700, 4_900, 20_000)]
    assert taught == [6, 3, 1, 1]
    assert epochs_of(6, truth[:4_900], [True] * 2_450 + [False] * 2_450, 3) == 6


def test_answers_that_make_the_present_worse_all_stay_out() -> None:
    """A world in which two labels changed places: the older answers outvote people's rows, and validation shows it."""
    draw = np.random.default_rng(2)

    def embed(texts: Sequence[str]) -> Floats:
        side = np.array([1.0 if text.startswith("a") else -1.0 for text in texts])[:, None]
        vectors = side + draw.normal(size=(len(texts), 6)) * 0.3
        return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)

    class Older(Teacher):
        def counts(self, labels: Sequence[str]) -> list[tuple[str, str, int, int]]:
            return [("", label, 300, 300) for label in ("hr", "it")]

        def drawn(self, shares: Mapping[str, float]) -> list[Told]:
            return [answer(n, f"{'ab'[n % 2]} {n * 7919} {n * 31}", ("it", "hr")[n % 2]) for n in range(600)]

    rows = [
        row(f"{'ab'[n % 2]} {n * 104_729} {n * 37}", ("hr", "it")[n % 2], "validation" if n < 40 else "train")
        for n in range(80)
    ]
    taught = Teaching(
        TeacherLabels(),
        Older(None, TASK, "router@0", "", START, START),
        rules(),
        embed,
        1,
        on_stdout(),  # type: ignore
    ).taught(Curated(tuple(rows), {}, {"validation": 40}), [])
    assert sorted(taught.rows, key=str) == sorted(rows, key=str)
    assert taught.funnel["teacher_no_gain"] > 400 and taught.funnel["teacher_rows"] == 0
    assert "gain nothing" in told(taught.funnel)


@pytest.fixture
def company(empty: Warehouse) -> tuple[History, dict[UUID, str]]:
    """330 audited answers and 500 that nobody judged, of an incumbent that calls every `hr` question `it`."""
    asked = questions(830)
    random_ = random.Random(5)
    history, truth = History(), dict[UUID, str]()
    for number, (text, label) in enumerate(asked):
        said = "it" if label == "hr" else label if random_.random() < 0.96 else random_.choice(LABELS)
        if number < 330:
            truth[history.audited(text, said, label)] = label
        else:
            truth[history.recorded(text, said)] = label
    history.store(empty)
    return history, truth


def attempt(history: History, warehouse: Warehouse, settings: Settings, name: str, **sections: Any) -> DataSet:
    """The data set of an attempt at a job."""
    labels = ("hr", "it", "finance", "product", "out_of_scope")
    whole = plan(labels, curation={"min_test_rows": 30, "min_train_rows": 50, "test_share": 0.2}, **sections)
    fields = {"resume_from": sections and str(settings.home / "first")} if name == "second" else {}
    job = jobs.read(job_file(settings, settings.home / name, whole, START, history.now, **fields))
    progress = on_stdout()
    return curated(job, answered(job, warehouse, jobs.settings_of(job), progress), warehouse, progress)


def test_a_teacher_that_is_always_wrong_in_one_label_is_named(
    company: tuple[History, dict[UUID, str]],
    empty: Warehouse,
    database: Settings,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Its rows stay out, checked rows all stay, the report says so; after an erasure another data set is made."""
    history, truth = company
    alone = attempt(history, empty, database, "alone").curated
    assert not any(row.source == "teacher" for row in alone.rows) and told(alone.funnel) == ""
    found = attempt(history, empty, database, "first", teacher_labels={}).curated
    taught = [row for row in found.rows if row.source == "teacher"]
    assert [row for row in found.rows if row.source != "teacher"] == list(alone.rows)
    assert len(taught) > 100 and {row.split for row in taught} == {"train"}
    labels = Counter(row.label for row in taught)
    assert labels["it"] == 0 and sum(truth[row.inference_id] == "hr" for row in taught) == 0
    wrong = sum(truth[row.inference_id] != row.label for row in taught)
    assert wrong / len(taught) < 0.02
    figures = found.funnel
    assert figures["train"] == len(found.split("train")) and figures["teacher_rows"] == len(taught)
    assert figures["teacher_wrong_label it"] >= 10 and figures["teacher_lost_label hr"] >= 10
    assert (
        figures["teacher_answers"]
        == 830
        == sum(count for name, count in figures.items() if name.startswith("teacher_") and is_left_out(name))
        + len(taught)
    )
    assert "audits prove it wrong where it says it" in told(figures) and "does not know hr" in told(figures)
    printed = capfd.readouterr()
    assert told(figures) in printed.out + printed.err
    assert figures["teacher_right_with"] >= figures["teacher_right_without"] > 0
    resumed = attempt(history, empty, database, "second", teacher_labels={})
    assert resumed.curated == found
    empty.command(
        f"ALTER TABLE inferences DELETE WHERE inference_id = '{taught[0].inference_id}' SETTINGS mutations_sync = 1"
    )
    again = attempt(history, empty, database, "second", teacher_labels={}).curated
    assert taught[0].inference_id not in {row.inference_id for row in again.rows}


def is_left_out(name: str) -> bool:
    """Whether a count of the funnel is one of answers that do not train."""
    return " " not in name and name not in (
        "teacher_answers", "teacher_rows", "teacher_right_with", "teacher_right_without",
    )  # fmt: skip
