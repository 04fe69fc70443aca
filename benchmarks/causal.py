"""`make bench-causal`: a causal model of 135 million parameters by every method, from rows to a served version.

make bench-causal                                       two seeds at 411 rows, one at 2,000: hours on two cores
make bench-causal ARGS="--method lora --rows 411 --seed 1 --tested 500"     may be repeated; minutes

CLINC150's ten domains, SmolLM2-135M-Instruct, the methods' own defaults. Each way is tuned, calibrated on 150 rows of
the validation split, judged by the gate against an incumbent that is right in 70 %, published, loaded by another
process, and served there by the gateway's own engine. Finished cases are kept in var/bench/causal.json; --again
measures them once more.

method     how it was tuned; probe: MiniLM's frozen embeddings with logistic regression, to compare with
accuracy   on test questions, with its 95 % Wilson interval; ece: calibration error there
train_s    processor seconds of tuning; ms: one question, wall time at the machine's load
trained    parameters that tuning changed
gate       the verdict
apart      greatest difference of a log-probability between evaluation and the other process's engine
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import math
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

import numpy as np

from benchmarks.table import RESULTS, keep, machine, tell
from headrace import kinds
from headrace.contract.control import Served
from headrace.contract.job_file import Attempt
from headrace.models.bases import base_of
from headrace.models.bundle import verify
from headrace.models.encoder_base import sleep_while_waiting
from headrace.models.families import Model, family_of, open_bundle
from headrace.models.family import LabelSet
from headrace.plan import CandidateSpec, Plan
from headrace.plan.methods import keys_of
from trainer.curate.dataset import DataSet
from trainer.curate.rows import Curated, Row
from trainer.evaluate.entries import Entry, LiveBaseline
from trainer.evaluate.measure import Price, figures, latencies, predict
from trainer.gate.judgement import judge
from trainer.progress import Progress
from trainer.publish.artifact import Origin, metrics, publish_winner, served
from trainer.tune.candidates import Tuned
from trainer.tune.method import Given

DATA = Path("../shared/data")
TASK, CAUSAL, ENCODER = "router", "smollm2-135m-q4", "minilm-l6"
METHODS = ("untuned", "few_shot", "lora", "p_tuning", "full", "probe")
CASES = ((411, 1), (411, 2), (2000, 1))
"""Rows that train, and the seed that draws them."""
VALIDATED, ASKED = 150, 24
RIGHT = 0.7
"""Share of the incumbent's answers."""
NAMES = UUID("5b6c0f5e-6f0b-4b57-9b0a-3a7a6d1f0c11")
TOLERANCE = 1e-3


def questions(data: Path) -> tuple[tuple[str, ...], dict[str, list[tuple[str, str]]]]:
    """The domains, and the questions of each split with their domain."""
    splits = json.loads((data / "clinc150.json").read_text("utf-8"))
    domains = json.loads((data / "clinc150_domains.json").read_text("utf-8"))
    domain_of = {intent: domain for domain, intents in domains.items() for intent in intents}
    read = {name: [(text, domain_of[intent]) for text, intent in splits[name]] for name in ("train", "val", "test")}
    return tuple(domains), read


def rows_of(data: Path, count: int, seed: int, tested: int) -> tuple[tuple[str, ...], DataSet]:
    """A data set as curation would have made it; the incumbent's errors are uniform."""
    labels, splits = questions(data)
    draw = np.random.default_rng(seed)
    rows: list[Row] = []
    for split, name, most in (("train", "train", count), ("validation", "val", VALIDATED), ("test", "test", tested)):
        for place in draw.permutation(len(splits[name]))[:most]:
            text, label = splits[name][place]
            answered = label if draw.random() < RIGHT else labels[draw.integers(len(labels))]
            said = uuid5(NAMES, f"{split} {text}")
            at = datetime(2026, 11, 1, tzinfo=UTC)
            rows.append(
                Row(
                    split=split,
                    tenant="default",
                    inference_id=said,
                    feedback_id=said,
                    occurred_at=at,
                    text=text,
                    text_digest=text,
                    label=label,
                    source="audit",
                    rank=4,
                    answered=answered,
                    version=f"{TASK}@0",
                    weight=1.0,
                    cluster=text,
                )
            )
    return labels, DataSet.of(Curated(tuple(rows), {}, {}))


def label_set(labels: Sequence[str]) -> LabelSet:
    """The domains as people write them."""
    return LabelSet(tuple(labels), {label: label.replace("_", " ") for label in labels}, {})


