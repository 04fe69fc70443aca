"""New words: how many questions have a word that the reference does not know, against what is to be expected.

A vocabulary knows every word of the questions that it was made of, so those tell nothing of how many to expect. Half of
the reference's questions make the vocabulary, the other half tell how many have an unknown word where nothing changed,
and given that vocabulary the two samples are alike: Fisher's exact test, one-sided (R. A. Fisher, 1935), with mid-p.
What counts is the question, not the word: words of one question come together.
"""

from __future__ import annotations

from datetime import timedelta

from headrace import ids
from streams.detectors import soft
from streams.detectors.detector import WORDS, Reading, View
from streams.profiles import FEWEST
from streams.significance import more_often
from streams.spans import Spans


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
        self._last: dict[str, tuple[tuple[str, Spans], list[soft.Tested]]] = {}

    def read(self, view: View) -> Reading:
        compared = soft.compared(view)
        if compared is None or not soft.pairs(view):
            return soft.quiet(view, self.name, WORDS)
        subject = view.promotion.live.version, compared
        known = self._last.get(view.task)
        if known is None or known[0] != subject:
            known = self._last[view.task] = subject, self._test(view, compared)
        if not known[1]:
            return soft.quiet(view, self.name, WORDS, f"fewer than {FEWEST} questions with words on either side")
        newest = known[1][-1].inputs
        what = (
            f"shares of questions with an unknown word (now {newest['share']:.3f}, expected {newest['expected']:.3f})"
        )
        return soft.verdict(view, self.name, WORDS, known[1], what)

    def _test(self, view: View, compared: Spans) -> list[soft.Tested]:
        references = list(dict.fromkeys(compared.references))
        rows = view.queries.query(
            "monitor_unknown_words",
            task=view.task,
            version=view.promotion.live.version,
            size_ms=compared.size // timedelta(milliseconds=1),
            tested=[ids.millis(start) for start in compared.tested],
            references=[[ids.millis(start) for start in reference] for reference in references],
            of=[references.index(reference) + 1 for reference in compared.references],
        )
        expected = {row["place"]: (row["unknown"], row["questions"]) for row in rows if not row["span"]}
        observed = [
            (row["span"], *expected.get(row["place"], (0, 0)), row["unknown"], row["questions"]) for row in rows
        ]
        return [tested(span, before, n, now, m) for span, before, n, now, m in observed if span and min(n, m) >= FEWEST]


MAKE = OutOfVocabulary
