"""A sentence encoder on ONNX Runtime: texts to unit vectors without torch, in less than half of its time.

The weights of an fp32 graph are mapped from safetensors files, so that of a large vocabulary only the words that
people use are in memory.
"""

from __future__ import annotations

import json
import mmap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Any, Self

from headrace.errors import ArtifactError
from headrace.models.bases import Base, cache_folder, header_of, resolve
from headrace.models.bundle import GRAPH, GRAPH_WEIGHTS, Manifest
from headrace.models.family import Step
from headrace.models.recall import Recall
from headrace.models.tensors import Floats, by_length
from headrace.models.tokenizer import token_ids, tokenizer_of

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

IDS, MASK, VECTORS = "input_ids", "attention_mask", "vectors"
BATCH = 4
"""Texts of like length that are embedded together: with more of them, more is padded than is won."""
PARTS = "weights", "inputs"
PEFT = "base_model.model."
"""Before the name of each tensor of an adapter."""


@dataclass(frozen=True, slots=True)
class Graph:
    """A graph with its weights, loaded: safe to call from several threads.

    fed: what it is given at each run beside the tokens: arrays that are read where they are
    alone: each row is embedded by itself, since a graph of int8 scales what it multiplies by all rows of a batch, and a
        text's answer must not depend on who else asks
    """

    session: Any
    fed: Mapping[str, Floats]
    alone: bool

    @classmethod
    def open(cls, folder: Path, weights: Mapping[str, Any], threads: int = 0) -> Self:
        """Load the graph in a folder. Raises ArtifactError.

        weights: float32 arrays by the names that the graph knows them by; none where it holds its own
        threads: of the runtime; 0: one, on which the gateway answers most questions a second
        """
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        # Threads that spin while they wait take the processor from whatever else runs.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        own, inputs = _wanted(folder)
        fed = {name: _of_shape(weights, name, shape) for name, shape in inputs.items()}
        held = {name: _of_shape(weights, name, shape) for name, shape in own.items()}
        try:
            if held:
                values = [onnxruntime.OrtValue.ortvalue_from_numpy(array) for array in held.values()]
                options.add_external_initializers(list(held), values)
            content = (folder / GRAPH).read_bytes()
            session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
            _let_go(weights)
        except Exception as error:  # its errors have no class in common
            why = " ".join(str(error).split())[:200]
            raise ArtifactError(f"{folder / GRAPH} is not a graph that ONNX Runtime loads ({why})") from None
        return cls(session, fed, not held)

    @property
    def width(self) -> int:
        """Of its vectors."""
        return int(self.session.get_outputs()[0].shape[1])

    def vectors(self, ids: npt.NDArray[np.int64], mask: npt.NDArray[np.int64]) -> Floats:
        """Unit vectors, float32 (rows, width), of token ids and their mask, int64 (rows, tokens)."""
        found: Floats = self.session.run([VECTORS], {IDS: ids, MASK: mask, **self.fed})[0]
        return found


