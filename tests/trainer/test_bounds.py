"""What one user and one key may teach: the plan's shares, on events in the real ClickHouse."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any
from uuid import UUID

import pytest
from curation_rules import LABELS, adds_up, curated_history, many, rules
from trainer_history import TASK, History

from headrace.plan import Curation
from headrace.warehouse import Warehouse
from trainer.curate import sources
from trainer.curate.bounds import by_known_keys
from trainer.curate.rows import Curated
from trainer.curate.selection import curate

FRONTENDS = 6


def honest(history: History) -> list[UUID]:
    """Audits and what 90 users volunteer through six frontends, each with a key of its own: those answers."""
    many(history, 400)
    answers = []
    for n in range(360):
        fields = {"user_ref": f"user-{n % 90}", "key_id": f"frontend-{n % FRONTENDS}"}
        answer = history.ask(f"an honest question {n} about {n * 7919} things", LABELS[n % 3], **fields)
        key = {"key_id": fields["key_id"]}
        answers.append(answer)
        if n // FRONTENDS % 3:
            history.say(answer, "user", "thumb", value=1, **key)
        else:
            history.say(answer, "user", "correction", label=LABELS[(n + 1) % 3], **key)
    return answers


def forge(history: History, kind: str, count: int = 1000) -> None:
    """Forged thumbs and corrections, on new texts and on those that honest users asked about."""
    for n in range(count):
        user = "mallory" if kind == "user" else f"invented-{n}"
        key = f"frontend-{n % FRONTENDS}" if kind == "user" else "leaked"
        text = f"a forged question {n} about {n * 104729}"
        if n % 2:
            text = f"an honest question {n} about {n * 7919} things"
        answer = history.ask(text, "hr", user_ref=user, key_id=key)
        if n % 4 < 2:
            history.say(answer, "user", "thumb", value=1, key_id=key)
        else:
            history.say(answer, "user", "correction", label="it", key_id=key)


def taught(curated: Curated) -> set[tuple[str, str]]:
    """What trains: texts and their labels."""
    return {(row.text, row.label) for row in curated.split("train")}


@pytest.mark.parametrize(
    ("kind", "bound", "share"), [("user", "beyond_user_share", 0.05), ("key", "beyond_key_share", 0.2)]
)
def test_a_thousand_forged_signs_change_no_row_beyond_the_share(
    empty: Warehouse, kind: str, bound: str, share: float
) -> None:
    """A flood by one user, or by one key with invented users, adds and takes no more than its share of what trains."""
    history, curation = History(), {"max_share_per_user": 0.05, "max_share_per_key": 0.2}
    honest(history)
    before = curated_history(history, empty, curation=curation)
    assert before.exclusions.keys().isdisjoint({"beyond_user_share", "beyond_key_share"})
    forge(history, kind)
    after = curated_history(history, empty, curation=curation)
    rows = len(after.split("train"))
    assert after.exclusions[bound] > 800 and adds_up(after)
    assert 0 < len(taught(after) - taught(before)) <= share * rows
    assert len(taught(before) - taught(after)) <= share * rows


@pytest.mark.parametrize(
    ("signal", "fields"),
    [("thumb", {"value": -1}), ("correction", {"label": "it"}), ("comment", {"comment": "bad"}), ("reroute", {})],
)
def test_forged_contradictions_take_no_more_rows_than_the_share(
    empty: Warehouse, signal: str, fields: dict[str, Any]
) -> None:
    """A leaked key that complains about or corrects everybody's answers takes no more than its share of the thumbs."""
    history, curation = History(), {"max_share_per_user": 0.05, "max_share_per_key": 0.2}
    answers = honest(history)
    before = curated_history(history, empty, curation=curation)
    for turn in range(3):
        for answer in answers:
            history.say(answer, "user", signal, key_id="leaked", rater=f"invented-{turn}", **fields)
    after = curated_history(history, empty, curation=curation)
    assert adds_up(after)
    liked = {row.inference_id for row in before.split("train") if (row.source, row.rank) == ("user", 0)}
    left = {row.inference_id for row in after.split("train") if row.rank == 0}
    assert len(liked) > 200 and len(liked - left) <= 0.2 * len(before.split("train"))
    assert len(taught(after) - taught(before)) <= 0.2 * len(after.split("train"))


@pytest.mark.parametrize(
    ("signal", "fields"),
    [("thumb", {"value": 1}), ("thumb", {"value": -1}), ("correction", {"label": "finance"})],
)
def test_a_later_word_by_another_key_takes_no_word_away(empty: Warehouse, signal: str, fields: dict[str, Any]) -> None:
    """A leaked key that says something newer of all answers, as the same rater, takes no more than its share."""
    history, curation = History(), {"max_share_per_user": 0.05, "max_share_per_key": 0.2}
    answers = honest(history)
    before = curated_history(history, empty, curation=curation)
    for answer in answers:
        history.say(answer, "user", signal, key_id="leaked", revision=9, **fields)
    after = curated_history(history, empty, curation=curation)
    assert adds_up(after)
    assert len(taught(before) - taught(after)) <= 0.2 * len(before.split("train"))
    assert len(taught(after) - taught(before)) <= 0.2 * len(after.split("train"))


