"""From what people said to rows that train, choose and test. Pure: the same answers give the same data set.

What becomes of an answer, in this order; every row left out is counted under the word in brackets:

    of another tenant, where the plan keeps them apart     [other_tenant]
    may not be used     [no_consent] [too_old] [empty_text] [truncated_text]
    a blind base-audit label
        asked before the test window, hash < test_share    → forget, at most forget_rows   [beyond_forget_rows]
        asked in the test window, hash < test_share        → test
        (both only where the live version's answer can be known                            [unpaired])
        else                                               → pool
    a settled label (expert, outcome, user's correction)   → pool
    a satisfied user, and nobody who says otherwise        → pool, trains only; else       [blamed] [unlabelled]
        (a key that contradicts more of others' satisfied users than its share is not heard in the rest)
    a label that the plan does not have                                                    [unknown_label]
    pool: a user's or a key's volunteered labels beyond the plan's share [beyond_user_share] [beyond_key_share] before
        they can contradict anyone, nearly a text of test or forget [leakage], a session of theirs [leakage_session],
        two labels for one text [conflicting_labels], the same text again [exact_duplicate], nearly [near_duplicate]
        → validation (stratified by label, by hash) and train, each held to the same shares (bounds.py), and
          train to its size [beyond_max_train_rows]

Test rows stay as traffic sent them, repetitions included: their share of errors is the users' share of errors.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from trainer.curate import near
from trainer.curate.bounds import Bounds
from trainer.curate.funnel import funnel
from trainer.curate.likeness import Likeness
from trainer.curate.rows import AnswerRow, Curated, Row, Rules
from trainer.curate.text import digest, normal, uniform

# From this rank on somebody other than the answering model or a judge said what is right.
SETTLED = 2
NOTHING = digest("")


def curate(answers: Sequence[AnswerRow], rules: Rules, likeness: Likeness | None = None) -> Curated:
    """Split the answers into train, validation, test and forget, counting each one left out.

    likeness: of every text that may become a row; None where the answers have their texts
    """
    out: Counter[str] = Counter()
    unknown: Counter[str] = Counter()
    held_out: list[Row] = []
    pool: list[Row] = []
    own = [answer for answer in answers if rules.tenant in ("", answer.tenant)]
    if len(own) < len(answers):
        out["other_tenant"] = len(answers) - len(own)
    bounds = Bounds(own, rules)
    for answer in bounds.heard(own):
        found = _place(answer, rules)
        if isinstance(found, Unknown):
            unknown[found.label] += 1
        elif isinstance(found, str):
            out[found] += 1
        elif found.split == "pool":
            pool.append(found)
        else:
            held_out.append(found)
    if unknown:
        out["unknown_label"] = unknown.total()
    held_out = _bounded_forget(held_out, rules, out)
    pool = _distinct(_apart(bounds.bounded(pool, out), held_out, out), out)
    likeness = likeness or Likeness.of_texts([row.text for row in (*held_out, *pool)], rules.characters)
    pool = _unlike(pool, held_out, likeness, rules, out)
    rows = held_out + _divide(pool, rules, bounds, out)
    rows.sort(key=lambda row: (row.inference_id.int, row.tenant))
    counts = funnel(own, rows, rules.test_from) | {"answers": len(answers)}
    return Curated(tuple(rows), dict(sorted(out.items())), counts, dict(unknown.most_common()))


def forbidden(answer: AnswerRow, rules: Rules) -> str:
    """Why privacy keeps an answer out; empty where it does not."""
    if rules.tenant not in ("", answer.tenant):
        return "other_tenant"
    if rules.privacy.require_consent and not answer.consent:
        return "no_consent"
    if answer.occurred_at < rules.now - timedelta(days=rules.privacy.retention_days):
        return "too_old"
    return ""


class Unknown(NamedTuple):
    """An answer that is left out since the plan does not have the label that it was given."""

    label: str


def _place(answer: AnswerRow, rules: Rules) -> Row | Unknown | str:
    """A row of split test, forget or pool, or the reason why the answer is left out."""
    if reason := forbidden(answer, rules):
        return reason
    if answer.truncated:
        return "truncated_text"
    text_digest = answer.text_digest or digest(normal(answer.text))
    if text_digest == NOTHING:
        return "empty_text"
    held_out = answer.audit_label and uniform(text_digest, f"test:{rules.task}") < rules.curation.test_share
    if held_out:
        split = "test" if answer.occurred_at >= rules.test_from else "forget"
        told, source, rank, said = answer.audit_label, "audit", 4, answer.audit_id
        if rules.label(told) and not rules.live_loadable and answer.version != rules.live_version:
            return "unpaired"
    elif answer.settled_rank >= SETTLED:
        split, told, rank = "pool", answer.settled_label, answer.settled_rank
        source, said = answer.settled_source, answer.settled_id
    elif answer.satisfied and rules.curation.thumbs:
        if answer.dissatisfied or answer.judge_routing or answer.reviewer_routing:
            return "blamed"
        split, told, source, rank, said = "pool", answer.answered, "user", 0, answer.satisfied_id
    else:
        return "unlabelled"
    label = rules.label(told)
    if not label:
        return Unknown(told)
    weight = 1 / answer.audit_probability if held_out and answer.audit_probability > 0 else 1.0
    return Row(
        split=split,
        tenant=answer.tenant,
        inference_id=answer.inference_id,
        feedback_id=said,
        occurred_at=answer.occurred_at,
        text=answer.text,
        text_digest=text_digest,
        label=label,
        source=source,
        rank=rank,
        answered=rules.label(answer.answered) or answer.answered,
        version=answer.version,
        weight=weight,
        cluster=f"{answer.tenant} {answer.session_id}" if answer.session_id else text_digest,
    )


def _bounded_forget(rows: list[Row], rules: Rules, out: Counter[str]) -> list[Row]:
    forget = [row for row in rows if row.split == "forget"]
    # By a hash, so that the rows kept are a uniform sample of the past and mostly the same next time.
    forget.sort(key=lambda row: (uniform(row.text_digest, f"forget:{rules.task}"), row.inference_id.int))
    kept = forget[: rules.curation.forget_rows]
    if len(forget) > len(kept):
        out["beyond_forget_rows"] += len(forget) - len(kept)
    return [row for row in rows if row.split == "test"] + kept


def _apart(pool: list[Row], held_out: list[Row], out: Counter[str]) -> list[Row]:
    """The rows without the texts and the sessions of the held-out ones."""
    texts = {row.text_digest for row in held_out}
    # A cluster is a session, or else the text.
    sessions = {row.cluster for row in held_out} - texts
    kept = []
    for row in pool:
        if row.text_digest in texts:
            out["leakage"] += 1
        elif row.cluster in sessions:
            out["leakage_session"] += 1
        else:
            kept.append(row)
    return kept


def _distinct(pool: list[Row], out: Counter[str]) -> list[Row]:
    """One row a text, best first; texts whose best judges disagree are left out whole."""
    by_text: dict[str, list[Row]] = defaultdict(list)
    for row in pool:
        by_text[row.text_digest].append(row)
    kept: list[Row] = []
    for rows in by_text.values():
        best = max(row.rank for row in rows)
        labels = {row.label for row in rows if row.rank == best}
        if len(labels) > 1:
            out["conflicting_labels"] += len(rows)
            continue
        agreeing = [row for row in rows if row.label in labels]
        if len(rows) > len(agreeing):
            out["conflicting_labels"] += len(rows) - len(agreeing)
        if len(agreeing) > 1:
            out["exact_duplicate"] += len(agreeing) - 1
        kept.append(max(agreeing, key=lambda row: (row.rank, row.occurred_at, row.inference_id.int)))
    kept.sort(key=lambda row: (-row.rank, -row.occurred_at.timestamp(), row.inference_id.int))
    return kept


def _unlike(pool: list[Row], held_out: list[Row], likeness: Likeness, rules: Rules, out: Counter[str]) -> list[Row]:
    """The rows that nearly repeat no held-out text, and no better row of their label."""

    def without(gone: NDArray[np.bool_], reason: str) -> list[Row]:
        if gone.any():
            out[reason] += int(gone.sum())
        return [row for row, is_gone in zip(pool, gone, strict=True) if not is_gone]

    tested, places = _places(held_out, likeness), _places(pool, likeness)
    # Its answer was corrected or erased since it was read.
    pool, places = without(places < 0, "text_changed"), places[places >= 0]
    leaked = near.leaked(likeness.sketches, places, tested[tested >= 0])
    pool, places = without(leaked, "leakage"), places[~leaked]
    label = {name: number for number, name in enumerate(rules.labels)}
    repeated = near.repeated(likeness.sketches, places, [label[row.label] for row in pool])
    return without(repeated, "near_duplicate")


def _places(rows: list[Row], likeness: Likeness) -> NDArray[np.int64]:
    return likeness.places([row.text_digest for row in rows])


def _rehearsed(train: list[Row], rules: Rules) -> list[Row]:
    """At most max_train_rows: half of them the best of the present, half a draw of what is left.

    The present begins with the test window. Its settled labels come before its thumbs, which are the answering model's
    own labels and as wrong as their users are kind, and then the newest; of the rest, too, a settled label is drawn
    first. The newest alone would teach the new world and unlearn the old one (rehearsal: Robins, Connection Science
    1995).
    """
    most = rules.curation.max_train_rows
    ordered = sorted(
        train,
        key=lambda row: (
            row.occurred_at >= rules.test_from,
            row.rank >= SETTLED,
            row.occurred_at,
            row.inference_id.int,
        ),
        reverse=True,
    )
    present, left = ordered[: most - most // 2], ordered[most - most // 2 :]
    left.sort(
        key=lambda row: (row.rank < SETTLED, uniform(row.text_digest, f"rehearse:{rules.task}"), row.inference_id.int)
    )
    return present + left[: most // 2]


def _divide(pool: list[Row], rules: Rules, bounds: Bounds, out: Counter[str]) -> list[Row]:
    """Validation: of each label, the validation_share of the settled rows that come first by the hash of their session
    or, without one, of their text; and what else is of these sessions. Train: the rest.

    Where that were more than about max_validation_rows, the share is smaller: a settled label is worth more in train.
    """
    settled_rows = sum(row.rank >= SETTLED for row in pool)
    share = min(rules.curation.validation_share, rules.curation.max_validation_rows / max(1, settled_rows))
    validation: set[str] = set()
    for label in rules.labels:
        settled = sorted(
            (row.cluster for row in pool if row.label == label and row.rank >= SETTLED),
            key=lambda name: uniform(name, f"validation:{rules.task}"),
        )
        validation |= set(settled[: round(len(settled) * share)])
    train = [row for row in pool if row.cluster not in validation]
    # Before the newest are chosen, which may all be one voice's.
    train = bounds.bounded(train, out, rules.curation.max_train_rows)
    kept = _rehearsed(train, rules)
    if len(train) > len(kept):
        out["beyond_max_train_rows"] += len(train) - len(kept)
    chosen_on = bounds.bounded([row for row in pool if row.cluster in validation], out)
    return [replace(row, split="train") for row in kept] + [replace(row, split="validation") for row in chosen_on]
