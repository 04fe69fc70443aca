"""From the plan's candidates to folders that a family can load."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, dataclass, field, replace
from importlib.metadata import version
from math import inf
from pathlib import Path
from typing import Any, cast

from headrace import kinds
from headrace.models.bases import Base, digest_of, parameters_of, resolve
from headrace.models.bundle import Kind
from headrace.models.families import Model, family_of
from headrace.models.family import LabelSet, Unsupported
from headrace.models.tensors import Floats
from headrace.plan import CandidateSpec
from headrace.plan.methods import keys_of
from trainer.progress import Progress
from trainer.tune.budget import Spending, let_go, out_of_memory
from trainer.tune.kept import Kept
from trainer.tune.method import AtAddress, Batch, Diverged, Given, HeldOut, Method, Other, OutOfBudget, Unproven
from trainer.tune.naming import named
from trainer.tune.notes import Notes, Pace


@dataclass(frozen=True, slots=True)
class Tuned:
    """A candidate on disk.

    folder: laid out as headrace.models.bundle says, without manifest and parity.json; None where `failure` says why not
    kind: of the bundle
    usd_per_hour: of what will serve it
    parameters: of the whole model; trained: those that tuning changed; seconds: of tuning
    curve: mean loss on the training rows by epoch, from 1; empty for methods that follow no gradient
    baseline: it is compared and never served, since the plan does not name it
    """

    name: str
    spec: CandidateSpec
    usd_per_hour: float
    folder: Path | None
    kind: Kind = "head"
    parameters: int = 0
    trained: int = 0
    seconds: float = 0.0
    failure: str = ""
    curve: Mapping[int, float] = field(default_factory=dict)
    baseline: bool = False


@dataclass(slots=True)
class Tuner:
    """Tunes one candidate after another on the same rows; embeds them once for each base.

    texts, truth, weights: the rows that train, the numbers of their labels, and how much each counts
    dataset: the digest of the data set
    bases: by the name that a candidate gives; prices: US dollars an hour of what will serve each candidate
    kept: the attempt's folder and checkpoints, and those that may be taken over
    threads: of torch, 0 leaves its choice
    instructions, answers: of a task of kind generate, see Given
    checked, held_out, incumbent: see Given; opened: a tuned candidate, loaded; finished: what was tuned so far, by name
    """

    labels: LabelSet
    texts: Sequence[str]
    truth: Sequence[int]
    weights: Sequence[float]
    dataset: str
    bases: Mapping[str, Base]
    prices: Mapping[str, float]
    kept: Kept
    seed: int
    threads: int
    spending: Spending
    progress: Progress
    checked: Sequence[bool] = ()
    instructions: str = ""
    answers: Sequence[str] = ()
    held_out: HeldOut | None = None
    incumbent: AtAddress | None = None
    opened: Callable[[Tuned], Model] | None = None
    finished: dict[str, Tuned] = field(default_factory=dict)
    _embedded: dict[str, Floats] = field(default_factory=dict)
    _keys: dict[str, str] = field(default_factory=dict)

    def tune(self, name: str, spec: CandidateSpec, share: float = 1.0, always: bool = False) -> Tuned:
        """Tune one candidate. One that spends the budget's time or memory, or diverges, comes back with its failure.

        share: of its epochs; always: also where no time is left
        """
        started = time.monotonic()
        failed = Tuned(name, spec, self.prices[name], None)
        until = self.spending.tune_until(self.parameters_of(spec))
        if always:
            until = float("inf")
        elif started >= until:
            return replace(failed, failure=f"not run: the plan's {self.spending.bound} left no time to judge it")
        folder = self.kept.work / "candidates" / name
        folder.mkdir(parents=True, exist_ok=True)
        self.progress.say(spec.method, f"tuning {name} on {len(self.texts)} rows", 0, 1)
        notes = self.notes(name, spec)
        pace = Pace(notes)
        try:
            made = self._make(folder, spec, self._given(name, spec, pace, until, share))
            pace.end_epoch()
        except (OutOfBudget, Diverged, Unproven) as error:
            failure = str(error) or f"ran out of the plan's {self.spending.bound} while tuning"
            return replace(failed, failure=failure, seconds=time.monotonic() - started, curve=dict(notes.curve))
        except Unsupported as error:
            return replace(failed, failure=str(error), seconds=time.monotonic() - started)
        except (MemoryError, RuntimeError) as error:
            if not out_of_memory(error):
                raise
            held = f" ({error})" if isinstance(error, MemoryError) and str(error) else ""
            failure = f"would hold more memory than the plan's {self.spending.memory_gib:g} GiB{held}"
        else:
            notes.seconds += time.monotonic() - started
            if notes.curve:
                notes.write()
            self.kept.keep(name, spec.method)
            seconds = notes.seconds
            self.progress.say(spec.method, f"tuned {name} in {seconds:.1f} s", 1, 1, {"seconds": seconds})
            return replace(failed, folder=folder, seconds=seconds, curve=dict(notes.curve), **made)
        # Outside of the handler, which would hold the frames and with them the model.
        let_go()
        self.progress.say(spec.method, f"{name} {failure}", 1, 1)
        return replace(failed, failure=failure, seconds=time.monotonic() - started)

    def _make(self, folder: Path, spec: CandidateSpec, given: Given) -> dict[str, Any]:
        """Tune and save; fields of Tuned."""
        method = method_of(spec)
        given = named(given, method)
        before = given.tunable.parameters
        trained = method.tune(given, keys_of(spec))
        # Adapters are of the method and not of the model, but layers that were left out are gone.
        parameters = min(before or inf, given.tunable.parameters)
        kind: Kind = "int8" if spec.quantize else method.MAKES or given.tunable.kind
        # A loader takes what it finds, and a candidate of this name was another one when training was stopped by hand.
        shutil.rmtree(folder)
        folder.mkdir()
        given.tunable.save(folder, kind)
        # A base without weights has no parameters until it is tuned.
        return {"kind": kind, "parameters": int(max(parameters, trained)), "trained": trained}

    def _other(self, name: str) -> Other:
        """A finished candidate, for a method that puts several together. Raises Unproven."""
        tuned = self.finished.get(name)
        if tuned is None or tuned.folder is None or self.opened is None:
            raise Unproven(f"its tier {name} was not tuned: {tuned.failure if tuned else 'there is no such candidate'}")
        return Other(self.opened(tuned), tuned.parameters, tuned.usd_per_hour)

    def parameters_of(self, spec: CandidateSpec) -> int:
        """Of the candidate's base."""
        return parameters_of(resolve(self.bases[spec.base]))

    def notes(self, name: str, spec: CandidateSpec) -> Notes:
        """What the candidate's run has shown so far, also in earlier attempts; its checkpoint is taken over."""
        return self.kept.take_over(name, self._key(name, spec), spec.method)

    def _key(self, name: str, spec: CandidateSpec) -> str:
        from trainer.tune import checkpoint  # which imports torch
        from trainer.tune.precision import products

        if name not in self._keys:
            base = self.bases[spec.base]
            self._keys[name] = checkpoint.key_of(
                dataset=self.dataset,
                base=astuple(base),
                base_weights=digest_of(resolve(base)),
                method=spec.method,
                keys=keys_of(spec).model_dump(),
                labels=(self.labels.ids, self.labels.lines()),
                **({"instructions": self.instructions} if self.answers else {}),
                weights=checkpoint.key_of(rows=list(self.weights)),
                products=products(),
                seed=self.seed,
                threads=self.threads or os.environ.get("OMP_NUM_THREADS") or os.cpu_count(),
                **{package: version(package) for package in ("torch", "transformers", "peft")},
            )
        return self._keys[name]

    def _given(self, name: str, spec: CandidateSpec, pace: Pace, deadline: float, share: float) -> Given:
        base = self.bases[spec.base]

        def heard(done: int, total: int, batch: Batch) -> None:
            if pace.heard(done, batch):
                self.kept.keep(name, spec.method)
            self.progress.step(spec.method, done, total, lambda: pace.metrics(done, total, batch))
            self.spending.check_memory()

        return Given(
            base=base,
            family=family_of(base.family),
            labels=self.labels,
            texts=self.texts,
            truth=self.truth,
            weights=self.weights,
            checked=self.checked,
            embeddings=lambda: self._embeddings(base),
            seed=self.seed,
            threads=self.threads,
            checkpoint=self.kept.checkpoint_of(name),
            key=pace.notes.key,
            deadline=deadline,
            step=self._stepper(spec.method),
            heard=heard,
            share=share,
            instructions=self.instructions,
            answers=self.answers,
            held_out=self.held_out,
            other=self._other,
            incumbent=self.incumbent,
            say=lambda sentence: self.progress.say(spec.method, f"{name}: {sentence}"),
        )

    def _embeddings(self, base: Base) -> Floats:
        if base.name not in self._embedded:
            step = self._stepper("embed")
            self._embedded[base.name] = family_of(base.family).embedded(base, self.texts, self.threads, step)
        return self._embedded[base.name]

    def _stepper(self, stage: str) -> Callable[[int, int], None]:
        def step(done: int, total: int) -> None:
            self.progress.step(stage, done, total)
            self.spending.check_memory()

        return step


def method_of(spec: CandidateSpec) -> Method:
    """The file of the candidate's method. Raises PlanError where it is not there."""
    return cast(Method, kinds.load("methods", spec.method))
