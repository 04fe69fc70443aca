"""Neighbours have a say beside the head, scores are calibrated on validation rows, and damage to either is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from test_artifacts_and_scoring import LABELS, manifest

from headrace.errors import ArtifactError
from headrace.models.encoder_base import Encoder
from headrace.models.families import load, open_bundle
from headrace.models.families.encoder import Scorer
from headrace.models.family import PARITY_TOLERANCE, parity
from headrace.models.neighbours import Neighbours
from headrace.models.scoring import Scoring, quantiles
from headrace.models.tensors import Floats
from headrace.statistics.calibration import auroc
from trainer.publish.artifact import publish_winner

KNOWN = [
    f"{words} {n}"
    for words in ("how many vacation days", "my laptop screen is broken", "who won the match")
    for n in range(8)
]
TRUTH = [0] * 8 + [1] * 8 + [2] * 8
ASKED = [f"{words}?" for words in ("vacation days this year", "a broken screen", "the score of the match") * 8]
RIGHT = [0, 1, 2] * 8


@pytest.fixture(scope="module")
def vectors() -> Floats:
    """Of the training rows, by the base."""
    return base().embed(KNOWN)


def written(folder: Path, vectors: Floats, k: int = 5) -> Path:
    """A candidate's folder: a head that knows nothing, and neighbours that do."""
    folder.mkdir()
    torch.manual_seed(5)
    save_file({"weight": torch.randn(len(LABELS), 384), "bias": torch.zeros(len(LABELS))}, folder / "head.safetensors")
    if k:
        Neighbours.of(vectors, TRUTH, [1.0] * len(TRUTH), k).write(folder)
    return folder


@cache
def base() -> Encoder:
    """Loaded once, as it is for all bundles that leave it as it is."""
    return Encoder(threads=2)


def opened(folder: Path) -> Scorer:
    """As a gateway opens it."""
    found = open_bundle(folder, manifest(), base=base())
    assert isinstance(found, Scorer)
    return found


def nll(scorer: Scorer) -> float:
    """How improbable the right labels of the questions are, on average."""
    return float(-scorer.log_probabilities(ASKED)[np.arange(len(RIGHT)), RIGHT].mean())


def test_neighbours_know_what_the_head_does_not(vectors: Floats, tmp_path: Path) -> None:
    """Half of the probability is theirs, so a random head with them answers right, and each row adds up to 1."""
    scores = opened(written(tmp_path / "with", vectors)).score(ASKED)
    assert (scores.argmax(axis=1) == RIGHT).all() and np.allclose(scores.sum(axis=1), 1, atol=1e-5)
    assert (opened(written(tmp_path / "without", vectors, k=0)).score(ASKED).argmax(axis=1) != RIGHT).any()


def test_a_vote_fades_before_it_is_lost() -> None:
    """Where the last neighbour and the next change places in the last bit, the probabilities stay the same."""
    circle = np.linspace(0, 1, 12, dtype=np.float32)
    rows = np.stack([np.cos(circle), np.sin(circle)], axis=1)
    known = Neighbours.of(rows, [0, 1] * 6, [1.0] * 12, k=3)
    # Half way between two rows: the fourth and the fifth are as near.
    middle = (circle[3] + circle[4]) / 2
    sides = _circle(np.array([middle - 1e-6, middle + 1e-6]))
    votes = known.vote(sides, 2)
    assert np.abs(votes[0] - votes[1]).max() < 1e-3
    assert np.ptp(known.nearness(sides)) < 1e-4