def test_no_voice_has_more_than_its_share(empty: Warehouse) -> None:
    """Whatever the mixture, no user and no key has more of the training or validation rows than the plan says."""
    random_, history = random.Random(5), History()
    many(history, 300)
    said_by = {}
    for n in range(700):
        user, key, other = (f"{kind}{int(random_.paretovariate(0.5)) % 40}" for kind in ("u", "k", "k"))
        answer = history.ask(f"a mixed question {n} about {n * 6007}", "hr", user_ref=user, key_id=key)
        label = {"label": random_.choice(LABELS)} if random_.random() < 0.4 else {}
        value = {} if label else {"value": 1.0}
        history.say(answer, "user", "correction" if label else "thumb", key_id=other, **label, **value)
        said_by[answer] = user, {key, other}
    curation = {"max_share_per_user": 0.04, "max_share_per_key": 0.15, "max_train_rows": 200}
    curated = curated_history(history, empty, curation=curation)
    assert len(curated.split("train")) > 100 and adds_up(curated)
    for split in ("train", "validation"):
        rows = curated.split(split)
        volunteered = [said_by[row.inference_id] for row in rows if row.inference_id in said_by]
        assert len(volunteered) > 10
        assert max(Counter(user for user, _ in volunteered).values()) <= 0.04 * len(rows)
        assert max(Counter(key for _, keys in volunteered for key in keys).values()) <= 0.15 * len(rows)


def test_experts_are_not_bounded(empty: Warehouse) -> None:
    """What audits, reviewers and outcomes say of one user's questions, all through one key, trains whole."""
    history = History()
    for n in range(60):
        answer = history.ask(f"one person asks {n} about {n * 31}", "hr", user_ref="busy", key_id="one")
        source, signal = (("reviewer", "verdict"), ("outcome", "resolution"))[n % 2]
        value = {"value": 1.0} if signal == "resolution" else {}
        history.say(answer, source, signal, label="it", key_id="one", **value)
    curated = curated_history(history, empty, curation={"max_share_per_user": 0.01, "max_share_per_key": 0.01})
    assert len(curated.rows) == 60 and curated.exclusions == {}


def test_what_has_no_user_is_bounded_by_session_and_what_has_no_key_is_one_keys(empty: Warehouse) -> None:
    """Without a user_ref a session is the user; without a session the key alone bounds; no key is one key."""
    history = History()
    many(history, 200)
    for n in range(200):
        session = {"session_id": "one-session"} if n < 100 else {}
        answer = history.ask(f"a question of somebody {n} about {n * 61}", "hr", **session)
        history.say(answer, "user", "thumb", value=1)
    history.store(empty)
    answers = sources.answers(empty, TASK)
    sessions = curate(answers, rules(curation={"max_share_per_user": 0.1}))
    assert sessions.exclusions["beyond_user_share"] >= 80
    keys = curate(answers, rules(curation={"max_share_per_user": 1.0, "max_share_per_key": 0.5}))
    train = keys.split("train")
    assert keys.exclusions.keys() == {"beyond_key_share"}
    assert sum(row.source == "user" for row in train) <= len(train) / 2


def test_keys_that_were_never_made_are_one_voice(empty: Warehouse) -> None:
    """What invents a key id for each of its events, past the gateway, has the share of one key and no more."""
    history = History()
    honest(history)
    for n in range(1000):
        forged = {"user_ref": f"invented-{n}", "key_id": f"invented-{n}"}
        answer = history.ask(f"a forged question {n} about {n * 104729}", "hr", **forged)
        history.say(answer, "user", "correction", label="it", key_id=f"invented-{n}")
    history.store(empty)
    known = frozenset(f"frontend-{n}" for n in range(FRONTENDS))
    answers = by_known_keys(sources.answers(empty, TASK), known)
    curated = curate(answers, rules(curation={"max_share_per_key": 0.2}))
    adds_up(curated)
    train = curated.split("train")
    assert curated.exclusions["beyond_key_share"] > 700
    assert sum(row.text.startswith("a forged") for row in train) <= 0.2 * len(train)


def test_the_default_leaves_a_single_frontend_its_thumbs(empty: Warehouse) -> None:
    """Where everything came without a key, four volunteered labels train beside each one of an expert."""
    history = History()
    many(history, 200)
    for n in range(400):
        history.say(history.ask(f"liked {n} about {n * 67}", "hr", user_ref=f"u{n % 50}"), "user", "thumb", value=1)
    default = {"max_share_per_key": Curation().max_share_per_key}
    train = curated_history(history, empty, curation=default).split("train")
    sources_ = Counter(row.source for row in train)
    assert 3.8 * sources_["audit"] <= sources_["user"] <= 4 * sources_["audit"]
