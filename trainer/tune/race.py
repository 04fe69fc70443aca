"""Which candidates are tuned, in which order, and which of them are given up early.

Cheapest first: by the method's effort, then by the size of the base. Baselines always run, whatever the plan names and
however little of the budget is left: a candidate that does not beat them is worth nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from headrace import kinds
from headrace.models.bases import Base
from headrace.models.families import family_of
from headrace.plan import CandidateSpec
from trainer.tune.budget import Trial
from trainer.tune.candidates import Tuned, Tuner, method_of
from trainer.tune.gradient import Gradient
from trainer.tune.halving import Rung, better_half, groups, rungs

BASELINES = {"tfidf": "words", "probe": ""}
"""Methods that always run, and on which base: empty for each base of the plan that they go with."""
OF_TEXTS = {"untuned": ""}
"""The same of a task whose answers are texts."""


def with_baselines(
    candidates: Mapping[str, CandidateSpec], bases: Mapping[str, Base], baselines: Mapping[str, str] = BASELINES
) -> tuple[dict[str, CandidateSpec], frozenset[str]]:
    """The plan's candidates, and BASELINES that it does not name on the bases that they go with; the latter's names."""
    added: dict[str, CandidateSpec] = {}
    used = list(dict.fromkeys(spec.base for spec in candidates.values()))
    for method, own in baselines.items():
        needs = kinds.load("methods", method).NEEDS
        fit = [own] if own in bases else [base for base in used if needs <= family_of(bases[base].family).CAN]
        for base in fit:
            if any((spec.method, spec.base) == (method, base) for spec in candidates.values()):
                continue
            like = next((spec for spec in candidates.values() if spec.base == base), next(iter(candidates.values())))
            spec = CandidateSpec(base=base, method=method, usd_per_hour=like.usd_per_hour)
            added[_free(f"{method}-baseline" if base == fit[0] else f"{method}-baseline-{base}", candidates)] = spec
    return {**added, **candidates}, frozenset(added)


def _free(name: str, taken: Iterable[str]) -> str:
    return name if name not in taken else _free(f"{name}-", taken)


def by_effort(
    candidates: Mapping[str, CandidateSpec], size: Callable[[CandidateSpec], int]
) -> list[tuple[str, CandidateSpec]]:
    """Cheapest to try first, otherwise as the plan has them. Raises PlanError where a method is not there.

    size: parameters of a candidate's base
    """
    return sorted(candidates.items(), key=lambda item: (method_of(item[1]).EFFORT, size(item[1])))


@dataclass(frozen=True, slots=True)
class Race:
    """Tunes all candidates of an attempt.

    baselines: names of candidates that the plan does not name
    trial: what a tuned candidate shows on the validation rows
    halve: give up the worse half of those that compete at each rung (trainer.tune.halving)
    """

    tuner: Tuner
    candidates: Mapping[str, CandidateSpec]
    baselines: frozenset[str]
    trial: Callable[[Tuned], Trial]
    halve: bool
    _at_rung: dict[str, Tuned] = field(default_factory=dict)

    def run(self) -> list[Tuned]:
        """Each candidate, in the order in which they were tried; those that were not finished say why."""
        ordered = by_effort(self.candidates, self.tuner.parameters_of)
        follow = [(name, spec.base) for name, spec in ordered if issubclass(method_of(spec).Keys, Gradient)]
        competing = {group[0]: group for group in groups(follow) if len(group) > 1} if self.halve else {}
        raced = {name for group in competing.values() for name in group}
        done = self.tuner.finished
        for name, _ in ordered:
            if name in competing:
                done |= self._race(competing[name])
            elif name not in raced:
                done[name] = self._finish(name)
        return [done[name] for name, _ in ordered]

    def _finish(self, name: str) -> Tuned:
        spec = self.candidates[name]
        always = spec.method in BASELINES or name in self.baselines
        return self._ended(replace(self.tuner.tune(name, spec, always=always), baseline=name in self.baselines))

    def _ended(self, tuned: Tuned) -> Tuned:
        """What is judged of a candidate that goes no further: itself, or where it failed what it was at a rung."""
        name, spec = tuned.name, tuned.spec
        if tuned.folder is None and name in self._at_rung:
            self.tuner.progress.say(
                spec.method, f"{name} {tuned.failure}: it is judged as it was at the last rung", 1, 1
            )
            tuned = self._at_rung[name]
        if tuned.folder is not None:
            self.tuner.spending.tried(name, self.trial(tuned), self.tuner.parameters_of(spec))
        return tuned

    def _race(self, names: list[str]) -> dict[str, Tuned]:
        """Those that compete for one place: the best one trained to the end, the others as far as they came."""
        done: dict[str, Tuned] = {}
        for rung in rungs(len(names)):
            seen: dict[str, float] = {}
            for name in names:
                found = self._at(name, rung)
                if isinstance(found, Tuned):
                    done[name] = self._ended(found)
                else:
                    seen[name] = found
            best = better_half(seen, rung.keep)
            done |= {name: self._given_up(name, rung, seen, best) for name in seen if name not in best}
            names = best
        return done | {name: self._finish(name) for name in names}

    def _at(self, name: str, rung: Rung) -> float | Tuned:
        """The candidate's accuracy at a rung, as an earlier attempt saw it or as it is seen now; or its failure."""
        spec, at = self.candidates[name], f"{rung.share:g}"
        notes = self.tuner.notes(name, spec)
        if at not in notes.scores:
            tuned = self.tuner.tune(name, spec, rung.share)
            if tuned.folder is None:
                return tuned
            notes = self.tuner.notes(name, spec)
            notes.scores[at] = self.trial(tuned).accuracy
            self._at_rung[name] = tuned
            # Before training goes on: a checkpoint beyond the rung would show another accuracy.
            notes.write()
            self.tuner.kept.keep(name, spec.method)
        return notes.scores[at]

    def _given_up(self, name: str, rung: Rung, seen: Mapping[str, float], best: list[str]) -> Tuned:
        spec = self.candidates[name]
        leader = max(best, key=lambda other: seen[other])
        failure = (
            f"given up after {rung.share:.0%} of its epochs: {seen[name]:.3f} on the validation rows,"
            f" {leader} had {seen[leader]:.3f}"
        )
        self.tuner.progress.say(spec.method, f"{name} is {failure}", 1, 1)
        notes = self.tuner.notes(name, spec)
        price = self.tuner.prices[name]
        return Tuned(name, spec, price, None, seconds=notes.seconds, failure=failure, curve=dict(notes.curve))
