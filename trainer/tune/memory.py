"""A batch in as many parts as the device's memory takes: the gradient is accumulated over the parts of a batch."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

import torch

from trainer.tune.budget import out_of_memory
from trainer.tune.method import OutOfMemory


class Parts:
    """How often a batch is halved so that it fits; what was needed once is kept for the batches that follow.

    module: whose gradient it is, transformers'; parameters: those that are trained
    say: told in one sentence what is done where the memory runs out
    """

    def __init__(self, module: Any, parameters: Collection[torch.Tensor], say: Callable[[str], None]) -> None:
        self.count = 1
        self._module = module
        self._parameters = parameters
        self._say = say

    def backward(self, batch: Sequence[int], loss_of: Callable[[Sequence[int]], Any]) -> Any:
        """Set the parameters' gradients to that of the batch's loss; returns the loss, a tensor without a gradient.

        batch: row numbers; loss_of: the share that some of its rows have in the batch's loss, a torch scalar: the
            shares of all parts add up to it
        Where the memory runs out, the batch is halved, down to parts of one row; then activations are computed again in
        the backward pass (gradient checkpointing, Chen et al., 2016). Raises OutOfMemory where that does not help.
        """
        while (loss := self._fitted(batch, loss_of)) is None:
            # Outside of the except clause, whose traceback held the tensors of the pass that failed.
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            self._shrink(len(batch))
        return loss

    def _fitted(self, batch: Sequence[int], loss_of: Callable[[Sequence[int]], Any]) -> Any:
        """The batch's loss; None where the memory ran out."""
        whole: Any = 0.0
        for parameter in self._parameters:
            parameter.grad = None
        size = -(-len(batch) // self.count)
        try:
            for start in range(0, len(batch), size):
                loss = loss_of(batch[start : start + size])
                loss.backward()
                whole = whole + loss.detach()
        except (MemoryError, RuntimeError) as error:
            if not out_of_memory(error):
                raise
            return None
        return whole

    def _shrink(self, rows: int) -> None:
        if self.count < rows:
            self.count = min(2 * self.count, rows)
            size = -(-rows // self.count)
            self._say(f"out of memory: batches of {rows} are read in {self.count} parts of at most {size} rows")
        elif getattr(self._module, "supports_gradient_checkpointing", False) and not _checkpoints(self._module):
            self._module.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
            self._say("out of memory with one row at a time: activations are computed again in the backward pass")
        else:
            raise OutOfMemory("one row does not fit the memory of the device; take a smaller base, or method lora")


def _checkpoints(module: Any) -> bool:
    return bool(getattr(module, "is_gradient_checkpointing", False))