class OnnxEncoder:
    """A sentence encoder, as encoder_base.Encoder is one: what it embeds is the same within 1e-5.

    base: whose tokenizer it uses; max_length: tokens, longer texts are cut
    """

    def __init__(self, base: Base, max_length: int, graph: Graph) -> None:
        self.max_length = max_length
        self.tokenizer = tokenizer_of(resolve(base), max_length)
        self.graph = graph
        self.recall = Recall()

    @property
    def width(self) -> int:
        """Of its vectors."""
        return self.graph.width

    def tokens(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text, with [CLS] and [SEP], at most max_length of them."""
        return token_ids(self.tokenizer, texts, self.max_length)

    def embed(self, texts: Sequence[str], step: Step | None = None) -> Floats:
        """Unit vectors, float32 (len(texts), width). step: told (texts done, texts in all) after each batch."""
        return self.recall.of(texts, lambda new: self._embedded(new, step))

    def _embedded(self, texts: Sequence[str], step: Step | None) -> Floats:
        import numpy as np

        out = np.zeros((len(texts), self.width), dtype=np.float32)
        tokens = self.tokens(texts)
        done = 0
        for rows in by_length(tokens, 1 if self.graph.alone else BATCH):
            longest = max(len(tokens[row]) for row in rows)
            ids, mask = (np.zeros((len(rows), longest), dtype=np.int64) for _ in range(2))
            for place, row in enumerate(rows):
                ids[place, : len(tokens[row])] = tokens[row]
                mask[place, : len(tokens[row])] = 1
            out[rows] = self.graph.vectors(ids, mask)
            done += len(rows)
            if step is not None:
                step(done, len(texts))
        return out


def graph_of(folder: Path, manifest: Manifest, threads: int = 0) -> Graph:
    """Load a bundle's graph, with the weights of its base, its adapter or its own. Raises ArtifactError."""
    if not (folder / GRAPH).exists():
        raise ArtifactError(
            f"{manifest.version} has no {GRAPH}; publish it again, or answer it on an engine of kind in_process"
        )
    return Graph.open(folder, _weights(folder, manifest), threads)


def _weights(folder: Path, manifest: Manifest) -> dict[str, Floats]:
    own, inputs = _wanted(folder)
    if not own:
        return {}
    if manifest.of_kind == "full":
        tuned = mapped(folder / "encoder.safetensors")
        return tuned | {name: _aside(tuned[name]) for name in inputs if name in tuned}
    files = sorted(resolve(manifest.of_base).glob("*.safetensors"))
    held = {name: array for file in files for name, array in mapped(file).items()}
    # A base's file may name its tensors as parts of a larger model.
    by_end = {name.partition(".")[2]: array for name, array in held.items()}
    weights = {
        name: held[name] if name in held else by_end[name] for name in (*own, *inputs) if name in held or name in by_end
    }
    return _adapted(weights, folder) if manifest.of_kind == "adapter" else weights


def _adapted(weights: Mapping[str, Floats], folder: Path) -> dict[str, Floats]:
    """With the folder's LoRA adapter in the weights, as PEFT merges it. Raises ArtifactError."""
    file = folder / "adapter_config.json"
    try:
        config = json.loads(file.read_text("utf-8"))
        rank, alpha = int(config["r"]), float(config["lora_alpha"])
        scale = alpha / (sqrt(rank) if config.get("use_rslora") else rank)
        own = mapped(folder / "adapter_model.safetensors")
        tensors = {name.removeprefix(PEFT): array for name, array in own.items()}
        merged = dict(weights)
        for name in [name for name in tensors if name.endswith(".lora_A.weight")]:
            stem = name.removesuffix(".lora_A.weight")
            down, up = tensors.pop(name), tensors.pop(f"{stem}.lora_B.weight")
            merged[f"{stem}.weight"] = weights[f"{stem}.weight"] + scale * (up @ down)
    except (OSError, ValueError, KeyError, TypeError, ZeroDivisionError) as error:
        raise ArtifactError(f"the adapter in {folder} does not fit its base ({error!r}); publish it again") from None
    if tensors:
        raise ArtifactError(f"the adapter in {folder} holds {min(tensors)}, which is not of LoRA; publish it again")
    return merged


def mapped(file: Path) -> dict[str, Floats]:
    """Float32 arrays of a safetensors file by name, read when they are used. Raises ArtifactError."""
    import numpy as np

    try:
        header = header_of(file)
        content: Any = np.memmap(file, dtype=np.uint8, mode="r")
        start = 8 + int.from_bytes(content[:8].tobytes(), "little")
        return {
            name: _array(content[start + said["data_offsets"][0] : start + said["data_offsets"][1]], said)
            for name, said in header.items()
            if name != "__metadata__" and said["dtype"] in ("F32", "F16", "BF16")
        }
    except FileNotFoundError:
        raise ArtifactError(f"there is no {file}; publish the artifact again") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ArtifactError(f"{file} is not a safetensors file: {error}") from None


def _aside(array: Floats) -> Floats:
    """A mapped copy in a file without a name, or one in memory where the cache has no room.

    An artifact that is cut short while it serves would end the process.
    """
    import numpy as np

    copied: Floats
    try:
        cache_folder().mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=cache_folder()) as file:
            array.tofile(file)
            file.flush()
            copied = np.memmap(file, dtype=np.float32, mode="r", shape=array.shape)
    except OSError:
        copied = np.array(array)
    return copied


def _let_go(weights: Mapping[str, Any]) -> None:
    """Give back the memory of files that were read: the runtime has copies, and the rest is read when it is used."""
    for file in {id(file): file for array in weights.values() if (file := getattr(array, "_mmap", None))}.values():
        file.madvise(mmap.MADV_DONTNEED)


def _array(content: Any, said: Mapping[str, Any]) -> Floats:
    import numpy as np

    if said["dtype"] == "BF16":
        found = (content.view("<u2").astype(np.uint32) << 16).view(np.float32)
    else:
        found = content.view("<f4" if said["dtype"] == "F32" else "<f2").astype(np.float32, copy=False)
    array: Floats = found.reshape(said["shape"])
    return array


def _wanted(folder: Path) -> tuple[dict[str, list[int]], dict[str, list[int]]]:
    """Shapes of the weights that the graph does not hold, and of its further inputs, by name. Raises ArtifactError."""
    file = folder / GRAPH_WEIGHTS
    if not file.exists():
        return {}, {}
    try:
        said = json.loads(file.read_text("utf-8"))
        own, inputs = ({str(name): list(map(int, shape)) for name, shape in said[key].items()} for key in PARTS)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise ArtifactError(f"{file} does not list weights ({error!r}); publish the artifact again") from None
    return own, inputs


def _of_shape(weights: Mapping[str, Floats], name: str, shape: list[int]) -> Floats:
    found = weights.get(name)
    if found is None or list(found.shape) != shape:
        has = "none" if found is None else f"one of {found.shape}"
        raise ArtifactError(f"a graph needs weights {name} of shape {shape}, and there is {has}; publish it again")
    return found
