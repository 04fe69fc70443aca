"""What families do alike with rows of tokens, logits and adapters."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from headrace.errors import ArtifactError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

Floats: TypeAlias = "npt.NDArray[np.float32]"
Side = Literal["left", "right"]
BATCH = 32


def by_length(tokens: Sequence[Sequence[int]], batch: int = BATCH) -> Iterator[list[int]]:
    """Row numbers in batches of like length, so that little is padded."""
    order = sorted(range(len(tokens)), key=lambda row: len(tokens[row]))
    for start in range(0, len(order), batch):
        yield order[start : start + batch]


def padded(rows: Sequence[Sequence[int]], filler: int, side: Side = "right") -> tuple[Any, Any]:
    """Ids and mask, torch tensors (len(rows), longest), filled up on one side."""
    import torch

    longest = max(len(row) for row in rows)
    ids = torch.full((len(rows), longest), filler, dtype=torch.long)
    mask = torch.zeros((len(rows), longest), dtype=torch.long)
    for number, row in enumerate(rows):
        place = slice(longest - len(row), longest) if side == "left" else slice(0, len(row))
        ids[number, place] = torch.tensor(row, dtype=torch.long)
        mask[number, place] = 1
    return ids, mask


def log_softmax(logits: Floats) -> Floats:
    """Natural logarithms of probabilities, float32, of logits (rows, labels); of no rows none."""
    import numpy as np

    if not len(logits):
        return logits.astype(np.float32)
    shifted = logits - logits.max(axis=1, keepdims=True)
    out: Floats = (shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))).astype(np.float32)
    return out


def merged(module: Any, folder: Path) -> Any:
    """The model with the folder's LoRA adapter in its weights, no slower than the base. Raises ArtifactError."""
    from peft import PeftModel

    try:
        return PeftModel.from_pretrained(module, str(folder), local_files_only=True).merge_and_unload()
    except (ValueError, RuntimeError, OSError, KeyError, TypeError) as error:
        why = " ".join(str(error).split())[:200]
        raise ArtifactError(f"the adapter in {folder} does not fit its base: {why}") from None


def write_tensors(file: Path, tensors: Mapping[str, Any]) -> None:
    """A safetensors file."""
    from safetensors.torch import save_file

    save_file({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, file)


def read_tensors(file: Path) -> dict[str, Any]:
    """Of a safetensors file, by name. Raises ArtifactError."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return dict(load_file(str(file)))
    except FileNotFoundError:
        raise ArtifactError(f"there is no {file}; publish the artifact again") from None
    except (SafetensorError, OSError) as error:
        raise ArtifactError(f"{file} is not a safetensors file: {error}") from None


def read_arrays(file: Path) -> dict[str, Floats]:
    """The same without torch, as arrays. Raises ArtifactError."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        return dict(load_file(str(file)))
    except FileNotFoundError:
        raise ArtifactError(f"there is no {file}; publish the artifact again") from None
    except (SafetensorError, OSError) as error:
        raise ArtifactError(f"{file} is not a safetensors file: {error}") from None


def write_adapter(module: Any, folder: Path) -> None:
    """PEFT's own two files of an adapted model."""
    # PEFT writes a README too; a bundle holds only what it needs. It must not look the base up on the hub.
    own = folder / "peft"
    module.save_pretrained(str(own), safe_serialization=True, save_embedding_layers=False)
    (own / "adapter_model.safetensors").replace(folder / "adapter_model.safetensors")
    # PEFT keeps the target modules in a set; sorted, the same run gives the same bytes.
    config = json.loads((own / "adapter_config.json").read_text("utf-8"))
    config["target_modules"].sort()
    (folder / "adapter_config.json").write_text(json.dumps(config, indent=1, sort_keys=True), "utf-8")
    shutil.rmtree(own)
