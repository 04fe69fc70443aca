"""Chains of models: fitted on validation rows, kept as thresholds and digests, answered tier by tier."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from test_budget import JUDGING, Heard

from headrace.contract.job_file import Attempt
from headrace.errors import ArtifactError, HeadraceError
from headrace.models.bases import base_of
from headrace.models.bundle import publish, verify
from headrace.models.chain import CHAIN, Chain
from headrace.models.families import Model, load, open_bundle
from headrace.models.families.chain import ChainModel
from headrace.models.family import LabelSet
from headrace.plan import CandidateSpec
from simulation.grammar import World
from trainer.evaluate.evaluators import chain as evaluator
from trainer.evaluate.subject import Subject
from trainer.process.incumbent import attached
from trainer.progress import Progress
from trainer.publish.artifact import Origin, publish_winner
from trainer.tune.budget import Spending
from trainer.tune.candidates import Tuned, Tuner
from trainer.tune.kept import Kept
from trainer.tune.method import AtAddress, HeldOut

LABELS = ("hr", "it", "finance", "product", "out_of_scope")
BASES = {name: base_of(name) for name in ("words", "chain")}
WORDS = CandidateSpec.model_validate({"method": "tfidf", "base": "words", "usd_per_hour": 0.05})
DEAR = CandidateSpec.model_validate({"method": "tfidf", "base": "words", "usd_per_hour": 500})
ASKED = [(question.text, question.label) for question in World(7).questions(1, 900)]
ORIGIN = Origin(Attempt("router", UUID(int=1), 0, "router@5", "router@4"), LABELS, "d", 1)


def chain_of(**keys: Any) -> CandidateSpec:
    """A candidate of this method."""
    return CandidateSpec.model_validate({"method": "chain", "base": "chain", "tiers": ["few", "all"]} | keys)


class Stage:
    """A tuner whose candidates are counted words: `few` of 40 rows, `all` of 400; 400 rows are held out."""

    def __init__(self, folder: Path, incumbent: AtAddress | None = None) -> None:
        self.incumbent = incumbent
        progress = Progress(Heard())  # type: ignore[arg-type]
        held = ASKED[400:800]
        truth = [LABELS.index(label) for _, label in held]
        self.held = HeldOut([text for text, _ in held], truth, [f"c{n // 2}" if n < 4 else str(n) for n in range(400)])
        self.tuner = Tuner(
            labels=LabelSet(LABELS, {label: label for label in LABELS}, {}),
            texts=[text for text, _ in ASKED[:400]],
            truth=[LABELS.index(label) for _, label in ASKED[:400]],
            weights=[1.0] * 400,
            dataset="d",
            bases=BASES,
            prices={"few": 0.05, "all": 500.0, "chain": 0.05},
            kept=Kept(folder, [], None, progress),
            seed=3,
            threads=1,
            spending=Spending(time.monotonic() + 600, "10 minutes", JUDGING, 100.0),
            progress=progress,
            held_out=self.held,
            incumbent=incumbent,
            opened=self.opened,
        )
        whole = self.tuner.texts, self.tuner.truth, self.tuner.weights
        self.tuner.texts, self.tuner.truth, self.tuner.weights = (part[:40] for part in whole)
        self.tuner.finished["few"] = self.tuner.tune("few", WORDS)
        self.tuner.texts, self.tuner.truth, self.tuner.weights = whole
        self.tuner.finished["all"] = self.tuner.tune("all", DEAR)

    def opened(self, tuned: Tuned) -> Model:
        """As the trainer opens it."""
        assert tuned.folder is not None
        model = open_bundle(tuned.folder, ORIGIN.manifest(tuned, BASES[tuned.spec.base], {}))
        return attached(model, self.incumbent) if self.incumbent else model

    def chain(self, **keys: Any) -> tuple[Tuned, ChainModel]:
        """A chain of the two, tuned and opened."""
        tuned = self.tuner.tune("chain", chain_of(**keys))
        assert tuned.folder is not None, tuned.failure
        model = self.opened(tuned)
        assert isinstance(model, ChainModel)
        return tuned, model


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Stage:
    """Tuned once."""
    return Stage(tmp_path_factory.mktemp("stage"))


@pytest.fixture(scope="module")
def fitted(stage: Stage) -> tuple[Tuned, ChainModel]:
    """With a margin that a poor first tier can be proven within."""
    return stage.chain(margin=0.08)


def test_each_text_is_answered_by_the_first_tier_that_is_sure(fitted: tuple[Tuned, ChainModel]) -> None:
    """With that tier's own probabilities, in any order and alone, and the dear tier is asked nothing else."""
    _, model = fitted
    texts = [text for text, _ in ASKED[800:]]
    scores, by = model.routed(texts)
    alone = [tier.log_probabilities(texts) for tier in model.tiers]
    threshold = model.chain.tiers[0].threshold
    assert threshold is not None
    sure = np.exp(alone[0].max(axis=1)) >= threshold
    assert 0 < sure.sum() < len(texts) and (by == np.where(sure, 0, 1)).all()
    assert np.allclose(scores, np.where(sure[:, None], alone[0], alone[1]), atol=1e-5)
    assert np.allclose(model.score(texts[::-1])[::-1], np.exp(scores), atol=1e-5)
    assert model.log_probabilities([]).shape == (0, len(LABELS))


