"""`make bench-cascade`: what a chain of models saves on real questions, and how often its promise is broken.

make bench-cascade                               both; half an hour on two cores
make bench-cascade ARGS="--only guarantee --draws 200"
make bench-cascade ARGS="--only questions --seeds 1"

guarantee  validation rows drawn from worlds with a known truth (benchmarks/cascading/worlds.py), thresholds fitted on
           each draw by the trainer's code. broken: share of the draws in which thresholds are taken whose accuracy is,
           in truth, more than the margin below the last tier's, with its 95 % interval; goal: not shown to be above
           .05. taken: share of the draws in which any are
questions  CLINC150's ten domains: TF-IDF, then an encoder with every weight tuned, tuned by the plan's defaults on the
           same rows; thresholds fitted on validation rows, and the chain asked the test questions, which chose nothing.
           difference: of accuracy, chain less last tier, with its 95 % interval (Tango); escalated: share of the
           questions that the encoder was asked; ms: processor milliseconds a question, alone, on one thread

Exits with 1 where a goal is missed. var/bench/cascade.json has the same rows.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from benchmarks.cascading.worlds import WORLDS
from benchmarks.routing import ours
from benchmarks.routing.cases import domains
from benchmarks.routing.rows import Rows, Split
from benchmarks.shifting.questions import asked
from benchmarks.table import keep, machine, tell
from headrace.models.families import Model
from headrace.models.tensors import Floats
from headrace.statistics.calibration import ece
from headrace.statistics.intervals import wilson
from headrace.statistics.paired import Pairs, tango_lower
from trainer.tune.method import Unproven
from trainer.tune.thresholds import Asked, Bar, fit

DATA = Path("../shared/data")
CHECKED = (411, 2000)
VALIDATED = (274, 1500)
MARGIN = 0.02
DRAWS = 1000
CHUNKS = 8
BROKEN = 0.05
TIMED = 200


def happened(world: str, draws: int, seed: int) -> tuple[int, int]:
    """In how many draws of a world thresholds were taken, and in how many of these the promise is broken."""
    trial, rows = WORLDS[world]
    random = np.random.default_rng([seed, list(WORLDS).index(world)])
    found = [trial(random, rows, Bar(MARGIN)) for _ in range(draws)]
    taken = [one for one in found if one is not None]
    return len(taken), sum(one < 0 for one in taken)


def guarantee(draws: int, seed: int) -> list[dict[str, Any]]:
    """A row a world."""
    rows = []
    each = -(-draws // CHUNKS)
    with ProcessPoolExecutor(2) as pool:
        for world in WORLDS:
            seeds = range(seed * CHUNKS, (seed + 1) * CHUNKS)
            found = list(pool.map(happened, [world] * CHUNKS, [each] * CHUNKS, seeds))
            taken, broken = (sum(column) for column in zip(*found, strict=True))
            low, high = wilson(broken, each * CHUNKS)
            rows.append(
                {"case": world, "draws": each * CHUNKS, "taken": taken / (each * CHUNKS),
                 "broken": broken / (each * CHUNKS), "low": low, "high": high, "met": low <= BROKEN}
            )  # fmt: skip
            print(f"{world}: {rows[-1]['broken']:.4f} ({low:.4f} to {high:.4f})", flush=True)
    return rows


def questions(data: Path, seed: int, checked: int) -> list[dict[str, Any]]:
    """A row for each number of validation rows."""
    given = domains(data, seed, checked)
    with tempfile.TemporaryDirectory() as folder:
        tiers = []
        for method, base in (("tfidf", "words"), ("full", "minilm-l6")):
            at = Path(folder) / method
            at.mkdir()
            made, _ = ours.tuned(given, seed, at, method, base)
            tiers.append(made.score.__self__)  # type: ignore[attr-defined]
        ms = [_ms(tier, given.test[0]) for tier in tiers]
        longer = _longer(given, _others(data, given))
        return [_chained(given, rows, tiers, ms, checked, seed) for rows in (given.validation, longer)]


def _chained(
    given: Rows, validation: Split, tiers: Sequence[Model], ms: list[float], checked: int, seed: int
) -> dict[str, Any]:
    texts, truth = validation
    for tier in tiers:
        tier.calibrate(texts, truth)
    scores = [_scores(tier, texts) for tier in tiers]
    right = np.stack([found.argmax(axis=1) == np.array(truth) for found in scores])
    row: dict[str, Any] = {"case": f"{checked} rows, {len(texts)} validation", "seed": seed}
    began = time.process_time()
    try:
        found = fit(Asked(scores[0].max(axis=1)[None].astype(np.float64), right, ms), Bar(MARGIN))
    except Unproven as error:
        return row | {"unproven": str(error)}
    fitted_s = time.process_time() - began
    (threshold,) = found.chosen.thresholds
    tested, labels = given.test
    told = [_scores(tier, tested) for tier in tiers]
    sure = told[0].max(axis=1) >= threshold
    by_tier = [answers.argmax(axis=1) == np.array(labels) for answers in told]
    chain = np.where(sure, by_tier[0], by_tier[1])
    both = Pairs(len(labels), int((chain & ~by_tier[1]).sum()), int((by_tier[1] & ~chain).sum()))
    high = -tango_lower(Pairs(both.n, both.lost, both.gained), 0.025)
    confidence = np.where(sure, told[0].max(axis=1), told[1].max(axis=1))
    return row | {
        "threshold": threshold,
        "tested": both.n,
        "cheap": float(by_tier[0].mean()),
        "last": float(by_tier[1].mean()),
        "chain": float(chain.mean()),
        "difference": both.difference,
        "low": tango_lower(both, 0.025),
        "high": high,
        "escalated": float((~sure).mean()),
        "ms_cheap": ms[0],
        "ms_last": ms[1],
        "ms_chain": ms[0] + float((~sure).mean()) * ms[1],
        "ece": ece(confidence, chain),
        "fitted_s": fitted_s,
        "met": bool(both.difference >= -MARGIN),
    }


def _scores(tier: Model, texts: Sequence[str]) -> Floats:
    found: Floats = np.concatenate([tier.score(texts[at : at + 256]) for at in range(0, len(texts), 256)])
    return found


def _ms(tier: Model, texts: Sequence[str]) -> float:
    """Processor milliseconds of a question alone."""
    for text in texts[:10]:
        tier.score([text])
    began = time.process_time()
    for text in texts[:TIMED]:
        tier.score([text])
    return (time.process_time() - began) / TIMED * 1000


def _others(data: Path, given: Rows) -> list[tuple[str, int]]:
    """Questions that neither train, validate nor test."""
    labels, inside, _ = asked(data)
    used = {*given.texts, *given.validation[0], *given.test[0]}
    place = {label: number for number, label in enumerate(given.labels)}
    return [(text, place[labels[number]]) for text, number in inside if text not in used]


def _longer(given: Rows, others: Sequence[tuple[str, int]]) -> tuple[list[str], list[int]]:
    """The validation rows, and more of the same questions, VALIDATED[1] in all."""
    drawn = np.random.default_rng(1).permutation(len(others))[: VALIDATED[1] - len(given.validation[0])]
    texts, truth = given.validation
    return [*texts, *(others[row][0] for row in drawn)], [*truth, *(others[row][1] for row in drawn)]


def _shown(value: Any) -> Any:
    return f"{value:.4f}" if isinstance(value, float) else value


def main(argv: Sequence[str] | None = None) -> int:
    """Run, print, write; 1 where a goal is missed."""
    parser = argparse.ArgumentParser(
        prog="make bench-cascade", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", choices=("guarantee", "questions"))
    parser.add_argument("--draws", type=int, default=DRAWS, help="of each world (default %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the draws")
    parser.add_argument("--seeds", type=int, nargs="*", default=[1, 2, 3], help="of the questions (default 1 2 3)")
    parser.add_argument("--checked", type=int, nargs="*", default=list(CHECKED), help="rows that train")
    parser.add_argument("--data", type=Path, default=DATA)
    options = parser.parse_args(argv)
    rows: list[dict[str, Any]] = []
    conditions = machine() | {"margin": MARGIN, "confidence": 0.95}
    if options.only != "questions":
        rows += guarantee(options.draws, options.seed)
    if options.only != "guarantee":
        for seed in options.seeds:
            for checked in options.checked:
                rows += questions(options.data, seed, checked)
                print(rows[-2], rows[-1], sep="\n", flush=True)
    for kind in ("draws", "seed"):
        shown = [{name: _shown(value) for name, value in row.items()} for row in rows if kind in row]
        if shown:
            tell(f"cascade, {'guarantee' if kind == 'draws' else 'questions'}", conditions, shown)
    print(keep("cascade", conditions, rows))
    return int(not all(row.get("met", True) for row in rows))


if __name__ == "__main__":
    sys.exit(main())
