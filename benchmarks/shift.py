"""`make bench-shift`: how often the detectors without labels alarm for nothing on real questions, and what they see.

make bench-shift                                     both tables, some minutes on two cores
make bench-shift ARGS="--runs 200 --size 300"        fewer runs, one size of window

The questions are CLINC150's (ten domains, real people's words), the model a probe on MiniLM's embeddings that 1,000 of
them fitted. A window has `size` sessions, one question each; the reference is what production compares it with
(streams/spans.py): the first 24 windows, or, with a season, the same hour of the weeks before. The p-values are
production's functions'.

false alarms: the share of unchanged windows with p below the nominal rate, beside it how often 2 of 3 windows that
              follow each other differ, which is what makes a detector alarm. streams:
    plain      nothing depends on anything
    clustered  five questions a session, which share its topic half of the time; the first counts
    all five   the same, each question counted: what production does not do
    season     the mix of topics has its hour of the week; one to four weeks after the promotion
    week one   the same without a week of history yet: the first 24 windows are the reference
detection: the share of changed windows that differ. The change is in the share `strength` of the questions:
    mix shift     they are of one domain, which has a tenth already
    new words     their longest word is the name of an unknown product
    typos         two letters of a word have changed places
    out of scope  they are CLINC150's out-of-scope questions
    new domain    they are of a domain that the model was never taught
    other company they are BANKING77's
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.shifting import changes, worlds
from benchmarks.shifting.answers import Answers, Reference, answered
from benchmarks.shifting.questions import Ints, Questions, banking, clinc, embedded, fitted
from benchmarks.table import keep, machine, tell
from streams.detectors import confidence_ks, confidence_shift, estimated_accuracy, label_psi
from streams.detectors.estimated_accuracy import Step

DATA = Path("../shared/data")
NOMINAL = 0.01
SIZES = (100, 300, 1000, 5000)
POWER_SIZES = (100, 300, 1000)
STRENGTHS = (0.05, 0.1, 0.3)
DETECTORS = (
    "label_psi",
    "confidence_shift",
    "confidence_ks",
    "estimated_accuracy",
    "out_of_vocabulary",
    "embedding_centroid",
)
CONTRAST_SIZE = 300
"""Of the two streams that show what happens without the rules."""
STREAMS = ("plain", "clustered", "all five", "season", "week one")
CHANGES = ("mix shift", "new words", "typos", "out of scope", "new domain", "other company")
HELD_OUT = 3
"""The domain that the model is not taught, for `new domain`."""
CHANGED = 3000
"""Questions of which there is a copy with a new word or a typo."""
LABELLED = 1000
"""Base-audit labels that calibrate the estimated accuracy."""


@cache
def scene(data: Path, held_out: bool) -> tuple[Answers, dict[str, Ints], worlds.Pool]:
    """All answers; the rows of each kind of question; rows by topic, without the domain held out."""
    domains, inside, outside = clinc(data)
    draw = np.random.default_rng(7)
    taught = np.flatnonzero(inside.truth != HELD_OUT) if held_out else np.arange(len(inside))
    labels = [name for place, name in enumerate(domains) if not (held_out and place == HELD_OUT)]
    model = fitted(inside[taught], labels, draw)
    copied = draw.choice(taught, CHANGED, replace=False)
    parts: dict[str, Questions] = {"inside": inside, "out of scope": outside, "other company": banking(data)}
    copies = () if held_out else (("new words", changes.named), ("typos", changes.typed))
    for name, change in copies:
        texts = change(inside[copied].texts, np.random.default_rng(8))
        parts[name] = Questions(tuple(texts), embedded(texts), inside.truth[copied])
    texts = tuple(text for part in parts.values() for text in part.texts)
    every = Questions(
        texts,
        np.concatenate([part.vectors for part in parts.values()]),
        np.concatenate([part.truth for part in parts.values()]),
    )
    ends = np.cumsum([len(part) for part in parts.values()])
    rows = {name: np.arange(end - len(part), end) for (name, part), end in zip(parts.items(), ends, strict=True)}
    topics = [np.flatnonzero(inside.truth == place) for place in range(len(domains))]
    rows |= {"mix shift": topics[0], "new domain": topics[HELD_OUT]}
    known = [each for place, each in enumerate(topics) if not (held_out and place == HELD_OUT)]
    return answered(every, model), rows, worlds.Pool(tuple(known))


def p_values(reference: Reference, window: Ints, calibration: list[Step]) -> list[float]:
    """In the order of DETECTORS; 1 where a detector says nothing."""
    pair, words, meaning = reference.pair(window), reference.new_words(window), reference.centroid(window)
    psi = label_psi.tested(pair, NOMINAL)
    return [
        1.0 if psi is None else psi.p_value,
        confidence_shift.tested(pair, NOMINAL).p_value,
        confidence_ks.tested(pair, NOMINAL).p_value,
        estimated_accuracy.tested(pair, calibration, NOMINAL).p_value,
        1.0 if words is None else words.p_value,
        1.0 if meaning is None else meaning,
    ]


def false_alarms(data: Path, stream: str, size: int, runs: int, seed: int) -> list[dict[str, Any]]:
    """One row a detector."""
    answers, _, pool = scene(data, False)
    draw = np.random.default_rng([seed, STREAMS.index(stream), size])
    even = np.full((1, len(pool.topics)), 1 / len(pool.topics))
    mixes = worlds.season(len(pool.topics)) if stream in ("season", "week one") else even
    sample = {"clustered": worlds.first_of_session, "all five": worlds.every_question}.get(stream, worlds.plain)
    found = []
    for _ in range(runs):
        steps = answers.calibration(worlds.plain(pool, mixes.mean(axis=0), LABELLED, draw))
        hours = draw.integers(168 + 27, 5 * 168) if stream == "season" else draw.integers(27, 168)
        windows = worlds.at(int(hours), pool, mixes, sample, size, draw)
        known = {id(rows): Reference(answers, rows) for rows, _ in windows}
        found.append([p_values(known[id(rows)], window, steps) for rows, window in windows])
    differ = np.array(found) < NOMINAL
    return [
        {
            "stream": stream,
            "size": size,
            "detector": name,
            "nominal": NOMINAL,
            "false_alarms": round(float(differ[:, :, place].mean()), 4),
            "two_of_three": round(float((differ[:, :, place].sum(axis=1) >= 2).mean()), 4),
            "windows": differ[:, :, place].size,
        }
        for place, name in enumerate(DETECTORS)
    ]


def detection(data: Path, change: str, size: int, runs: int, seed: int) -> list[dict[str, Any]]:
    """One row a strength."""
    answers, rows, pool = scene(data, change == "new domain")
    mix = np.full(len(pool.topics), 1 / len(pool.topics))
    table = []
    for strength in STRENGTHS:
        draw = np.random.default_rng([seed, CHANGES.index(change), size, round(100 * strength)])
        found = []
        for _ in range(runs):
            reference = [worlds.plain(pool, mix, size, draw) for _ in range(worlds.FIRST)]
            window = worlds.plain(pool, mix, size, draw)
            changed = draw.random(size) < strength
            window[changed] = draw.choice(rows[change], int(changed.sum()))
            steps = answers.calibration(worlds.plain(pool, mix, LABELLED, draw))
            found.append(p_values(Reference(answers, reference), window, steps))
        shares = (np.array(found) < NOMINAL).mean(axis=0)
        row: dict[str, Any] = {"change": change, "strength": strength, "size": size}
        table.append(row | {name: round(float(share), 3) for name, share in zip(DETECTORS, shares, strict=True)})
    return table


def measured(options: argparse.Namespace, pool: ProcessPoolExecutor) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Rows of both tables, each with the table's name."""
    waiting = [
        (table, pool.submit(measure, options.data, what, size, runs, options.seed))
        for table, measure, whats, sizes, runs in (
            ("false alarms", false_alarms, STREAMS, SIZES, options.runs),
            ("detection", detection, CHANGES, POWER_SIZES, options.power_runs),
        )
        for what in whats
        for size in ((CONTRAST_SIZE,) if what in STREAMS[2::2] else options.size or sizes)
    ]
    for number, (table, future) in enumerate(waiting, 1):
        rows = future.result()
        print(f"{number} of {len(waiting)}: {table}, {next(iter(rows[0].values()))}, {rows[0]['size']}", flush=True)
        yield table, rows