def test_votes_of_equal_copies_and_of_few_rows_are_probabilities() -> None:
    """All rows alike, fewer rows than k, or one row: nothing is divided by zero."""
    same = np.tile(np.array([[1, 0]], dtype=np.float32), (12, 1))
    known = Neighbours.of(same, [0] * 12, [1.0] * 12, k=3)
    assert known.vote(same[:1], 2).tolist() == [[1, 0]] and known.vote(same[:0], 2).shape == (0, 2)
    assert known.nearness(same[:1]).tolist() == [0.5] and known.nearness(same[:0]).shape == (0,)
    few = Neighbours.of(same[:2], [0, 1], [3.0, 1.0], k=10)
    assert np.allclose(few.vote(same[:1], 2).sum(axis=1), 1) and few.nearness(same[:1]).tolist() == [0.5]
    alone = Neighbours.of(same[:1], [1], [1.0], k=10)
    assert alone.vote(same[:1], 2).tolist() == [[0.5, 0.5]] and alone.nearness(same[:1]).tolist() == [1]


def test_a_text_is_farther_from_rows_that_lie_close_together(tmp_path: Path) -> None:
    """As far from both, it is less near to rows that are alike; beside more texts than are compared at once, too."""
    axes = np.eye(11, dtype=np.float32)
    apart, alike = 0.8 * axes[0] + 0.6 * axes[2:10], np.tile(0.8 * axes[1] + 0.6 * axes[10], (8, 1))
    known = Neighbours.of(np.concatenate([alike, apart]), [0] * 8 + [1] * 8, [1.0] * 16, k=5)
    assert np.allclose(known.nearness(axes[:2]), [0.8 - 0.64 / 2, 0.8 - 1 / 2], atol=1e-6)
    known.write(tmp_path)
    again = Neighbours.read(tmp_path, 2, 11)
    assert again is not None and np.allclose(again.nearness(np.tile(axes, (60, 1)))[::11], 0.48, atol=1e-6)
    # What was written before densities were kept says how near the nearest is, and its quantiles are of that.
    replace(known, density=None).write(tmp_path)
    former = Neighbours.read(tmp_path, 2, 11)
    assert former is not None and np.allclose(former.nearness(axes[:2]), 0.8, atol=1e-6)


def _circle(angles: Floats) -> Floats:
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def test_calibration_is_kept_and_served(vectors: Floats, tmp_path: Path) -> None:
    """After calibration the right labels are likelier; published and loaded elsewhere the model answers the same."""
    evaluated = opened(written(tmp_path / "candidate", vectors))
    before = nll(evaluated)
    evaluated.calibrate(ASKED, RIGHT)
    assert nll(evaluated) < before and evaluated.scoring.temperature != 1
    found = publish_winner(evaluated, tmp_path / "artifacts", manifest())
    assert {"neighbours.safetensors", "scoring.json"} <= set(found.manifest.files)
    served = load(found.path, found.digest)
    assert parity(served) < PARITY_TOLERANCE["float32"] and served.scoring == evaluated.scoring
    again = opened(tmp_path / "candidate")
    again.calibrate(ASKED, RIGHT)
    assert again.scoring == evaluated.scoring


def test_nothing_to_calibrate_on_changes_nothing(vectors: Floats, tmp_path: Path) -> None:
    """Without validation rows the scores stay as they were, and nothing is said of how novel a text is."""
    scorer = opened(written(tmp_path / "candidate", vectors))
    before = scorer.score(ASKED)
    scorer.calibrate([], [])
    assert np.allclose(scorer.score(ASKED), before, atol=1e-6) and scorer.novelty(ASKED) is None


def test_neighbours_without_gain_have_no_share(vectors: Floats, tmp_path: Path) -> None:
    """Where the rows' labels are wrong, validation rows say so, and the head answers alone."""
    folder = written(tmp_path / "candidate", vectors)
    Neighbours.of(vectors, [(label + 1) % 3 for label in TRUTH], [1.0] * len(TRUTH), 5).write(folder)
    scorer = opened(folder)
    scorer.calibrate(ASKED, RIGHT)
    assert scorer.scoring.share == 0
    assert (opened(folder).score(ASKED) == scorer.score(ASKED)).all()


