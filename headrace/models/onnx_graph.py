"""An encoder as a graph for ONNX Runtime, token ids to unit vectors: exported once for an architecture, and checked.

A graph of fp32 holds no weights: they stay in the safetensors file of the base or of the bundle, by whose names the
graph knows them. So it takes less than a megabyte, and bundles of one base share the base's file. A graph of int8 holds
its weights.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
import transformers
from onnx import ModelProto, TensorProto, numpy_helper

from headrace.models.bases import cache_folder, made_once
from headrace.models.bundle import GRAPH, GRAPH_WEIGHTS
from headrace.models.encoder_base import built, pooled
from headrace.models.family import Unsupported
from headrace.models.onnx_encoder import IDS, MASK, VECTORS, Graph
from headrace.models.tensors import Floats, padded

OPSET = 17
REVISION = 1
"""Of this file: graphs of another one are exported again."""
CHECKED = ((3,), (9, 9, 9), (17, 4, 1), (5, 33))
"""Lengths of the rows of batches on which a graph is compared with torch."""
TOLERANCE = 1e-4
"""Greatest difference of a component of a unit vector there."""
OWN = "module."
"""Before the name of each of the encoder's tensors in what is exported."""


def write_graph(config: Any, folder: Path) -> None:
    """Write the graph of encoders with this configuration, a transformers one, and the names of its weights.

    The first time it is exported, which takes seconds; then it is in the cache. Raises Unsupported where it cannot be
    exported, or does not embed as torch does.
    """
    kept = _kept(config)
    for name in (GRAPH, GRAPH_WEIGHTS):
        shutil.copyfile(kept / name, folder / name)


def write_quantised(config: Any, weights: Mapping[str, Any], folder: Path) -> None:
    """Write a graph that holds its weights in int8, with a scale for each channel. Raises Unsupported as above.

    weights: the encoder's tensors, by the names in its state_dict
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic

    graph = onnx.load(str(_kept(config) / GRAPH), load_external_data=False)
    _fill(graph, {name: tensor.detach().cpu().float().numpy() for name, tensor in weights.items()})
    quantize_dynamic(graph, str(folder / GRAPH), per_channel=True, weight_type=QuantType.QInt8)


def _kept(config: Any) -> Path:
    """The folder of the architecture's graph in the cache, exported once."""
    of = (config.to_json_string(use_diff=False), torch.__version__, transformers.__version__, str(REVISION))
    folder = cache_folder() / "graphs" / hashlib.sha256("\0".join(of).encode()).hexdigest()[:32]
    return made_once(folder, lambda staging: _export(config, staging))


class _Pooled(torch.nn.Module):
    """What is exported: token ids and their mask to unit vectors."""

    def __init__(self, module: Any) -> None:
        super().__init__()
        self.module = module

    def forward(self, input_ids: Any, attention_mask: Any) -> Any:
        return pooled(self.module, input_ids, attention_mask, attention_mask)


def _export(config: Any, folder: Path) -> None:
    generator, file = torch.Generator().manual_seed(0), folder / GRAPH
    try:
        module = built(config)
        with torch.no_grad():
            for tensor in module.parameters():
                # The exporter makes one of tensors that are equal, as those of all new norms are.
                tensor.add_(0.02 * torch.randn(tensor.shape, generator=generator))
        ids, mask = _batch(CHECKED[2], config.vocab_size, generator)
        with torch.inference_mode(), warnings.catch_warnings():
            # What the exporter is unsure of is compared below.
            warnings.simplefilter("ignore")
            torch.onnx.export(
                # In evaluation mode, to which the exporter puts it back.
                _Pooled(module).eval(),
                (ids, mask),
                str(file),
                input_names=[IDS, MASK],
                output_names=[VECTORS],
                dynamic_axes={IDS: {0: "rows", 1: "tokens"}, MASK: {0: "rows", 1: "tokens"}, VECTORS: {0: "rows"}},
                opset_version=OPSET,
                # Folded weights would be transposed, and lose the names by which they are found again.
                do_constant_folding=False,
                dynamo=False,
            )
        words = module.get_input_embeddings().weight
        fed = next((name for name, tensor in module.named_parameters() if tensor is words), "")
        _strip(file, module.state_dict(), fed, folder / GRAPH_WEIGHTS)
        off = _difference(folder, module, config.vocab_size, generator)
    except Exception as error:  # of whatever an architecture makes the exporter or the runtime do
        why = " ".join(str(error).split())[:200] or type(error).__name__
        raise Unsupported(f"a {config.model_type} cannot be exported for ONNX Runtime: {why}") from None
    if not off <= TOLERANCE:
        raise Unsupported(
            f"a {config.model_type}, exported for ONNX Runtime, embeds otherwise than torch: by {off:.2g}"
        )