def main(argv: Sequence[str] | None = None) -> int:
    """Run, print, write."""
    parser = argparse.ArgumentParser(
        prog="make bench-shift", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=DATA, help="where the questions are (default %(default)s)")
    parser.add_argument("--runs", type=int, default=2000, help="for false alarms, three windows each (%(default)s)")
    parser.add_argument("--power-runs", type=int, default=200, help="for detection, a window each (%(default)s)")
    parser.add_argument("--size", type=int, action="append", help="of windows, in sessions; may be repeated")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(argv)
    if not (options.data / "clinc150.json").exists():
        print(f"there is no clinc150.json in {options.data}; docs/running.md says where it comes from", file=sys.stderr)
        return 2
    began = time.monotonic()
    for held_out in (False, True):
        scene(options.data, held_out)  # embeds what is not there yet; the processes below inherit it
    tables: dict[str, list[dict[str, Any]]] = {"false alarms": [], "detection": []}
    # Small matrices by the thousand: a second thread for each costs more than it gives.
    with ProcessPoolExecutor(len(os.sched_getaffinity(0)), initializer=threadpool_limits, initargs=(1,)) as pool:
        for table, rows in measured(options, pool):
            tables[table] += rows
    conditions = machine() | {"nominal": NOMINAL, "seed": options.seed, "seconds": round(time.monotonic() - began)}
    for table, rows in tables.items():
        tell(table, conditions, rows)
    print(keep("shift", conditions, [{"table": table} | row for table, rows in tables.items() for row in rows]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
