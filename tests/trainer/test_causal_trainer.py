"""A causal candidate from the plan to an answer: tuned by every method, judged, published, loaded elsewhere, served."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from trainer_history import START, TASK, job_file, plan
from trainer_process import Trainer

from headrace import kinds
from headrace.contract.choice import Choice
from headrace.contract.control import Served
from headrace.models import bundle
from headrace.settings import Settings
from serving.engines.classify import classify
from serving.engines.opening import Opener

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(900)]

WITH_EVERY_METHOD = {"prompt.json", "parity.json", "scoring.json", bundle.REPORT, bundle.REPORT_TEXT, bundle.CARD}


@pytest.mark.parametrize(
    ("method", "keys", "files"),
    [
        ("untuned", {}, set()),
        ("few_shot", {"examples": 2}, {"examples.json", "examples.safetensors"}),
        ("lora", {"epochs": 1}, {"adapter_config.json", "adapter_model.safetensors"}),
        ("p_tuning", {"epochs": 1}, {"adapter_config.json", "adapter_model.safetensors"}),
    ],
)
def test_a_causal_candidate_is_published_and_answers(
    world: dict[str, Any], settings: Settings, method: str, keys: dict[str, int], files: set[str]
) -> None:
    """Its gate is open: what is shown is the way, and not that a model of 135 million parameters is right after one
    epoch."""
    made = plan(
        world["labels"],
        engines={"here": {"kind": "in_process", "usd_per_hour": 0.5}},
        candidates={"small": {"base": "smollm2-135m-q4", "method": method, "engine": "here"} | keys},
        curation={"min_test_rows": 100, "min_train_rows": 50, "max_validation_rows": 30, "forget_rows": 0},
        gate={"margin": 0.9, "max_ece": 0.99, "per_label_drop": 0.99, "forgetting_drop": 0.99, "cheaper_by": 0.01,
              "max_cost_ratio": 10_000, "approved_labels": world["labels"]},
    )  # fmt: skip
    number = kinds.names("methods").index(method) + 1
    job = job_file(settings, settings.home / f"causal-{method}", made, START, world["now"], number=number)
    trainer = Trainer(job)
    code, _, stderr = trainer.finish()
    assert code == 0, (stderr, trainer.result())
    served = Served.model_validate(trainer.result()["served"])
    manifest = bundle.verify(Path(served.artifact), served.digest)
    assert (manifest.family, manifest.base, manifest.method) == ("causal", "smollm2-135m-q4", method)
    assert manifest.parameters > 100_000_000 and len(manifest.base_digest) == 64
    assert set(manifest.files) == WITH_EVERY_METHOD | files
    # It is priced by whole machines of the engine that will serve it, and not by the candidate's default of a tenth:
    # 700 questions within an hour are 16,800 a day.
    machines = served.usd_per_1k * 16.8 / (0.5 * 24)
    assert served.engine == "here" and round(machines) >= 1 and machines == pytest.approx(round(machines))
    assert served.template == manifest.files["prompt.json"]

    async def answered() -> tuple[str, dict[str, float], int]:
        engine = await Opener(made, {}).open(TASK, served)
        choice = Choice({label: label for label in world["labels"]}, {})
        found = await classify(engine, "How do I change the PIN of my card?", choice)
        await engine.close()
        return found.label, found.scores, found.tokens_in

    label, scores, tokens = asyncio.run(answered())
    assert label in world["labels"] and set(scores) == set(world["labels"])
    assert sum(scores.values()) == pytest.approx(1, abs=1e-4) and tokens > 10
