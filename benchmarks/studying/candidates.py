"""How each candidate is made and measured."""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.routing import ours
from benchmarks.routing.asked import Made
from benchmarks.shifting.questions import Ints
from benchmarks.studying.rows import Study
from benchmarks.studying.verdicts import Asked, Known, gated, published, shown
from headrace.models.bases import base_of, resolve
from headrace.models.tensors import Floats

QUESTIONS, WARM_UP = 200, 5
WITHOUT_BASE = frozenset({"full", "tfidf"})
"""Methods whose bundles are served without their base."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A base and a method; taught: also on rows of the incumbent's."""

    method: str
    base: str
    taught: bool = False


def _both(name: str, method: str, base: str) -> dict[str, Candidate]:
    return {name: Candidate(method, base), f"{name}+teacher": Candidate(method, base, taught=True)}


CANDIDATES = {
    **_both("minilm-full", "full", "minilm-l6"),
    **_both("minilm-lora", "lora", "minilm-l6"),
    **_both("minilm-probe", "probe", "minilm-l6"),
    **_both("words", "tfidf", "words"),
}
CAUSAL = {
    "smollm2-few-shot": Candidate("few_shot", "smollm2-135m-q4"),
    "smollm2-lora": Candidate("lora", "smollm2-135m-q4"),
}
"""Hours on a CPU, so that they are made only where they are asked for."""


def measured(name: str, study: Study) -> dict[str, Any]:
    """Tune it on the rows, ask it the test rows, the audits and the independent test, and hear the verdicts."""
    candidate, world = (CANDIDATES | CAUSAL)[name], study.world
    rows = study.rows(candidate.taught)
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work)
        made, clock = ours.tuned(rows, study.seed, folder, candidate.method, candidate.base)
        size = served_mb(folder, candidate)
    test = asked(study, made, *study.test)
    audits, independent = (asked(study, made, places, world.truth[places]) for places in (world.audits, world.test))
    p50, p95, busy_s = timed(made, independent.texts)
    texts, truth = study.validation
    known = Known(
        trained=Counter(world.labels[number] for number in rows.truth),
        shown=shown(truth, scores_of(made, texts), world.labels),
        busy_s=busy_s,
        p95_ms=p95,
    )
    return {
        **test.figures("test"),
        **audits.figures("audits"),
        **independent.figures("true"),
        "published": published(test),
        "gate": gated(test, world.labels, known),
        "gate_audits": gated(audits, world.labels, known),
        "trained_on": len(rows.texts),
        "parameters": made.parameters,
        "mb": size,
        "p50_ms": p50,
        "p95_ms": p95,
        "busy_s": busy_s,
        "train_s": clock.core_s,
    }


def asked(study: Study, made: Made, places: Ints, truth: Ints) -> Asked:
    """The candidate's answers to these questions beside the incumbent's. truth: the labels that count as right"""
    texts = [study.world.texts[place] for place in places]
    return Asked(texts, truth, scores_of(made, texts), study.incumbent.said[places])


def scores_of(made: Made, texts: list[str]) -> Floats:
    """Probabilities (texts, labels)."""
    return np.concatenate([made.score(texts[at : at + 256]) for at in range(0, len(texts), 256)])


def timed(made: Made, texts: Any) -> tuple[float, float, float]:
    """One question at a time in this process: p50 and p95 in milliseconds as they passed, and the mean seconds of one
    core, which other programs on the machine do not lengthen.
    """
    taken = []
    busy = 0.0
    for number in range(QUESTIONS + WARM_UP):
        if number == WARM_UP:
            busy = time.process_time()
        began = time.perf_counter()
        made.score([texts[number % len(texts)]])
        taken.append((time.perf_counter() - began) * 1000)
    p50, p95 = np.percentile(taken[WARM_UP:], [50, 95])
    return float(p50), float(p95), (time.process_time() - busy) / QUESTIONS


def served_mb(folder: Path, candidate: Candidate) -> float:
    """Megabytes (1e6 bytes) of the weights that a server loads: the bundle's, and the base's where it is needed."""
    base = base_of(candidate.base)
    weights = list(folder.glob("*.safetensors"))
    if candidate.method not in WITHOUT_BASE:
        weights += resolve(base).glob("*.safetensors")
    return sum(file.stat().st_size for file in weights) / 1e6
