"""`make bench-rollouts`: what becomes of candidates, by the rollout's own decision on simulated answers and labels.

make bench-rollouts                            some minutes
make bench-rollouts ARGS="--trials 1000"

A day has 10,000 requests and 100 labels; the live version is right on .95 of them. Where it is wrong a candidate is
right on .7, and two wrong answers differ half of the time. The plan has its defaults. In shadow labels
go to answers on which the two differ, in the canary to the base audit. The decision (consumers/rollout/step.py) looks
ten times a day. Once live, a candidate is watched for a day: the version before answers a share of its requests too,
and labels go to answers on which the two differ. No request fails and all are as fast: only accuracy decides.

past_canary    share of the candidates that became live; low, high: 95 % Wilson interval
live_a_day     share that did and stayed for the day
rolled_back    share that did not, for whatever reason; abandoned: of all, those for which labels did not decide in time
met            share of a day's requests that the candidate answered, mean
labels         reviewed disagreements until the shadow's decision, median; sprt: those of Wald's SPRT between equal and
               five points worse, which knows both, at the same two levels
goal           what must hold

Exits with 1 where a goal is missed. var/bench/rollouts.json has the same rows.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from math import log
from typing import Any, Literal

import numpy as np

from benchmarks.table import keep, machine, tell
from consumers.rollout.step import ADVANCE_ALPHA, WORSE_ALPHA, Evidence, Move, Traffic, next_step, watched
from headrace.contract.control import Step
from headrace.plan import Rollout
from headrace.statistics.intervals import wilson

TRIALS = 5000
CHUNKS = 20
BAR = Rollout()
LOOKS, REQUESTS, LABELS = 10, 10_000, 100
LIVE, CAUGHT, APART = 0.95, 0.7, 0.5
"""Accuracy of the live version; of a candidate where that is wrong; and how often two wrong answers differ."""
DRIFT = 0.10


@dataclass(frozen=True, slots=True)
class Case:
    """A candidate. drop: accuracy below the live one; drifts: when both fall by DRIFT, at some look of its first day in
    shadow, or of the day in which it is watched"""

    name: str
    drop: float
    drifts: Literal["", "shadow", "watch"]
    goal: str
    holds: Callable[[dict[str, float]], bool]


CASES = (
    Case(
        "ten points worse", 0.10, "", "past <= .01, met <= .05", lambda row: row["past"] <= 0.01 and row["met"] <= 0.05
    ),
    Case("five points worse", 0.05, "", "live a day <= .02", lambda row: row["day"] <= 0.02),
    Case("equal", 0.0, "", "rolled back <= .01", lambda row: row["day"] >= 0.99),
    Case("equal, both drift in shadow", 0.0, "shadow", "rolled back <= .01", lambda row: row["day"] >= 0.99),
    Case("equal, both drift once live", 0.0, "watch", "rolled back <= .01", lambda row: row["day"] >= 0.99),
)


@dataclass(frozen=True, slots=True)
class Ended:
    """How a rollout ended. met: requests that the candidate answered; labels, sprt: reviewed until each decided"""

    live: bool
    stays: bool
    abandoned: bool
    met: int
    labels: int
    sprt: int


def outcomes(drop: float, lost: float) -> list[float]:
    """Of all requests: gained, lost, and both wrong in different ways. lost: points that a drift took from both"""
    wrong = 1 - LIVE + lost
    gained = wrong * CAUGHT
    both = wrong - gained
    return [gained, gained + drop, both * APART]


def rollout(case: Case, random: np.random.Generator) -> Ended:
    """One candidate's way."""
    step, share, traffic, met, age = Step.SHADOW, 0.0, Traffic(), 0, 0
    drift = int(random.integers(LOOKS)) if case.drifts == "shadow" else -1
    shadow_labels, sprt, odds = 0, 0, 0.0
    shares = iter((*BAR.canary_shares, 0.0))
    look = 0
    while True:
        gained, lost, neither = outcomes(case.drop, DRIFT if 0 <= drift <= look else 0.0)
        look, age = look + 1, age + 1
        asked, labels = REQUESTS // LOOKS, LABELS // LOOKS
        if step is Step.SHADOW:
            counts = random.multinomial(asked, [gained, lost, neither, 1 - gained - lost - neither])
            reviewed = min(labels, int(counts[:3].sum()))
            seen = random.multivariate_hypergeometric(counts[:3], reviewed)
            traffic = replace(
                traffic,
                requests=traffic.requests + asked,
                compared=traffic.compared + asked,
                disagreements=traffic.disagreements + int(counts[:3].sum()),
                gained=traffic.gained + int(seen[0]),
                lost=traffic.lost + int(seen[1]),
                neither=traffic.neither + int(seen[2]),
            )
            shadow_labels = traffic.pairs.reviewed
            # Wald's, one label after another in a random order.
            for kind in random.permutation(np.repeat(np.arange(3), seen)):
                if log(WORSE_ALPHA) < odds < -log(ADVANCE_ALPHA):
                    sprt += 1
                    odds += _log_odds(int(kind))
        else:
            tried = int(asked * share)
            met += tried
            own, live = random.multinomial(labels, [share, 1 - share])
            wrong = 1 - LIVE + (DRIFT if 0 <= drift < look else 0.0)
            traffic = replace(
                traffic,
                requests=traffic.requests + tried,
                labelled=traffic.labelled + int(own),
                errors=traffic.errors + int(random.binomial(own, wrong + case.drop)),
                live_labelled=traffic.live_labelled + int(live),
                live_errors=traffic.live_errors + int(random.binomial(live, wrong)),
            )
        evidence = Evidence(age_s=age * 86_400 / LOOKS, living=1, ready=1, traffic=traffic)
        verdict = next_step(step, evidence, BAR)
        if verdict.move is Move.ROLL_BACK:
            return Ended(False, False, verdict.reason.startswith("abandoned"), met, shadow_labels, sprt)
        if verdict.move is Move.ADVANCE:
            step, share, traffic, age = Step.CANARY, next(shares), Traffic(), 0
            if not share:
                return Ended(True, stays(case, random), False, met, shadow_labels, sprt)


