"""A fine-tuning run on disk, after each epoch: one safetensors file, from which it goes on as if it had never stopped.

The file holds parameters and Adam's moments; its metadata the epochs done and the run's key. What is random in an
epoch is seeded by the run's seed and the epoch, so no generator's state needs keeping.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file


def key_of(**what: Any) -> str:
    """Names a run by all that decides its result; a checkpoint of another run is never used."""
    return hashlib.sha256(json.dumps(what, sort_keys=True, default=str).encode()).hexdigest()


def save(
    path: Path, key: str, epochs: int, parameters: Mapping[str, torch.nn.Parameter], optimizer: torch.optim.Optimizer
) -> None:
    """Replace the run's checkpoint; a crash leaves the old one or the new one."""
    tensors: dict[str, torch.Tensor] = {}
    for name, parameter in parameters.items():
        tensors[f"parameter.{name}"] = parameter.detach().contiguous()
        for moment, value in optimizer.state[parameter].items():
            tensors[f"{moment}.{name}"] = value.detach().contiguous()
    partial = _partial(path)
    save_file(tensors, partial, metadata={"key": key, "epochs": str(epochs)})
    partial.chmod(0o600)
    partial.replace(path)


def load(path: Path, key: str, parameters: Mapping[str, torch.nn.Parameter], optimizer: torch.optim.Optimizer) -> int:
    """Take parameters and moments from the same run's checkpoint; the epochs it has done, 0 where there is none.

    The key does not name this program: one of a version that trained other tensors is none.
    """
    if _metadata(path).get("key") != key:
        return 0
    with safe_open(path, "pt") as file, torch.no_grad():
        names = set(file.keys())
        if any(not _holds(file, names, f"parameter.{name}", parameter) for name, parameter in parameters.items()):
            return 0
        for name, parameter in parameters.items():
            parameter.copy_(file.get_tensor(f"parameter.{name}"))
            optimizer.state[parameter] = {
                moment: _beside(parameter, moment, file.get_tensor(f"{moment}.{name}"))
                for moment in ("step", "exp_avg", "exp_avg_sq")
                if f"{moment}.{name}" in names
            }
    return int(_metadata(path)["epochs"])


def _holds(file: Any, names: Collection[str], name: str, parameter: torch.nn.Parameter) -> bool:
    return name in names and tuple(file.get_slice(name).get_shape()) == tuple(parameter.shape)


def _beside(parameter: torch.nn.Parameter, moment: str, value: torch.Tensor) -> torch.Tensor:
    """Where AdamW keeps it: on the parameter's device, but the count of steps on the CPU."""
    return value if moment == "step" else value.to(parameter.device)


def take_over(path: Path, earlier: Iterable[Path], key: str) -> Path | None:
    """Copy the checkpoint of the same run that has done most epochs; which one that was, None where there is none.

    earlier: files of earlier attempts, on this machine or in the store, which are left alone. Raises OSError.
    """
    if path.exists():
        return None
    done = {file: int(said["epochs"]) for file in earlier if (said := _metadata(file)).get("key") == key}
    if not done:
        return None
    newest = max(done, key=lambda file: done[file])
    copy(newest, path)
    return newest


def copy(source: Path, to: Path) -> None:
    """Copy a file that only its owner may read, whole or not at all. Raises OSError."""
    partial = _partial(to)
    try:
        shutil.copyfile(source, partial)
        partial.replace(to)
    except OSError:
        # Each process names its own: on a full disk what every attempt left would keep it full.
        partial.unlink(missing_ok=True)
        raise


def _partial(path: Path) -> Path:
    """Where the next checkpoint is written; what a model learned of the questions is its owner's alone."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    # In the store a trainer of another machine, that does not know yet that it lost the job, may write as well.
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    partial.unlink(missing_ok=True)
    partial.touch(mode=0o600)
    return partial


def _metadata(path: Path) -> dict[str, str]:
    try:
        with safe_open(path, "pt") as file:
            return dict(file.metadata() or {})
    except (OSError, SafetensorError):
        return {}
