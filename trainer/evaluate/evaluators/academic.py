"""What a causal model shows on academic benchmarks: lm-evaluation-harness with the plan's own task files, offline.

Of an encoder, or of a version with virtual tokens, which the harness cannot ask, it says that it was not run.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from headrace.contract.findings import Figure, Finding
from headrace.plan.suites import BenchmarkSpec
from trainer.evaluate.subject import Subject

INSTALL = "lm-evaluation-harness is not installed where the trainer runs; pip install 'headrace[academic]'"
BATCH = 8
RESAMPLES = 1000
"""For the error of metrics that have no formula."""
Z = 1.96


def evaluate(subject: Subject) -> Finding | None:
    """None where the plan names no benchmark, and on the test rows, which it has nothing to do with."""
    model: Any = subject.model
    if not subject.benchmarks or subject.ask is None or model is None:
        return None
    if not model.writes_text:
        return Finding(method="not run: the harness asks causal models, and this one scores labels only")
    if getattr(model.base, "soft", None) is not None:
        return Finding(method="not run: the harness cannot ask a model with virtual tokens")
    try:
        from lm_eval.models.huggingface import HFLM
    except ImportError:
        return Finding(method=f"not run: {INSTALL}")
    asked = HFLM(pretrained=model.base.module, tokenizer=model.base.tokenizer, batch_size=BATCH)
    figures: dict[str, Figure] = {}
    for name, spec in subject.benchmarks.items():
        figures |= {f"{name}: {metric}": figure for metric, figure in _results(asked, spec, subject.seed).items()}
    from importlib.metadata import version

    return Finding(
        method=f"lm-evaluation-harness {version('lm-eval')}, the plan's task files; mean with its normal interval",
        figures=figures,
    )


def _results(asked: Any, spec: BenchmarkSpec, seed: int) -> dict[str, Figure]:
    from lm_eval import simple_evaluate
    from lm_eval.tasks import TaskManager

    # Data sets are the files that the task files name; nothing is fetched.
    os.environ["HF_DATASETS_OFFLINE"] = "1"
    found: Mapping[str, Any] = simple_evaluate(
        model=asked,
        tasks=list(spec.tasks),
        task_manager=TaskManager(include_path=spec.folder, include_defaults=False),
        limit=spec.limit,
        bootstrap_iters=RESAMPLES,
        log_samples=False,
        random_seed=seed,
    )
    figures: dict[str, Figure] = {}
    for task, said in found["results"].items():
        n = int(found["n-samples"][task]["effective"])
        for key, value in said.items():
            metric, _, filtered = key.partition(",")
            if filtered and not metric.endswith("_stderr") and isinstance(value, int | float):
                error = said.get(f"{metric}_stderr,{filtered}")
                half = Z * error if isinstance(error, int | float) else None
                interval = {} if half is None else {"low": value - half, "high": value + half}
                figures[f"{task} {metric}"] = Figure(value=float(value), n=n, **interval)
    return figures