def test_questions_of_another_kind_are_novel(vectors: Floats, tmp_path: Path) -> None:
    """Novelty is in [0, 1], spread over validation rows, and higher for questions that no training row is like."""
    scorer = opened(written(tmp_path / "candidate", vectors))
    assert scorer.novelty(ASKED) is None
    # No two alike: of equal ones each would be as novel as the most or the least novel of them.
    asked = [f"{text} {number}" for number, text in enumerate(ASKED)]
    scorer.calibrate(asked, RIGHT)
    others = ["boil the eggs for ten minutes", "photosynthesis needs light", "a sonnet has fourteen lines"]
    inside, outside = scorer.novelty(asked), scorer.novelty(others)
    assert inside is not None and outside is not None
    assert min(inside) >= 0 and max(outside) <= 1 and abs(float(inside.mean()) - 0.5) < 0.1
    assert auroc(inside, outside) > 0.95
    head = opened(written(tmp_path / "head", vectors, k=0))
    head.calibrate(ASKED, RIGHT)
    assert head.novelty(others) is not None


def test_energy_tells_what_the_nearest_row_does_not(tmp_path: Path) -> None:
    """Of two texts as near to a row the one that the head is less sure of is more novel, in the cosines' own range."""
    draw = np.random.default_rng(1)
    cosines, energies = (draw.normal(mean, spread, 200).astype(np.float32) for mean, spread in ((0.8, 0.1), (6.0, 2.0)))
    scoring = Scoring(neighbours=True).knowing(cosines, energies)
    unsure, sure = scoring.near(np.full(2, 0.8, dtype=np.float32), np.array([2.0, 10.0], dtype=np.float32))
    assert 0.05 < sure - unsure < 0.3 and abs((sure + unsure) / 2 - 0.8) < 0.05
    scoring.write(tmp_path)
    assert Scoring.read(tmp_path) == scoring
    older = json.loads((tmp_path / "scoring.json").read_text())
    del older["energy"], older["usual"]
    (tmp_path / "scoring.json").write_text(json.dumps(older))
    assert (Scoring.read(tmp_path).near(cosines, energies) == cosines).all()


def test_far_texts_are_told_apart() -> None:
    """Beyond the farthest validation row novelty still grows, up to 1; of few rows there is none."""
    scoring = Scoring(nearness=quantiles(np.linspace(0.5, 0.9, 100)))
    found = scoring.novelty(np.array([-1, 0.1, 0.4, 0.5, 0.7, 0.9, 1.0], dtype=np.float32))
    assert found is not None and (np.diff(found) <= 0).all() and (np.diff(found[:6]) < 0).all()
    assert found[-1] > 0 and found[0] <= 1 and found[4] == pytest.approx(0.5, abs=0.03)
    assert quantiles(np.ones(5)) == ()