def plan_of(labels: Sequence[str], method: str) -> Plan:
    """One candidate; the gate may promote a model that is dearer than an incumbent without a price."""
    candidate = {"base": ENCODER if method == "probe" else CAUSAL, "method": method}
    task = {
        "labels": list(labels),
        "incumbent": {"url": "http://127.0.0.1:9/v1", "model": "big", "version": f"{TASK}@0"},
        "candidates": {method: candidate},
        "out_of_scope": "",
        "gate": {"max_cost_ratio": 1e6},
    }
    return Plan.model_validate({"version": 2, "tasks": {TASK: task}})


def tuned(plan: Plan, method: str, dataset: DataSet, seed: int, folder: Path) -> tuple[Tuned, float]:
    """A candidate on disk, and the processor seconds that it took."""
    spec: CandidateSpec = plan.task(TASK).candidates[method]
    base, module, rows = base_of(spec.base), kinds.load("methods", method), dataset.split("train")
    labels = plan.task(TASK).labels
    family, texts = family_of(base.family), [row.text for row in rows]
    began, wall = time.process_time(), time.monotonic()
    said = [0.0]

    def step(done: int, total: int) -> None:
        if time.monotonic() - said[0] > 30:
            said[0] = time.monotonic()
            print(f"  {method}: {done} of {total} steps, {time.process_time() - began:.0f} s", flush=True)

    given = Given(
        base=base,
        family=family,
        labels=label_set(labels),
        texts=texts,
        truth=[labels.index(row.label) for row in rows],
        weights=[1.0] * len(rows),
        embeddings=lambda: family.embedded(base, texts, 0),
        seed=seed,
        threads=0,
        checkpoint=folder / "checkpoint.safetensors",
        key="bench",
        deadline=math.inf,
        step=step,
        say=lambda sentence: print(f"  {method}: {sentence}", flush=True),
    )
    parameters = given.tunable.parameters
    trained = module.tune(given, keys_of(spec))
    made = folder / "candidate"
    made.mkdir()
    kind = module.MAKES or given.tunable.kind
    given.tunable.save(made, kind)
    one = Tuned(method, spec, spec.usd_per_hour, made, kind, parameters, trained, time.monotonic() - wall)
    return one, time.process_time() - began


def entered(one: Tuned, scorer: Model, rows: Sequence[Row]) -> Entry:
    """A candidate, calibrated and timed on the validation rows."""
    texts, truth = [row.text for row in rows], [row.label for row in rows]
    scorer.calibrate(texts, [scorer.labels.index(label) for label in truth])
    said, _ = predict(scorer, rows)
    correct = tuple(mine == right for mine, right in zip(said, truth, strict=True))
    return Entry(one, scorer, latencies({one.name: scorer}, texts)[one.name], figures(truth, said), correct)


def measure(method: str, count: int, seed: int, options: argparse.Namespace) -> dict[str, Any]:
    """One row of the table."""
    labels, dataset = rows_of(options.data, count, seed, options.tested)
    plan, silent = plan_of(labels, method), Progress(io.StringIO())
    with tempfile.TemporaryDirectory(dir=options.home) as work:
        one, seconds = tuned(plan, method, dataset, seed, Path(work))
        assert one.folder is not None
        attempt = Attempt(TASK, uuid5(NAMES, f"{method} {count} {seed}"), 1, f"{TASK}@1", f"{TASK}@0")
        base, origin = base_of(one.spec.base), Origin(attempt, labels, dataset.digest, seed)
        scorer = open_bundle(one.folder, origin.manifest(one, base, {}))
        entry = entered(one, scorer, dataset.split("validation"))
        live = LiveBaseline(f"{TASK}@0", None, Price(0.0, 0.0), 0.0, 0)
        judged = judge(entry, live, dataset, plan.task(TASK), 1, silent)
        artifact = publish_winner(scorer, Path(work) / "store", origin.manifest(one, base, metrics(judged)))
        asked = [row.text for row in dataset.split("test")[:ASKED]]
        elsewhere = answered_elsewhere(served(artifact, judged, "", None), asked)
        apart = float(np.abs(np.array(elsewhere) - scorer.log_probabilities(asked)).max())
    return {
        "method": method,
        "rows": count,
        "seed": seed,
        "accuracy": round(judged.test.accuracy, 4),
        "low": round(judged.test.low, 4),
        "high": round(judged.test.high, 4),
        "ece": round(float(judged.verdict.figures["ece"]), 4),
        "tested": judged.test.n,
        "train_s": round(seconds, 1),
        "ms": round(entry.latency.p50_ms, 1),
        "trained": one.trained,
        "gate": judged.verdict.gate,
        "reason": judged.verdict.reason,
        "apart": float(f"{apart:.2g}"),
    }


