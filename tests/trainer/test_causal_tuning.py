"""A causal model is tuned by the same methods as an encoder, and what is loaded is what was tuned."""

from __future__ import annotations

import inspect
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from peft import PeftModel
from test_causal import manifest
from tiny_llama import tiny_llama
from transformers import AutoTokenizer, LlamaForCausalLM

from headrace import kinds
from headrace.errors import ArtifactError
from headrace.models.bases import Base, base_of, resolve
from headrace.models.bundle import Manifest, publish
from headrace.models.codes import codes_of, listed, tokens_of
from headrace.models.families import family_of, load, open_bundle
from headrace.models.families.causal import CausalModel, TunableCausal
from headrace.models.family import LabelSet, Unsupported
from headrace.models.generation import Sampling
from headrace.models.prompt import read_examples, read_prompt
from headrace.plan import CandidateSpec
from headrace.plan.methods import keys_of, mistakes
from trainer.tune.method import Given

LABELS = LabelSet(("hr", "it"), {"hr": "Human Resources", "it": "IT support"}, {"it": "devices and accounts"})
TEXTS = [f"{word} {n}" for word in ("days off", "broken laptop") for n in range(6)]
TRUTH = [0] * 6 + [1] * 6


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Base:
    """A Llama of two layers with random weights and few words: what is shown is the way, and it takes a second."""
    return tiny_llama(tmp_path_factory.mktemp("tiny"), [inspect.getsource(sys.modules[__name__])], 0.3)


class Stopped(Exception):
    """Stands for whatever ends a process between two epochs."""


def given_of(base: Base, folder: Path, **fields: Any) -> Given:
    """What a method tunes, on twelve rows."""
    known: dict[str, Any] = {
        "base": base,
        "family": family_of("causal"),
        "labels": LABELS,
        "texts": TEXTS,
        "truth": TRUTH,
        "weights": [1.0] * len(TRUTH),
        "embeddings": lambda: pytest.fail("a causal model takes no head, so nothing is embedded"),
        "seed": 3,
        "threads": 2,
        "checkpoint": folder / "checkpoint.safetensors",
        "key": "this run",
        "deadline": float("inf"),
        "step": lambda done, total: None,
    }
    return Given(**known | fields)


def tuned(given: Given, folder: Path, method: str, **keys: object) -> tuple[TunableCausal, Manifest]:
    """Tune and save to `folder`; what was tuned, and the manifest to open it with."""
    spec = CandidateSpec.model_validate({"base": "tiny", "method": method} | keys)
    module = kinds.load("methods", method)
    module.tune(given, keys_of(spec))
    tunable = given.tunable
    assert isinstance(tunable, TunableCausal)
    folder.mkdir(parents=True)
    tunable.save(folder, module.MAKES or tunable.kind)
    named = {
        "base": "tiny", "base_source": given.base.source, "base_digest": given.base.digest, "labels": LABELS.ids,
        "method": method, "kind": module.MAKES or tunable.kind, "max_length": 256,
    }  # fmt: skip
    return tunable, manifest(**named)


def scored(tunable: TunableCausal) -> Any:
    """Log-probabilities as training sees them, (rows, labels)."""
    rows = tunable.prepare(TEXTS)
    with torch.inference_mode():
        return -torch.stack([tunable.losses(rows, [label] * len(rows)) for label in (0, 1)], dim=1).numpy()


@pytest.mark.parametrize(("method", "kind"), [("lora", "adapter"), ("full", "full"), ("p_tuning", "soft_prompt")])
def test_what_is_loaded_is_what_was_tuned(base: Base, method: str, kind: str, tmp_path: Path) -> None:
    """Its labels' probabilities have moved towards the rows, and the published bundle has them to 1e-4."""
    given = given_of(base, tmp_path)
    before = scored(cast(TunableCausal, given.tunable))[range(12), TRUTH]
    folder = tmp_path / "candidate"
    tunable, made = tuned(given, folder, method, epochs=8, batch=4, learning_rate=1e-2)
    after = scored(tunable)
    assert float(after[range(12), TRUTH].mean()) > 0.7 * float(before.mean())
    model = open_bundle(folder, made, threads=2)
    assert np.abs(model.log_probabilities(TEXTS) - after).max() < 1e-4
    assert model.tokens(TEXTS[:1])[0] < 60
    (folder / "parity.json").write_text("{}")
    published = publish(folder, tmp_path / "store", made)
    assert load(published.path, published.digest).manifest.kind == kind