def _edited(folder: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    tensors = load_file(folder / "neighbours.safetensors")
    change(tensors)
    save_file({name: one.contiguous() for name, one in tensors.items()}, folder / "neighbours.safetensors", {"k": "5"})


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda folder: (folder / "neighbours.safetensors").unlink(), "counts on neighbours.safetensors"),
        (lambda folder: (folder / "neighbours.safetensors").write_bytes(b"no tensors"), "holds no neighbours"),
        (lambda folder: _edited(folder, lambda tensors: tensors.pop("labels")), "holds no neighbours"),
        (lambda folder: _edited(folder, lambda tensors: tensors.update(labels=torch.zeros(3).long())), "holds arrays"),
        (lambda folder: _edited(folder, lambda tensors: tensors.update(labels=torch.tensor(3))), "holds arrays"),
        (
            lambda folder: _edited(folder, lambda tensors: tensors.update(vectors=tensors["vectors"].bfloat16())),
            "holds no neighbours",
        ),
        (lambda folder: _edited(folder, lambda tensors: tensors["labels"].fill_(9)), "that cannot be"),
        (lambda folder: _edited(folder, lambda tensors: tensors["vectors"].fill_(torch.nan)), "that cannot be"),
        (lambda folder: _edited(folder, lambda tensors: tensors["weights"].fill_(0)), "that cannot be"),
        (lambda folder: _edited(folder, lambda tensors: tensors["weights"].fill_(torch.inf)), "that cannot be"),
        (lambda folder: _edited(folder, lambda tensors: tensors["density"].fill_(torch.inf)), "that cannot be"),
        (lambda folder: _edited(folder, lambda tensors: tensors.update(density=torch.zeros(3))), "holds arrays"),
        (lambda folder: (folder / "scoring.json").write_text("{}", "utf-8"), "holds no scoring"),
        (lambda folder: (folder / "scoring.json").write_text("[1]", "utf-8"), "holds no scoring"),
        (lambda folder: _scoring(folder, temperature=0), "figures that cannot be"),
        (lambda folder: _scoring(folder, temperature=float("nan")), "figures that cannot be"),
        (lambda folder: _scoring(folder, share=1.5), "figures that cannot be"),
        (lambda folder: _scoring(folder, nearness=[0.3, 0.1, 0.2]), "figures that cannot be"),
    ],
)
def test_damage_is_refused(vectors: Floats, tmp_path: Path, damage: Callable[[Path], None], says: str) -> None:
    """One sentence that names the file."""
    folder = written(tmp_path / "candidate", vectors)
    opened(folder).calibrate(ASKED, RIGHT)
    damage(folder)
    with pytest.raises(ArtifactError, match=says) as caught:
        opened(folder)
    assert str(folder) in str(caught.value) and "\n" not in str(caught.value)


def _scoring(folder: Path, **fields: object) -> None:
    file = folder / "scoring.json"
    file.write_text(json.dumps(json.loads(file.read_text("utf-8")) | fields), "utf-8")


def test_the_heaviest_rows_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the bound checked rows stay and others are sampled, the same ones each time."""
    monkeypatch.setattr("headrace.models.neighbours.MAX_ROWS", 10)
    rows = np.eye(30, dtype=np.float32)
    weights = [0.3] * 25 + [1.0] * 5
    found = [Neighbours.of(rows, list(range(30)), weights, 3).labels.tolist() for _ in range(2)]
    assert found[0] == found[1] and len(found[0]) == 10 and set(range(25, 30)) < set(found[0])


def test_a_question_that_the_validation_rows_repeat_has_one_novelty() -> None:
    """The last bits of its vector decided whether the repetitions were nearer than it or not."""
    repeated = Scoring(nearness=quantiles(np.array([0.2] * 20 + [0.5000004] * 40 + [0.9] * 20)))
    found = repeated.novelty(np.array([0.5000004 - 3e-7, 0.5000004, 0.5000004 + 3e-7, 0.3, 0.7]))
    assert found is not None and np.ptp(found[:3]) < 1e-3 and 0.4 < found[0] < 0.6
    assert found[3] > found[0] > found[4]


def test_an_evaluation_embeds_no_text_twice(tmp_path: Path, vectors: Floats, monkeypatch: pytest.MonkeyPatch) -> None:
    """Calibrated, scored and measured for its distance, and each says what it says without remembering."""
    plain, remembering = opened(written(tmp_path / "a", vectors)), opened(written(tmp_path / "b", vectors))
    counted: list[int] = []
    embedded = remembering.encoder._embedded
    monkeypatch.setattr(
        remembering.encoder, "_embedded", lambda texts, step: counted.append(len(texts)) or embedded(texts, step)
    )
    with remembering.remembering():
        for model in (plain, remembering):
            model.calibrate(ASKED, RIGHT)
        assert np.allclose(plain.score(ASKED), remembering.score(ASKED), atol=1e-6)
        assert np.allclose(plain.novelty(ASKED), remembering.novelty(ASKED), atol=1e-5)  # type: ignore[arg-type]
    assert counted == [len(set(ASKED))]
    remembering.score(ASKED[:2])
    assert counted == [len(set(ASKED)), 2]