def test_a_chain_trains_nothing_and_knows_its_price(stage: Stage, fitted: tuple[Tuned, ChainModel]) -> None:
    """What thresholds were looked at is in the bundle; the price is between those of the tiers."""
    tuned, model = fitted
    cheap, dear = (tier.usd_per_1k for tier in model.chain.tiers)
    assert tuned.kind == "chain" and tuned.trained == 0
    assert tuned.parameters == sum(one.parameters for one in stage.tuner.finished.values())
    assert cheap < model.chain.usd_per_1k == model.usd_per_1k < dear
    (chosen,) = [point for point in model.chain.curve if point.chosen]
    assert chosen.proven and chosen.usd_per_1k == model.chain.usd_per_1k
    assert model.chain.rows == 398, "of two rows of one session one counts"
    assert "at most 0.08 below that of all, at 95% confidence" in model.chain.against


def test_the_report_has_the_curve(stage: Stage, fitted: tuple[Tuned, ChainModel]) -> None:
    """Each threshold with its cost, its accuracy and the interval; nothing of what is no chain."""
    _, model = fitted
    found = evaluator.evaluate(_subject(model))
    assert found is not None and found.columns[:4] == ("thresholds", "usd_per_1k", "escalated", "accuracy")
    assert len(found.rows) == len(model.chain.curve) and [row[-1] for row in found.rows].count("chosen") == 1
    answered = [found.figures[f"answered_by_{name}"].value for name in ("few", "all")]
    assert sum(answered) == 1 and 0 < answered[0] < 1
    assert evaluator.evaluate(_subject(model.tiers[0])) is None


def _subject(model: Model) -> Subject:
    rows: Any = [type("Row", (), {"text": text, "label": label}) for text, label in ASKED[400:800]]
    scores = model.score([row.text for row in rows])
    return Subject(LABELS, {label: label for label in LABELS}, "out_of_scope", rows, scores, model=model)


def test_a_published_chain_is_its_tiers(fitted: tuple[Tuned, ChainModel], tmp_path: Path) -> None:
    """Tiers are bundles beside it; it answers as it was evaluated; one tier missing or changed and it is refused."""
    _, model = fitted
    published = publish_winner(model, tmp_path / "store", model.manifest)
    folder = published.path.parent
    assert sorted(path.name for path in folder.iterdir()) == ["5-a0", "5-a0+all", "5-a0+few"]
    assert set(published.manifest.files) == {CHAIN}
    texts = [text for text, _ in ASKED[800:]]
    moved = tmp_path / "elsewhere" / "router"
    shutil.copytree(folder, moved)
    loaded = load(moved / "5-a0", published.digest)
    assert np.allclose(loaded.log_probabilities(texts), model.log_probabilities(texts), atol=1e-5)
    words = moved / "5-a0+few" / "words.safetensors"
    words.write_bytes(words.read_bytes()[:-1] + b"?")
    with pytest.raises(ArtifactError, match="is not the file that was published"):
        verify(moved / "5-a0", published.digest)
    shutil.rmtree(moved / "5-a0+few")
    with pytest.raises(ArtifactError, match=r"there is no artifact at .*5-a0\+few"):
        verify(moved / "5-a0", published.digest)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"digest": ""}, "names no digest for its tier few"),
        ({"digest": "0" * 64}, "and not 000000000000… as promoted"),
        ({"folder": "../5-a0+few"}, r"is no chain: Chain\.tiers\.0\.folder"),
        ({"folder": "5-a0"}, "is no model of the chain's labels|and not"),
        ({"threshold": None}, "each tier but the last has a folder and a threshold"),
    ],
)
def test_a_forged_chain_is_refused(
    change: dict[str, Any], says: str, fitted: tuple[Tuned, ChainModel], tmp_path: Path
) -> None:
    """Whatever chain.json says, verified by the digest of a manifest that names it."""
    _, model = fitted
    published = publish_winner(model, tmp_path / "s", model.manifest)
    said = json.loads((published.path / CHAIN).read_text())
    said["tiers"][0] |= change
    work = tmp_path / "forged"
    work.mkdir()
    (work / CHAIN).write_text(json.dumps(said))
    forged = publish(work, tmp_path / "s", model.manifest.model_copy(update={"version": "router@6"}))
    with pytest.raises(ArtifactError, match=says):
        verify(forged.path, forged.digest)


