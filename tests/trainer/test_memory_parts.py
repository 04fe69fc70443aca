"""Where the memory runs out, a batch is read in parts, and what is learned is the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch

from trainer.tune.memory import Parts
from trainer.tune.method import OutOfMemory

ROWS = [0, 1, 2, 3, 4]


class Small(torch.nn.Linear):
    """A model whose device takes `most` rows, and twice as many with gradient checkpointing."""

    def __init__(self, most: float, error: Exception, checkpoints: bool = False) -> None:
        torch.manual_seed(1)
        super().__init__(3, 1)
        self.most, self.error, self.supports_gradient_checkpointing = most, error, checkpoints
        self.is_gradient_checkpointing = False

    def gradient_checkpointing_enable(self, **_: Any) -> None:
        self.is_gradient_checkpointing = True
        self.most *= 2

    def share(self, part: Sequence[int]) -> Any:
        """Of the mean over all rows. The error comes when the gradient of an earlier part is there already."""
        if len(part) > self.most:
            raise self.error
        return self(torch.tensor([[row, row**2, 1.0] for row in part])).exp().sum() / len(ROWS)


def gradient(most: float, error: Exception, **kind: bool) -> tuple[Any, list[str], int]:
    """Of the weights, what was said, and in how many parts a batch is read from now on."""
    said: list[str] = []
    model = Small(most, error, **kind)
    parts = Parts(model, list(model.parameters()), said.append)
    parts.backward(ROWS, model.share)
    return model.weight.grad, said, parts.count


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("CUDA"), RuntimeError("DefaultCPUAllocator: can't allocate memory"), MemoryError()]
)
def test_a_batch_is_halved_until_it_fits(error: Exception) -> None:
    """The gradient is that of the whole batch, the parts are kept, and each step is said."""
    whole, silent, once = gradient(5, error)
    found, said, count = gradient(2, error)
    assert torch.allclose(found, whole, rtol=1e-5) and (silent, once, count) == ([], 1, 4)
    assert said == [
        "out of memory: batches of 5 are read in 2 parts of at most 3 rows",
        "out of memory: batches of 5 are read in 4 parts of at most 2 rows",
    ]


def test_one_row_that_does_not_fit_is_checkpointed_and_then_refused() -> None:
    """Activations are computed again where the model can do that; else the candidate fails with what to do."""
    error = torch.OutOfMemoryError("CUDA")
    whole, _, _ = gradient(5, error)
    found, said, _ = gradient(0.5, error, checkpoints=True)
    assert torch.allclose(found, whole, rtol=1e-5) and "computed again in the backward pass" in said[-1]
    with pytest.raises(OutOfMemory, match="take a smaller base, or method lora"):
        gradient(0.5, error)
    with pytest.raises(OutOfMemory):
        gradient(0.2, error, checkpoints=True)


def test_another_failure_is_no_lack_of_memory() -> None:
    """It ends the run as it did before."""
    with pytest.raises(RuntimeError, match="shapes differ"):
        gradient(2, RuntimeError("shapes differ"))