def answered_elsewhere(promoted: Served, asked: Sequence[str]) -> list[list[float]]:
    """Log-probabilities of the questions from a process that has the promotion alone, in the order of the labels."""
    given = json.dumps({"served": promoted.model_dump(mode="json"), "asked": list(asked)})
    command = [sys.executable, "-m", "benchmarks.causal", "--answer"]
    done = subprocess.run(command, input=given, capture_output=True, text=True, check=True)
    found: list[list[float]] = json.loads(done.stdout.splitlines()[-1])
    return found


def answer(given: dict[str, Any]) -> list[list[float]]:
    """As a gateway does it: verified, opened by the plan's engine, which checks parity, and asked one by one."""
    from headrace.contract.choice import Choice
    from serving.engines.classify import classify
    from serving.engines.opening import Opener

    promoted = Served.model_validate(given["served"])
    manifest = verify(Path(promoted.artifact), promoted.digest)
    plan = plan_of(manifest.labels, manifest.method)

    async def asked() -> list[list[float]]:
        engine = await Opener(plan, {}).open(TASK, promoted)
        choice = Choice(plan.task(TASK).names, {})
        found = [await classify(engine, text, choice) for text in given["asked"]]
        await engine.close()
        return [[math.log(each.scores[label]) for label in manifest.labels] for each in found]

    return asyncio.run(asked())


def missed(rows: Sequence[dict[str, Any]]) -> list[str]:
    """What does not hold, in words."""
    found = [
        f"{row['method']}, {row['rows']} rows, seed {row['seed']}: served {row['apart']} apart"
        for row in rows
        if not row["apart"] <= TOLERANCE
    ]
    return found + [
        f"{row['method']}, {row['rows']} rows, seed {row['seed']}: {row['reason']}"
        for row in rows
        if row["method"] in ("lora", "full") and row["gate"] != "passed"
    ]


def main(argv: Sequence[str] | None = None) -> int:
    """Run, print, write."""
    parser = argparse.ArgumentParser(
        prog="make bench-causal", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=DATA, help="folder with CLINC150 (default %(default)s)")
    parser.add_argument("--home", type=Path, default=Path("var"), help="where candidates are written (%(default)s)")
    parser.add_argument("--method", action="append", choices=METHODS, help="may be repeated (default: all)")
    parser.add_argument("--rows", action="append", type=int, help="rows that train; may be repeated")
    parser.add_argument("--seed", action="append", type=int, help="may be repeated")
    parser.add_argument("--tested", type=int, default=1500, help="test questions (default %(default)s)")
    parser.add_argument("--again", action="store_true", help="measure finished cases once more")
    parser.add_argument("--answer", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    sleep_while_waiting()
    if options.answer:
        print(json.dumps(answer(json.load(sys.stdin))))
        return 0
    if not (options.data / "clinc150.json").exists():
        print(f"{options.data} has no clinc150.json; docs/running.md says where anyone gets it", file=sys.stderr)
        return 2
    options.home.mkdir(parents=True, exist_ok=True)
    file = RESULTS / "causal.json"
    kept = json.loads(file.read_text("utf-8"))["rows"] if file.exists() else []
    done = {(row["method"], row["rows"], row["seed"]): row for row in kept}
    drawn = [(count, seed) for count in options.rows or () for seed in options.seed or (1,)] or [
        case for case in CASES if case[1] in (options.seed or (1, 2))
    ]
    wanted = [(method, *case) for method in options.method or METHODS for case in drawn]
    for case in wanted:
        if options.again or case not in done:
            print(f"{case[0]}, {case[1]} rows, seed {case[2]}", flush=True)
            done[case] = measure(*case, options)
            keep("causal", machine(), [done[known] for known in sorted(done)])
    rows = [done[case] for case in wanted]
    shown = [{name: value for name, value in row.items() if name != "reason"} for row in rows]
    tell("causal", machine() | {"base": CAUSAL, "incumbent": RIGHT}, shown)
    for sentence in missed(rows):
        print(f"missed: {sentence}", file=sys.stderr)
    return bool(missed(rows))


if __name__ == "__main__":
    sys.exit(main())