def _strip(file: Path, state: Mapping[str, Any], fed: str, listing: Path) -> None:
    """Take the encoder's tensors out of the graph, and list them with their shapes.

    fed: the one that becomes an input, the words' embeddings: the runtime copies what it is given as weights, and a
        mapped input is read where a question's words are, and nowhere else
    """
    model = onnx.load(str(file))
    taken: dict[str, dict[str, list[int]]] = {"weights": {}, "inputs": {}}
    for tensor in list(model.graph.initializer):
        name = tensor.name.removeprefix(OWN)
        if name not in state:
            continue
        _rename(model, tensor.name, name)
        taken["inputs" if name == fed else "weights"][name] = list(tensor.dims)
        if name == fed:
            model.graph.input.append(onnx.helper.make_tensor_value_info(name, TensorProto.FLOAT, list(tensor.dims)))
            model.graph.initializer.remove(tensor)
            continue
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        del tensor.external_data[:]
        tensor.external_data.add(key="location", value="weights")
    onnx.save(model, str(file))
    listing.write_text(json.dumps(taken, indent=1, sort_keys=True), "utf-8")


def _rename(model: ModelProto, before: str, after: str) -> None:
    for tensor in model.graph.initializer:
        if tensor.name == before:
            tensor.name = after
    for node in model.graph.node:
        for place, name in enumerate(node.input):
            if name == before:
                node.input[place] = after


def _fill(model: ModelProto, weights: Mapping[str, Floats]) -> None:
    """Put the weights into the graph, transposed where it transposes them: only so are they found to be quantised."""
    for given in [given for given in model.graph.input if given.name in weights]:
        model.graph.initializer.append(numpy_helper.from_array(weights[given.name], given.name))
        model.graph.input.remove(given)
    held = {tensor.name: tensor for tensor in model.graph.initializer}
    for name, tensor in held.items():
        if tensor.data_location == TensorProto.EXTERNAL:
            tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(weights[name]), name))
    for node in [node for node in model.graph.node if node.op_type == "Transpose" and node.input[0] in held]:
        array = numpy_helper.to_array(held[node.input[0]])
        turned = array.transpose(list(node.attribute[0].ints) if node.attribute else None)
        model.graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(turned), node.output[0]))
        model.graph.node.remove(node)
    used = {name for node in model.graph.node for name in node.input}
    for tensor in [tensor for tensor in model.graph.initializer if tensor.name not in used]:
        model.graph.initializer.remove(tensor)


def _batch(lengths: tuple[int, ...], words: int, generator: Any) -> tuple[Any, Any]:
    rows = [torch.randint(words, (length,), generator=generator).tolist() for length in lengths]
    return padded(rows, filler=0)


def _difference(folder: Path, module: Any, words: int, generator: Any) -> float:
    """Greatest difference to torch, of any component of any vector."""
    graph = Graph.open(folder, {name: tensor.numpy() for name, tensor in module.state_dict().items()})
    off = 0.0
    for lengths in CHECKED:
        ids, mask = _batch(lengths, words, generator)
        with torch.inference_mode():
            expected = pooled(module, ids, mask, mask).numpy()
        off = max(off, float(np.abs(graph.vectors(ids.numpy(), mask.numpy()) - expected).max()))
    return off