def test_what_is_not_proven_is_no_candidate(stage: Stage) -> None:
    """Its reason is the candidate's failure, and so is a tier that was not tuned."""
    failed = stage.tuner.tune("chain", chain_of(margin=0.001))
    assert failed.folder is None and "it takes 3015 rows at least" in failed.failure
    failed = stage.tuner.tune("chain", chain_of(tiers=["few", "gone"]))
    assert failed.failure == "its tier gone was not tuned: there is no such candidate"
    failed = stage.tuner.tune("chain", chain_of(tiers=["few", "incumbent"]))
    assert failed.failure.startswith("there is no incumbent to ask here")

    waits: list[float] = []

    def away(texts: Sequence[str], *, within_s: float = 900.0) -> list[str]:
        waits.append(within_s)
        raise HeadraceError("no connection")

    stage.tuner.incumbent = AtAddress("router@0", away, {}, 0.0)
    failed = stage.tuner.tune("chain", chain_of(tiers=["few", "incumbent"]))
    assert failed.failure == "router@0 does not answer the validation rows: no connection"
    stage.tuner.incumbent = None
    # What is finished has to be judged within the ten minutes, too.
    assert 60 < waits[0] < stage.tuner.spending.ends_at - time.monotonic()


def test_the_incumbent_as_the_last_tier(tmp_path: Path) -> None:
    """Recorded answers are not asked again while a candidate is evaluated, and always are where it is timed."""
    right = dict(ASKED)
    calls: list[str] = []

    def ask(texts: Sequence[str], *, within_s: float = 900.0) -> list[str]:
        calls.extend(texts)
        return [right[text] for text in texts]

    known = dict(ASKED[400:700])
    stage = Stage(tmp_path, AtAddress("router@0", ask, known, 3.0))
    _, model = stage.chain(tiers=["all", "incumbent"], margin=0.05)
    assert model.chain.incumbent == "router@0" and set(calls) == {text for text, _ in ASKED[700:800]}
    last = model.chain.tiers[-1]
    assert last.folder == "" and 0.9 < last.accuracy < 1 and last.usd_per_1k == 3.0
    texts, calls[:] = [text for text, _ in ASKED[400:]], []
    with model.remembering():
        scores, by = model.routed(texts)
        model.routed(texts)
    escalated = [text for text, tier in zip(texts, by, strict=True) if tier == 1]
    assert sorted(calls) == sorted({text for text in escalated if text not in known}) and escalated
    asked = np.exp(scores[by == 1])
    assert np.allclose(asked.sum(axis=1), 1, atol=1e-4) and np.allclose(asked.max(axis=1), last.accuracy, atol=1e-4)
    calls.clear()
    assert [LABELS[place] for place in model.score(escalated).argmax(axis=1)] == [right[text] for text in escalated]
    assert calls == escalated
    silent = set(escalated[::2])
    model.ask = lambda texts: ["" if text in silent else right[text] for text in texts]
    said, answering = model.routed(escalated)
    before = model.tiers[0].log_probabilities(escalated)
    assert answering.tolist() == [int(text not in silent) for text in escalated]
    assert np.allclose(said[answering == 0], before[answering == 0])
    with pytest.raises(ArtifactError, match=r"asks router@0, and nothing here says how"):
        load_unattached(model).score(escalated)


def load_unattached(model: ChainModel) -> ChainModel:
    """The chain as whoever knows no plan loads it."""
    return ChainModel.open(model.folder, model.manifest)


def test_a_chain_is_read_as_it_was_written(tmp_path: Path) -> None:
    """And one that is not there says so."""
    tier = {"name": "a", "folder": "5-a0+a", "digest": "0" * 64, "threshold": 0.9}
    chain = Chain.model_validate({"tiers": [tier, {"name": "incumbent", "accuracy": 0.9}], "incumbent": "router@0"})
    chain.write(tmp_path)
    assert Chain.read(tmp_path) == chain and [one.name for one in chain.bundles] == ["a"]
    with pytest.raises(ArtifactError, match="cannot be read"):
        Chain.read(tmp_path / "gone")
