"""What a method of tuning is: a file of trainer/tune/methods, or of a folder that another package names."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import ceil
from pathlib import Path
from typing import Any, Literal, Protocol, cast

from headrace.errors import HeadraceError
from headrace.models.bases import Base
from headrace.models.bundle import Kind
from headrace.models.family import Family, LabelSet, Model, Step, Tunable, Writes
from headrace.models.tensors import Floats
from headrace.plan.section import Section

PART = "+"
"""Between the name of a candidate, which has none in it, and that of a part."""


class OutOfBudget(Exception):
    """The plan's budget is spent; what is done so far stands in the checkpoint."""


class OutOfMemory(OutOfBudget):
    """The device's memory does not take one row; says so in a sentence."""


class Diverged(HeadraceError):
    """The model answers with no numbers any more; says so in a sentence."""


class Unproven(HeadraceError):
    """The rows do not show that what was asked of the candidate holds; says so in a sentence."""


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Rows that train nothing. truth: numbers of the labels; clusters: rows of one are not independent (curate.rows)"""

    texts: Sequence[str]
    truth: Sequence[int]
    clusters: Sequence[str]


@dataclass(frozen=True, slots=True)
class Other:
    """Another candidate of the attempt, tuned and loaded. parameters: of the whole model"""

    model: Model
    parameters: int
    usd_per_hour: float


class Asks(Protocol):
    """Asks the incumbent for its labels of texts, all of them within a time. Raises HeadraceError."""

    def __call__(self, texts: Sequence[str], *, within_s: float = ...) -> Sequence[str]: ...


@dataclass(frozen=True, slots=True)
class AtAddress:
    """The plan's incumbent. known: its labels of texts that it has answered, by text

    usd_per_1k: US dollars for a thousand requests, 0 where it is not known
    """

    version: str
    ask: Asks
    known: Mapping[str, str]
    usd_per_1k: float


@dataclass(frozen=True, slots=True)
class Batch:
    """What one step of an optimizer showed.

    epoch: from 0; rows: in the batch; loss: a tensor of one value, read only where it is shown
    """

    epoch: int
    rows: int
    loss: Any
    learning_rate: float


@dataclass(frozen=True)
class Given:
    """What a method tunes, and on which rows.

    texts, truth, weights: the rows that train; truth: numbers of the labels; weights: how much each row counts
    checked: whether somebody checked each row's label, as nobody did a teacher's; empty: all were
    embeddings: of the rows by the base as it is, float32 (rows, width); computed once for all candidates of a base
    seed: decides what is random; threads: of torch, 0 leaves its choice
    checkpoint: the candidate's own file; key: names the run by all that decides its result (checkpoint.key_of)
    deadline: time.monotonic() at which tuning gives up, with OutOfBudget
    step: told (steps done, steps in all); heard: the same with what the step showed; say: told what a person wants to
        read
    share: of the epochs that are trained now; the rest are where the candidate goes on (trainer.tune.halving)
    loaded: what is tuned, where it is not the base as it is; None: the base, loaded when it is asked for
    instructions, answers: of a task of kind generate: what the model is told, and the texts that it learns to write;
        truth: numbers of the answers. Empty where it learns labels
    held_out, other, incumbent: for a method that puts other candidates together: the validation rows, the candidate of
        a name, which raises Unproven where it was not tuned, and the plan's incumbent
    """

    base: Base
    family: Family
    labels: LabelSet
    texts: Sequence[str]
    truth: Sequence[int]
    weights: Sequence[float]
    embeddings: Callable[[], Floats]
    seed: int
    threads: int
    checkpoint: Path
    key: str
    deadline: float
    step: Step
    checked: Sequence[bool] = ()
    heard: Callable[[int, int, Batch], None] | None = None
    share: float = 1.0
    say: Callable[[str], None] = lambda sentence: None
    loaded: Tunable | None = None
    instructions: str = ""
    answers: Sequence[str] = ()
    held_out: HeldOut | None = None
    other: Callable[[str], Other] | None = None
    incumbent: AtAddress | None = None

    @cached_property
    def tunable(self) -> Tunable:
        """The base, loaded for this candidate alone."""
        if self.loaded is not None:
            return self.loaded
        if self.answers:
            return cast(Writes, self.family).writer(self.base, self.instructions, self.answers, self.threads)
        return self.family.tunable(self.base, self.labels, self.threads)

    def part(self, name: str) -> Path:
        """The checkpoint of something else that the method trains: kept and taken over as the candidate's own is."""
        return self.checkpoint.with_name(f"{self.checkpoint.stem}{PART}{name}{self.checkpoint.suffix}")

    def epochs_now(self, epochs: int) -> int:
        """The epoch at which this run ends, of so many for which the learning rate is planned."""
        return max(1, ceil(self.share * epochs))

    def stepped(self, done: int, total: int, batch: Batch) -> None:
        """Say that the optimizer has made a step. Raises MemoryError where the plan's memory is passed."""
        if self.heard is None:
            self.step(done, total)
        else:
            self.heard(done, total, batch)


class Method(Protocol):
    """A file of methods/. It imports torch and its like inside `tune`, so that a plan is checked without them.

    NEEDS: what a family's tunables have to be able to do (Family.CAN)
    EFFORT: cheaper methods are tried first
    MAKES: the kind of bundle (bundle.Kind) that a base becomes; empty: the family's own, as of an untuned base
    TIERS: optional: of its keys the one that names other candidates of the task; INCUMBENT: what it calls the
        incumbent there
    NAMES: optional: whether names of labels train it where rows are few (trainer.tune.naming)
    Keys: the candidate's keys in the plan beside those that every candidate has; a Section
    """

    NEEDS: frozenset[str]
    EFFORT: int
    MAKES: Kind | Literal[""]
    Keys: type[Section]

    def tune(self, given: Given, keys: Any) -> int:
        """Tune `given.tunable` in place; returns how many parameters it trained.

        Raises OutOfBudget, Diverged, or Unproven: the candidate fails with that reason, and costs no other.
        """
        ...