@pytest.mark.parametrize("method", ["lora", "p_tuning"])
def test_stopped_and_resumed_is_never_stopped(base: Base, method: str, tmp_path: Path) -> None:
    """Ended in the second epoch and started again from the checkpoint: the same bytes as without an end."""

    def stop(done: int, total: int) -> None:
        if done == 5:
            raise Stopped

    keys: dict[str, object] = {"epochs": 2, "batch": 4}
    tuned(given_of(base, tmp_path), tmp_path / "straight", method, **keys)
    (tmp_path / "again").mkdir()
    with pytest.raises(Stopped):
        tuned(given_of(base, tmp_path / "again", step=stop), tmp_path / "never", method, **keys)
    tuned(given_of(base, tmp_path / "again"), tmp_path / "resumed", method, **keys)
    straight, resumed = (
        {file.name: file.read_bytes() for file in (tmp_path / name).iterdir()} for name in ("straight", "resumed")
    )
    assert straight == resumed


def test_virtual_tokens_are_as_peft_reads_them(base: Base, tmp_path: Path) -> None:
    """PEFT's own loading scores as the bundle does, whose scores do not depend on batches and padding."""
    _, made = tuned(given_of(base, tmp_path), tmp_path / "soft", "p_tuning", epochs=3, learning_rate=1e-2)
    model = open_bundle(tmp_path / "soft", made, threads=2)
    assert isinstance(model, CausalModel)
    together = model.log_probabilities(TEXTS)
    for batch, side in ((1, "left"), (5, "right")):
        again = model.log_probabilities(TEXTS, batch, "left" if side == "left" else "right")
        assert np.abs(again - together).max() < 1e-4
    theirs = PeftModel.from_pretrained(LlamaForCausalLM.from_pretrained(base.source), str(tmp_path / "soft")).eval()
    for row in (0, 11):
        ids = torch.tensor([model.base.prompt("Classify the question.", TEXTS[row])])
        with torch.inference_mode():
            logits = theirs(input_ids=ids, attention_mask=torch.ones_like(ids)).logits[0, -1]
        codes = json.loads((tmp_path / "soft" / "prompt.json").read_text())["codes"]
        tokens = tokens_of(model.base.tokenizer, codes, LABELS.ids)
        assert np.abs(logits[tokens].log_softmax(-1).numpy() - together[row]).max() < 1e-4


@pytest.mark.parametrize("method", ["lora", "full", "p_tuning"])
def test_a_model_learns_to_write(base: Base, method: str, tmp_path: Path) -> None:
    """Supervised by texts in the chat template: the answers become likely, the prompt is not learned, rows may differ
    in length, and the bundle writes without labels."""
    answers = ["Ask your manager.", "Turn it off, wait a minute, and turn it on again."]
    given = given_of(
        base, tmp_path, answers=answers, instructions="Help.", labels=LabelSet((), {}, {}), texts=TEXTS, truth=TRUTH
    )
    writer = given.tunable
    rows = writer.prepare(["days off 1", "a broken laptop that " + "really " * 9 + "does not start"])
    with torch.inference_mode():
        together = writer.losses(rows, [0, 1]).tolist()
        alone = [float(writer.losses([row], [truth])) for row, truth in zip(rows, (0, 1), strict=True)]
    assert together == pytest.approx(alone, abs=1e-4)
    whole = [*rows[0], *writer.base.answer(answers[0])]  # type: ignore[attr-defined]
    with torch.inference_mode():
        said = writer.module(input_ids=torch.tensor([whole])).logits[0].log_softmax(-1)
    places = range(len(rows[0]), len(whole))
    assert alone[0] == pytest.approx(-np.mean([float(said[at - 1, whole[at]]) for at in places]), abs=1e-4)
    module = kinds.load("methods", method)
    keys = {"epochs": 12, "batch": 4, "learning_rate": 1e-2}
    module.tune(given, keys_of(CandidateSpec.model_validate({"base": "tiny", "method": method} | keys)))
    with torch.inference_mode():
        after = writer.losses(rows, [0, 1]).tolist()
    assert sum(after) < 0.8 * sum(alone)
    folder = tmp_path / "writer"
    folder.mkdir()
    writer.save(folder, module.MAKES)
    named = {"base": "tiny", "base_source": base.source, "base_digest": base.digest, "labels": ()}
    model = open_bundle(folder, manifest(**named, method=method, kind=module.MAKES, max_length=256), threads=2)
    assert len(model.generate(["days off 1"], 8)) == 1
    with pytest.raises(ArtifactError, match="writes text and scores no labels"):
        model.score(["days off 1"])


def test_text_is_written_after_virtual_tokens(base: Base, tmp_path: Path) -> None:
    """Token by token as at once; the virtual tokens count as read."""
    _, made = tuned(given_of(base, tmp_path), tmp_path / "soft", "p_tuning", epochs=1)
    model = open_bundle(tmp_path / "soft", made, threads=2)
    generation = model.stream([("user", TEXTS[0])], Sampling(max_tokens=8))
    assert "".join(generation).strip() == model.generate(TEXTS[:1], 8)[0]
    assert generation.tokens_in == model.tokens(TEXTS[:1])[0] > 20


