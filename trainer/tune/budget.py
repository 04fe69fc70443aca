"""When tuning ends, so that what is finished can be judged within the plan's budget.

What judging takes is estimated from the rows that it reads and from the speed that each finished candidate showed on
validation rows; before that, from the size of its base.
"""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from headrace.process.memory import GIB, resident_bytes

QUESTIONS = 65
"""Asked one by one of each candidate to time it (trainer.evaluate.measure)."""
CAUTION = 1.5
"""A busy machine is slower later than when it was measured."""
FIXED_S = 3.0
"""Writing rows to the warehouse, and publishing."""
ROW_S_PER_PARAMETER = 2.5e-10
"""Of a candidate that nothing is known of: 6 ms a row for 22M parameters, 34 ms for 135M; two CPUs take half of it."""
GPU_FASTER = 50
LOOK_S = 0.5


@dataclass(frozen=True, slots=True)
class Trial:
    """What a tuned candidate showed on the validation rows.

    accuracy: share of them that it has right; open_s: to load it; row_s: to score one row among many; question_s: one
        alone
    """

    accuracy: float
    open_s: float
    row_s: float
    question_s: float = 0.0

    @classmethod
    def guessed(cls, parameters: int, gpu: bool = False) -> Trial:
        """Of a candidate of a base that was not tried, by the size of its model."""
        row_s = parameters * ROW_S_PER_PARAMETER / (GPU_FASTER if gpu else 1)
        return cls(0.0, 10 * row_s, row_s, 3 * row_s)


@dataclass(frozen=True, slots=True)
class Judging:
    """What is judged: texts that each candidate scores, rows that the chosen one scores, and models beside it there."""

    validation: int
    test: int
    others: int = 0

    def seconds(self, trials: list[Trial]) -> float:
        """An estimate for these candidates; the slowest of them may be the chosen one."""
        if not trials:
            return FIXED_S
        each = sum(one.open_s + QUESTIONS * one.question_s + self.validation * one.row_s for one in trials)
        slowest = max(trials, key=lambda one: one.row_s)
        chosen = (1 + self.others) * self.test * slowest.row_s
        others = self.others * (slowest.open_s + QUESTIONS * slowest.question_s)
        return FIXED_S + CAUTION * (each + chosen + others)


@dataclass(slots=True)
class Spending:
    """What is left of the plan's budget.

    ends_at: time.monotonic() when the whole is spent; bound: which bound of the plan that is, in words
    memory_gib: what the trainer's processes may hold together; gpu: whether there is one
    """

    ends_at: float
    bound: str
    judging: Judging
    memory_gib: float
    gpu: bool = False
    _trials: dict[str, Trial] = field(default_factory=dict)
    _of_size: dict[int, Trial] = field(default_factory=dict)
    _looked_at: float = 0.0

    def tried(self, name: str, trial: Trial, parameters: int) -> None:
        """A candidate of a base with so many parameters is finished, and will be judged."""
        self._trials[name] = self._of_size[parameters] = trial

    def tune_until(self, parameters: int) -> float:
        """time.monotonic() at which tuning a model of so many parameters has to end, so that it is judged, too."""
        this = self._of_size.get(parameters) or Trial.guessed(parameters, self.gpu)
        return self.ends_at - self.judging.seconds([*self._trials.values(), this])

    def check_memory(self, resident: Callable[[int], int] = resident_bytes) -> None:
        """Look at the memory now and then. Raises MemoryError where the plan's bound is passed."""
        now = time.monotonic()
        if now - self._looked_at < LOOK_S:
            return
        self._looked_at = now
        held = resident(os.getpgid(0))
        if held > self.memory_gib * GIB:
            raise MemoryError(f"{held / GIB:.1f} GiB")


def out_of_memory(error: BaseException) -> bool:
    """Whether an allocation failed, of the processor's memory or of a GPU's: torch says both as a RuntimeError."""
    said = f"{type(error).__name__} {error}".casefold().replace("outofmemory", "out of memory")
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and ("out of memory" in said or "can't allocate memory" in said)
    )


def let_go() -> None:
    """Give back what a candidate that failed has held."""
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