def stays(case: Case, random: np.random.Generator) -> bool:
    """Whether a version that became live is not rolled back within the day in which it is watched."""
    traffic, drift = Traffic(), {"": LOOKS, "shadow": 0, "watch": int(random.integers(LOOKS))}[case.drifts]
    for look in range(LOOKS):
        gained, lost, neither = outcomes(case.drop, DRIFT if drift <= look else 0.0)
        compared = int(REQUESTS / LOOKS * BAR.watch_share)
        counts = random.multinomial(compared, [gained, lost, neither, 1 - gained - lost - neither])
        seen = random.multivariate_hypergeometric(counts[:3], min(LABELS // LOOKS, int(counts[:3].sum())))
        # The shadow is the version before now: it gains where the live one is wrong.
        traffic = replace(
            traffic,
            compared=traffic.compared + compared,
            disagreements=traffic.disagreements + int(counts[:3].sum()),
            gained=traffic.gained + int(seen[1]),
            lost=traffic.lost + int(seen[0]),
            neither=traffic.neither + int(seen[2]),
        )
        evidence = Evidence(age_s=(look + 1) * 86_400 / LOOKS, living=1, ready=1, traffic=traffic)
        if watched(evidence, BAR).move is Move.ROLL_BACK:
            return False
    return True


def _log_odds(kind: int) -> float:
    """Of a reviewed disagreement, equal beside five points worse: gained, lost or neither."""
    equal, worse = outcomes(0.0, 0.0), outcomes(0.05, 0.0)
    return log(equal[kind] / sum(equal)) - log(worse[kind] / sum(worse))


def ended(case: int, trials: int, seed: int) -> list[Ended]:
    """Of so many candidates."""
    random = np.random.default_rng([seed, case])
    return [rollout(CASES[case], random) for _ in range(trials)]


def summed(case: Case, found: Sequence[Ended]) -> tuple[dict[str, Any], bool]:
    """A row of the table, and whether its goal holds."""
    n, live, day = len(found), sum(each.live for each in found), sum(each.stays for each in found)
    met = float(np.mean([each.met for each in found])) / REQUESTS
    low, high = wilson(live, n)
    row = {
        "candidate": case.name,
        "trials": n,
        "past_canary": round(live / n, 4),
        "low": round(low, 4),
        "high": round(high, 4),
        "live_a_day": round(day / n, 4),
        "rolled_back": round(1 - day / n, 4),
        "abandoned": round(sum(each.abandoned for each in found) / n, 4),
        "met": round(met, 4),
        "labels": int(np.median([each.labels for each in found])),
        "sprt": int(np.median([each.sprt for each in found])),
        "goal": case.goal,
    }
    return row, case.holds({"past": live / n, "day": day / n, "met": met})


def main() -> int:
    """Print the table; 1 where a goal is missed."""
    parser = argparse.ArgumentParser(prog="make bench-rollouts", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--trials", type=int, default=TRIALS, help="candidates of each kind")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    began, rows, missed = time.perf_counter(), [], []
    with ProcessPoolExecutor(given.processes) as pool:
        for number, case in enumerate(CASES):
            parts = [
                pool.submit(ended, number, given.trials // CHUNKS, given.seed * 1000 + chunk) for chunk in range(CHUNKS)
            ]
            row, held = summed(case, [each for part in parts for each in part.result()])
            rows.append(row)
            missed += [] if held else [case.name]
    conditions = machine() | {
        "requests a day": REQUESTS,
        "labels a day": LABELS,
        "live accuracy": LIVE,
        "seconds": round(time.perf_counter() - began),
    }
    tell("rollouts", conditions, rows)
    keep("rollouts", conditions, rows)
    if missed:
        print(f"missed: {', '.join(missed)}", file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