def test_the_nearest_rows_are_shown(base: Base, tmp_path: Path) -> None:
    """The nearest one last, a teacher's row never, whatever rows weigh; the bundle shows the same, and an encoder is
    not asked to.
    """
    said: dict[str, Any] = {"weights": [0.5] * 12, "checked": [True] * 11 + [False]}
    _, made = tuned(given_of(base, tmp_path, **said), tmp_path / "shown", "few_shot", examples=3)
    model = open_bundle(tmp_path / "shown", made, threads=2)
    assert isinstance(model, CausalModel)
    examples = read_examples(tmp_path / "shown")
    assert examples is not None and len(examples.rows) == 11 and TEXTS[11] not in dict(examples.rows)
    (near,) = examples.nearest(["broken laptop 11"], read_prompt(tmp_path / "shown"))
    assert len(near) == 3 and {answer for _, answer in near} == {"IT"} and TEXTS[11] not in dict(near)
    text = model.base.tokenizer.decode(model.base.prompt("Say.", "broken laptop 11", near))
    assert text.index(near[0][0]) < text.rindex(near[-1][0]) < text.rindex("broken laptop 11")
    (folder := tmp_path / "shown").joinpath("parity.json").write_text("{}")
    assert publish(folder, tmp_path / "store", made).manifest.keeps_base
    (folder / "examples.safetensors").unlink()
    with pytest.raises(ArtifactError, match=r"there is no .*examples.safetensors"):
        open_bundle(folder, made)


def test_what_does_not_fit_the_base_is_that_candidates_failure(base: Base, tmp_path: Path) -> None:
    """Labels described at too great length, or too many virtual tokens: the others of the attempt are tuned."""
    told = replace(LABELS, describe=dict.fromkeys(LABELS.ids, "word " * 200))
    with pytest.raises(Unsupported, match="the instructions alone have"):
        tuned(given_of(base, tmp_path, labels=told), tmp_path / "told", "lora")
    with pytest.raises(Unsupported, match="300 virtual tokens are more than the 256"):
        tuned(given_of(base, tmp_path), tmp_path / "soft", "p_tuning", virtual_tokens=300)


def test_a_prompt_without_room_loses_examples_first(base: Base) -> None:
    """The farthest first, and then the question's end."""
    tunable = family_of("causal").tunable(base, LABELS, 0)
    assert isinstance(tunable, TunableCausal)
    shown = [(f"example {number} " + "word " * 60, "HR") for number in range(5)]
    text = tunable.base.tokenizer.decode(tunable.base.prompt("Say.", "What now?", shown))
    assert "example 4" in text and "example 0" not in text and "What now?" in text
    whole = tunable.base.prompt("Say.", "What now? " * 200, shown)
    assert 240 < len(whole) <= 256 and "example" not in tunable.base.tokenizer.decode(whole)


def test_each_label_has_a_code_of_one_token() -> None:
    """Its text, its first word, or letters; 300 labels have 300 codes, and the same every time."""
    tokenizer = AutoTokenizer.from_pretrained(str(resolve(base_of("smollm2-135m-q4"))))
    texts = {"hr": "HR", "it": "IT", "its": "IT support", "home": "home and kitchen", "a": "pay day", "b": "pay slip"}
    codes = codes_of(tokenizer, LabelSet(tuple(texts), texts, {"it": "devices"}))
    assert (codes["hr"], codes["it"], codes["home"].strip()) == ("HR", "IT", "home")
    assert len({codes["its"], codes["a"], codes["b"]} & {"A", "B", "C"}) == 3
    ids = tuple(f"label_{number}" for number in range(300))
    many = LabelSet(ids, {label: f"the label {label}" for label in ids}, {})
    found = codes_of(tokenizer, many)
    assert found == codes_of(tokenizer, many) and len(set(tokens_of(tokenizer, found, ids))) == 300
    assert listed(LabelSet(("it", "b"), {"it": "IT", "b": "pay slip"}, {"it": "devices"}), codes | {"b": "B"}) == (
        "- IT: devices\n- B: pay slip"
    )
    with pytest.raises(ArtifactError, match="is not one token"):
        tokens_of(tokenizer, {"hr": "Human Resources"}, ["hr"])
    with pytest.raises(ArtifactError, match="two labels have the same code"):
        tokens_of(tokenizer, {"hr": "A", "it": "A"}, ["hr", "it"])


@pytest.mark.parametrize("method", ["few_shot", "p_tuning"])
def test_an_encoder_takes_no_prompt(method: str) -> None:
    """The plan says so before anything is tuned."""
    fields = {"tasks": {"router": {"candidates": {"small": {"method": method}}}}}
    (mistake,) = mistakes(fields)
    assert mistake["msg"] == f"{method!r} needs a base that takes a prompt, which minilm-l6 does not"
