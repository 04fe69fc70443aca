"""New words: how many questions have a word that the reference does not know, against what is to be expected.

A vocabulary knows every word of the questions that it was made of, so those tell nothing of how many to expect. Half of
the reference's questions make the vocabulary, the other half tell how many have an unknown word where nothing changed,
and given that vocabulary the two samples are alike: Fisher's exact test, one-sided (R. A. Fisher, 1935), with mid-p.
What counts is the question, not the word: words of one question come together.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from headrace.contract import ids
from headrace.statistics.significance import more_often
from streams.detectors import soft
from streams.detectors.detector import WORDS, Reading, View
from streams.profiles import MIN_SAMPLES
from streams.spans import MILLISECOND, Spans
from streams.together import Together


def tested(window_from_ms: int, before: int, n: int, now: int, m: int) -> soft.Tested:
    """`before` of n questions of the reference, `now` of m of the window, have an unknown word; n and m not 0."""
    return soft.Tested(
        ids.EPOCH + timedelta(milliseconds=window_from_ms),
        n,
        m,
        statistic=now / m,
        p_value=more_often(before, n, now, m),
        inputs={"share": now / m, "expected": before / n},
    )


class OutOfVocabulary:
    """Reads the questions to the live arm of the current version."""

    name = "out_of_vocabulary"

    def __init__(self) -> None:
        self._last: Together[tuple[str, Spans], list[soft.Tested]] = Together(_subject, _test)

    def read(self, view: View) -> Reading:
        found = self._last.about(view)
        if found is None:
            return soft.quiet(view, self.name, WORDS)
        if not found:
            return soft.quiet(view, self.name, WORDS, f"fewer than {MIN_SAMPLES} questions with words on either side")
        newest = found[-1].inputs
        what = (
            f"shares of questions with an unknown word (now {newest['share']:.3f}, expected {newest['expected']:.3f})"
        )
        return soft.verdict(view, self.name, WORDS, found, what)


def _subject(view: View) -> tuple[str, Spans] | None:
    compared = view.compared
    return (view.promotion.live.version, compared) if compared is not None and soft.pairs(view) else None


def _test(views: Sequence[View]) -> list[list[soft.Tested]]:
    compared = [(place, spans) for place, view in enumerate(views) if (spans := view.compared) is not None]
    references = list(dict.fromkeys((place, starts) for place, spans in compared for starts in spans.references))
    tested_by = [
        (ids.millis(start), references.index((place, starts)) + 1)
        for place, spans in compared
        for start, starts in zip(spans.tested, spans.references, strict=True)
    ]
    rows = views[0].queries.query(
        "detectors/unknown_words",
        tasks=[views[place].task for place, _ in references],
        versions=[views[place].promotion.live.version for place, _ in references],
        references=[[ids.millis(start) for start in starts] for _, starts in references],
        tested=[start for start, _ in tested_by],
        of=[reference for _, reference in tested_by],
        size_ms=views[0].size // MILLISECOND,
    )
    expected = {row["place"]: (row["unknown"], row["questions"]) for row in rows if not row["span"]}
    found: list[list[soft.Tested]] = [[] for _ in views]
    for row in rows:
        before, n = expected.get(row["place"], (0, 0))
        if row["span"] and min(n, row["questions"]) >= MIN_SAMPLES:
            place, _ = references[row["place"] - 1]
            found[place].append(tested(row["span"], before, n, row["unknown"], row["questions"]))
    return found


MAKE = OutOfVocabulary
