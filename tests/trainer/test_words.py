"""The model that counts words: as scikit-learn counts them, in any script, kept without any text and without pickle."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from sklearn.feature_extraction.text import TfidfVectorizer
from test_artifacts_and_scoring import manifest

from headrace import kinds
from headrace.errors import ArtifactError
from headrace.models.bases import base_of, digest_of, resolve
from headrace.models.families import family_of, load, open_bundle
from headrace.models.families.words import Vectoriser, tunable, words
from headrace.models.family import PARITY_TOLERANCE, LabelSet, Unsupported, parity
from headrace.plan import CandidateSpec
from headrace.plan.methods import keys_of
from trainer.publish.artifact import publish_winner
from trainer.tune.method import Given, Unproven

LABELS = ("hr", "it", "out_of_scope")
ODD = [
    "",
    "?!",
    "a",
    "休暇は何日ありますか",
    "Wie viele Urlaubstage stehen mir zu? Straße",
    "ΟΔΟΣ",
    "💥\ud800x",
    "a" * 100_000,
]
TEXTS = [
    f"{said} {n}" for said in ("how many vacation days", "laptop screen broken", "who won the match") for n in range(8)
]
TRUTH = [0] * 8 + [1] * 8 + [2] * 8


def tuned(folder: Path, texts: list[str], truth: list[int]) -> Path:
    """A candidate's folder."""
    spec = CandidateSpec.model_validate({"method": "tfidf", "base": "words"})
    base = base_of("words")
    given = Given(
        base=base,
        family=family_of(base.family),
        labels=LabelSet(LABELS, {label: label for label in LABELS}, {}),
        texts=texts,
        truth=truth,
        weights=[1.0] * len(truth),
        embeddings=lambda: np.zeros((0, 0), np.float32),
        seed=1,
        threads=1,
        checkpoint=folder / "checkpoint",
        key="this run",
        deadline=float("inf"),
        step=lambda done, total: None,
    )
    method = kinds.load("methods", "tfidf")
    assert method.tune(given, keys_of(spec)) == given.tunable.parameters > 0
    (folder / "candidate").mkdir(parents=True)
    given.tunable.save(folder / "candidate", method.MAKES)
    return folder / "candidate"


WORDS = {"family": "words", "base": "words", "base_source": "own:words", "method": "tfidf", "kind": "words"}


def test_words_are_counted_as_scikit_learn_does() -> None:
    """Cosines between rows are those of its word and character vectorisers, side by side."""
    texts = [*TEXTS, "a b a", "Straße und STRASSE", "vacation"]
    ours = Vectoriser.of(texts, 512)
    dense = np.zeros((len(texts), len(ours.features)))
    for number, text in enumerate(texts):
        places, weights = ours.row(text)
        dense[number, places] = weights
    folded = [text.casefold() for text in texts]
    theirs = np.zeros((len(texts), len(texts)))
    for analyzer, lengths in (("word", (1, 2)), ("char_wb", (2, 5))):
        counting = TfidfVectorizer(analyzer=analyzer, ngram_range=lengths, sublinear_tf=True)
        counting.token_pattern = r"\w+" if analyzer == "word" else None
        rows = counting.fit_transform(folded)
        theirs += (rows @ rows.T).toarray()
    assert np.abs(dense @ dense.T - theirs).max() < 1e-5


def test_a_text_is_what_it_reads_as() -> None:
    """Case, width and composition of letters make no other word; half of a pair of surrogates is no error."""
    assert words("Ｓtraße É", 9) == words("STRASSE e\u0301", 9) == ["strasse", "é"]
    assert words("one two three", 2) == ["one", "two"]
    assert all(isinstance(word, str) for text in ODD for word in words(text, 512))


def test_it_learns_and_is_served_as_it_was_evaluated(tmp_path: Path) -> None:
    """Tuned, calibrated, published, loaded elsewhere: the same answers; odd texts get probabilities too."""
    scorer = open_bundle(tuned(tmp_path, TEXTS, TRUTH), manifest(**WORDS))
    asked = ["vacation days", "a broken laptop", "the match"]
    assert scorer.score(asked).argmax(axis=1).tolist() == [0, 1, 2]
    scorer.calibrate(asked, [0, 1, 2])
    found = publish_winner(
        scorer, tmp_path / "artifacts", manifest(**WORDS, base_digest=digest_of(resolve(base_of("words"))))
    )
    assert set(found.manifest.files) == {"words.safetensors", "scoring.json", "parity.json"}
    served = load(found.path, found.digest)
    assert parity(served) < PARITY_TOLERANCE["float32"]
    scores = served.score(ODD)
    assert np.allclose(scores.sum(axis=1), 1, atol=1e-5) and served.score([]).shape == (0, 3)
    assert np.allclose(scores[0], scores[1]) and served.novelty(ODD) is None
    for unable in (served.embed, lambda texts: served.generate(texts, 5)):
        with pytest.raises(Unsupported, match="counts words"):
            unable(asked)


def test_no_text_is_kept(tmp_path: Path) -> None:
    """A name that somebody wrote is in no file of the bundle."""
    folder = tuned(tmp_path, [*TEXTS, "ask Wilhelmina Abernathy"], [*TRUTH, 0])
    content = b"".join(file.read_bytes() for file in folder.iterdir()).lower()
    assert b"wilhelmina" not in content and b"vacation" not in content


def test_a_label_without_rows_is_never_chosen(tmp_path: Path) -> None:
    """Its place among the scores is kept."""
    scorer = open_bundle(tuned(tmp_path, TEXTS[:16], TRUTH[:16]), manifest(**WORDS))
    assert scorer.score(["who won the match"])[0, 2] < 1e-4


def test_damage_is_refused(tmp_path: Path) -> None:
    """One sentence that names the file."""
    folder = tuned(tmp_path, TEXTS, TRUTH)
    file = folder / "words.safetensors"
    whole = load_file(file)
    damaged = [
        {name: one for name, one in whole.items() if name != "idf"},
        whole | {"bias": whole["bias"][:2]},
        whole | {"weight": whole["weight"] * np.float32("nan")},
    ]
    for held, says in zip(damaged, ("holds no words", "its manifest has 3 labels", "no numbers"), strict=True):
        save_file(held, file)
        with pytest.raises(ArtifactError, match=says) as caught:
            open_bundle(folder, manifest(**WORDS))
        assert str(file) in str(caught.value) and "\n" not in str(caught.value)
    file.unlink()
    with pytest.raises(ArtifactError, match="holds no words"):
        open_bundle(folder, manifest(**WORDS))


def test_untuned_it_knows_nothing(tmp_path: Path) -> None:
    """Every label is as likely: there is nothing to read from a label's name."""
    tunable(base_of("words"), LabelSet(LABELS, {}, {}), 1).save(tmp_path, "words")
    assert np.allclose(open_bundle(tmp_path, manifest(**WORDS)).score(["laptop"]), 1 / 3)


def test_rows_without_words_are_no_crash(tmp_path: Path) -> None:
    """Of emoji alone nothing can be counted, and the candidate fails with that reason."""
    with pytest.raises(Unproven, match="no row has a word"):
        tuned(tmp_path, ["👍", "👎", "👍👍", "👎👎"], [0, 1, 0, 1])
