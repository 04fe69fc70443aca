"""How much of a data set may rest on the word of one user, and on what one API key brought.

Ground truth by experts, outcomes and audits is not bounded. A volunteered label (source user or implicit) speaks with
these voices, and none of them may have more than the plan's share of the rows:

    its user   the answer's user_ref within its tenant; where that is empty its session; where that is, too, none
    its keys   the key that brought the answer, and the key that brought the feedback that gave the label; what came
               without a key shares one voice

Rows stay in the order of a hash of their text. So those that stay are a uniform sample of the past: what a voice says
in one afternoon does not displace what it said in a year, and mostly the same rows stay next time. The newest would be
whatever a flood said last.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple
from uuid import UUID

from trainer.curate.rows import AnswerRow, Row, Rules
from trainer.curate.text import uniform

VOLUNTEERED = frozenset({"user", "implicit"})


class Voice(NamedTuple):
    """Who speaks; bound is the name under which its surplus rows are counted."""

    bound: str
    tenant: str
    name: str


USER, KEY = "beyond_user_share", "beyond_key_share"
WHOLE = sys.maxsize


def by_known_keys(answers: Sequence[AnswerRow], known: frozenset[str]) -> list[AnswerRow]:
    """The answers, with every key that was never made as no key: whoever writes to Kafka itself can invent any.

    known: ids of the key file, revoked ones too
    """

    def own(key: str) -> str:
        return key if key in known else ""

    known |= {""}
    return [
        answer
        if known.issuperset((answer.key_id, answer.satisfied_key, answer.settled_key, *answer.complaint_keys))
        else replace(
            answer,
            key_id=own(answer.key_id),
            satisfied_key=own(answer.satisfied_key),
            settled_key=own(answer.settled_key),
            complaint_keys=tuple(sorted({own(key) for key in answer.complaint_keys})),
        )
        for answer in answers
    ]


class Bounds:
    """The plan's two shares, for the rows of these answers."""

    def __init__(self, answers: Sequence[AnswerRow], rules: Rules) -> None:
        self._answers: dict[str, dict[UUID, AnswerRow]] = {}
        for answer in answers:
            if answer.satisfied or answer.settled_source in VOLUNTEERED:
                self._answers.setdefault(answer.tenant, {})[answer.inference_id] = answer
        # A voice is kept once, however many rows it has.
        self._speaking: dict[tuple[Voice, ...], tuple[Voice, ...]] = {}
        self._shares = {USER: rules.curation.max_share_per_user, KEY: rules.curation.max_share_per_key}
        self._salt = f"bound:{rules.task}"

    def heard(self, answers: Sequence[AnswerRow]) -> list[AnswerRow]:
        """The answers without what a key contradicts beyond its share; their order stays.

        A contradiction is a complaint about, or a correction of, an answer that somebody was satisfied with, by a key
        that brought neither the answer nor that thumb. A key is heard in so many of them as its share allows, by a
        hash of their ids; else it could take away everybody's thumbs, though it may teach little itself.
        """
        share = self._shares[KEY]
        satisfied = [answer for answer in answers if answer.satisfied]
        most = int(share * len(satisfied)) if share < 1 else WHOLE
        contradicted = [answer for answer in satisfied if _strangers(answer)]
        if not contradicted:
            return list(answers)
        contradicted.sort(key=lambda answer: (uniform(str(answer.inference_id), self._salt), answer.tenant))
        said: Counter[str] = Counter()
        changed: dict[tuple[str, UUID], AnswerRow] = {}
        for answer in contradicted:
            strangers = _strangers(answer)
            surplus = {key for key in strangers if said[key] >= most}
            said.update(strangers - surplus)
            if not surplus:
                continue
            if answer.settled_source in VOLUNTEERED and answer.settled_key in surplus:
                answer = replace(answer, settled_rank=0)
            if surplus.issuperset(answer.complaint_keys):
                answer = replace(answer, dissatisfied=False)
            changed[answer.tenant, answer.inference_id] = answer
        return [changed.get((answer.tenant, answer.inference_id), answer) for answer in answers]

    def bounded(self, rows: Sequence[Row], out: Counter[str], most: int | None = None) -> list[Row]:
        """The rows without those beyond a bound, which are counted in `out`; their order stays.

        most: no more rows than these will be used, so a voice's share is one of these at most

        A bound is a share of the rows that are left, so what one voice loses makes the others' bounds smaller. The
        total T is the greatest at which the voices, each held to its share of T, still leave T rows.
        """
        volunteered = [row for row in rows if row.source in VOLUNTEERED]
        others, high = len(rows) - len(volunteered), len(rows) if most is None else min(most, len(rows))
        voices = [self._voices(row) for row in volunteered]
        if self._within(voices, high):
            return list(rows)
        salted = [(uniform(row.text_digest, self._salt), row.inference_id.int, row.tenant) for row in volunteered]
        order = sorted(range(len(volunteered)), key=salted.__getitem__)
        volunteered, voices = [volunteered[place] for place in order], [voices[place] for place in order]
        low = 0
        while low < high:
            middle = (low + high + 1) // 2
            if others + self._reasons(voices, middle).count("") >= middle:
                low = middle
            else:
                high = middle - 1
        reasons = self._reasons(voices, low)
        out.update(reason for reason in reasons if reason)
        gone = {_place(row) for row, reason in zip(volunteered, reasons, strict=True) if reason}
        return [row for row in rows if _place(row) not in gone]

    def _within(self, voices: Sequence[Sequence[Voice]], total: int) -> bool:
        """Whether no voice has more than its share of the total."""
        said = Counter(voice for speaking in voices for voice in speaking)
        most = self._most(total)
        return all(count <= most[voice.bound] for voice, count in said.items())

    def _most(self, total: int) -> dict[str, int]:
        return {bound: int(share * total) if share < 1 else WHOLE for bound, share in self._shares.items()}

    def _reasons(self, voices: Sequence[Sequence[Voice]], total: int) -> list[str]:
        """Of each row in turn, by its voices: the bound that it is beyond, empty where it stays."""
        most = self._most(total)
        said: Counter[Voice] = Counter()
        reasons = []
        for speaking in voices:
            reason = next((voice.bound for voice in speaking if said[voice] >= most[voice.bound]), "")
            if not reason:
                said.update(speaking)
            reasons.append(reason)
        return reasons

    def _voices(self, row: Row) -> tuple[Voice, ...]:
        answer = self._answers[row.tenant][row.inference_id]
        brought = answer.satisfied_key if row.feedback_id == answer.satisfied_id else answer.settled_key
        voices = [Voice(KEY, "", key) for key in sorted({answer.key_id, brought})]
        if answer.user_ref:
            voices.insert(0, Voice(USER, answer.tenant, f"user {answer.user_ref}"))
        elif answer.session_id:
            voices.insert(0, Voice(USER, answer.tenant, f"session {answer.session_id}"))
        return self._speaking.setdefault(tuple(voices), tuple(voices))


def _strangers(answer: AnswerRow) -> set[str]:
    """The keys that contradict a satisfied user and brought neither the answer nor that thumb."""
    if not answer.complaint_keys and answer.settled_source not in VOLUNTEERED:
        return set()
    corrected_by = {answer.settled_key} if answer.settled_source in VOLUNTEERED else set()
    return ({*answer.complaint_keys} | corrected_by) - {answer.key_id, answer.satisfied_key}


def _place(row: Row) -> tuple[str, UUID]:
    return row.tenant, row.inference_id
