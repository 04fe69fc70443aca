"""`make bench-curate`: a million labelled answers become a data set, and what nearly repeats another one is found.

make bench-curate                           a million answers, some minutes
make bench-curate ARGS="--rows 100000"      a tenth of them

ClickHouse makes the history. Of a hundred answers in a row 80 have a text of their own, 10 one of these again in other
spelling, 5 one of these with a typo, a word more or a word less, and 5 another text. A fifth of the texts end with one
of 30 e-mail footers. Three in five labels are thumbs, one in four is a correction, the others are outcomes and blind
audits.

Curation runs as in a trainer's attempt, with the plan's defaults. Peak memory is of this process and of the embedded
ClickHouse together, each 100 ms; cpu_s is the processor time of both. `found` is the share of the planted near
duplicates that do not train beside the text which they repeat; `false` is the share of the texts of which no row is
left, though nothing repeats them. Both are counted on a data set of all rows. Exit status 1 where a goal is missed.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil

from benchmarks.generated import FEEDBACK_FIXED, FIXED, ID
from benchmarks.table import keep, machine, tell
from headrace.contract import ids
from headrace.embedded.clickhouse import ClickHouseServer
from headrace.plan import Curation, Privacy
from headrace.settings import Settings
from headrace.warehouse import Warehouse
from simulation.grammar import World
from streams.audits import Audits
from trainer.curate import sources
from trainer.curate.dataset import DataSet
from trainer.curate.rows import AnswerRow, Rules
from trainer.curate.selection import curate
from trainer.curate.stage import with_texts
from trainer.process.run import CURATED_WITHIN_S

LABELS = ("hr", "it", "finance", "product", "out_of_scope")
START = datetime(2026, 1, 1, tzinfo=UTC)
PER_HOUR = 2_000
SECONDS, GIB, FOUND, FALSE = 240.0, 3.0, 0.95, 0.01
NEAR, EXACT = range(90, 95), range(80, 90)

_MILLIS = f"toUInt64({ids.millis(START)} + intDiv(number * 3600000, {PER_HOUR}))"
# Which answer of its hundred an answer repeats; itself where it repeats none.
_ORIGIN = "toUInt64(number - number % 100 + if(number % 100 BETWEEN 80 AND 94, (number % 100 - 80) * 5, number % 100))"
_WORDS = (
    "arrayMap(place -> words[1 + toUInt32(length(words) * pow(cityHash64(origin, place) / 18446744073709551616, 2))],"
    " range(9 + cityHash64(origin) % 20))"
)
_EDITED = """multiIf(
    number % 100 BETWEEN 80 AND 89, concat(upperUTF8(text), '?!'),
    number % 100 NOT BETWEEN 90 AND 94, text,
    number % 4 = 0, concat('Hello, ', text),
    number % 4 = 1, concat(text, ' please'),
    number % 4 = 2, concat(substring(text, 1, 20), 'x', substring(text, 22)),
    arrayStringConcat(arrayPopFront(splitByChar(' ', text)), ' '))"""
_FOOTERS = (
    "concat('. Kind regards, the ', words[1 + cityHash64(origin, 'team') % 30], ' team. This e-mail and its attachments"
    " are confidential; if they are not meant for ', words[40 + cityHash64(origin, 'team') % 30], ', delete them.')"
)
_LABEL = f"{list(LABELS)}[1 + cityHash64(origin, 'label') % {len(LABELS)}]"
# What is said: thumb, correction, outcome or blind label.
_KIND = "cityHash64(number, 'said') % 100"


def fill(warehouse: Warehouse, rows: int) -> None:
    """Answers and what was said of them."""
    spoken = " ".join(question.text for question in World(1).questions(1, 3_000)).split()
    words = [word for word in dict.fromkeys(spoken) if word.isalpha()]
    inferences = {
        "inference_id": ID.format(millis=_MILLIS, fixed=FIXED, n="number"),
        "occurred_at": f"fromUnixTimestamp64Milli({_MILLIS}, 'UTC')",
        "tenant": "'default'", "task": "'router'", "version": "'router@0'", "arm": "'live'", "consent": "true",
        "user_ref": "toString(cityHash64(number, 'user') % 20000)", "key_id": "toString(number % 12)",
        "input": f"concat({_EDITED}, if(cityHash64(origin, 'footer') % 5 = 0, {_FOOTERS}, ''))",
        "label": f"if({_KIND} < 60, {_LABEL}, 'hr')", "audited": f"{_KIND} >= 95", "audit_probability": "0.05",
    }  # fmt: skip
    feedback = {
        "feedback_id": ID.format(millis=f"({_MILLIS} + 60000)", fixed=FEEDBACK_FIXED, n="number"),
        "inference_id": inferences["inference_id"],
        "occurred_at": f"fromUnixTimestamp64Milli({_MILLIS} + 60000, 'UTC')",
        "tenant": "'default'", "task": "'router'", "key_id": "toString(number % 12)",
        "source": f"multiIf({_KIND} < 85, 'user', {_KIND} < 95, 'outcome', 'audit')",
        "signal": f"multiIf({_KIND} < 60, 'thumb', {_KIND} < 85, 'correction', {_KIND} < 95, 'resolution', 'label')",
        "value": f"multiIf({_KIND} < 60, 1, {_KIND} BETWEEN 85 AND 94, 1, NULL)",
        "label": f"if({_KIND} < 60, '', {_LABEL})", "ground_truth": f"{_KIND} >= 85",
    }  # fmt: skip
    asked = f"WITH {words} AS words, {_ORIGIN} AS origin, arrayStringConcat({_WORDS}, ' ') AS text "
    for table, columns in (("inferences", inferences), ("feedback", feedback)):
        select = ", ".join(f"{sql} AS `{name}`" for name, sql in columns.items())
        warehouse.command(
            f"INSERT INTO {table} ({', '.join(columns)}) {asked} SELECT {select} FROM numbers({rows})"
            " SETTINGS max_partitions_per_insert_block = 0"
        )
    Audits(warehouse).copy()


@contextmanager
def peak() -> Iterator[list[float]]:
    """The most memory of this process and its children together, in GiB; known afterwards."""
    most, over, me = [0.0], threading.Event(), psutil.Process()

    def watch() -> None:
        while not over.wait(0.1):
            tree = [me, *me.children(recursive=True)]
            most[0] = max(most[0], sum(one.memory_info().rss for one in tree if one.is_running()) / 2**30)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    yield most
    over.set()
    watcher.join()


def cpu_s() -> float:
    """Seconds of processor time that this process and its children have used."""
    me = psutil.Process()
    return float(sum(sum(one.cpu_times()[:2]) for one in [me, *me.children(recursive=True)]))


def rules(rows: int, curation: Curation) -> Rules:
    """Of a job whose test window is the newest half of the history."""
    now = START + timedelta(hours=rows / PER_HOUR)
    since = START + (now - START) / 2
    return Rules("router", LABELS, curation, Privacy(), now, since, "router@0", False)


def measure(warehouse: Warehouse, rows: int) -> list[dict[str, Any]]:
    """A row a step; the last one is of all of them."""
    found: list[dict[str, Any]] = []
    began, spent = time.monotonic(), cpu_s()

    def step(name: str, count: int) -> None:
        taken = time.monotonic() - began - sum(row["seconds"] for row in found)
        used = cpu_s() - spent - sum(row["cpu_s"] for row in found)
        figures = {"seconds": round(taken, 1), "cpu_s": round(used, 1), "peak_gib": round(most[0], 2)}
        found.append({"step": name, "rows": count} | figures)
        print(found[-1], flush=True)

    with peak() as most:
        answers = sources.answers(warehouse, "router", texts=False)
        step("answers and labels", len(answers))
        texts = sources.Texts(warehouse, "router")
        likeness = texts.likeness()
        step("sketches", len(likeness.digests))
        chosen = curate(answers, rules(rows, Curation()), likeness)
        step("selection", len(chosen.rows))
        dataset = DataSet.of(with_texts(chosen, texts))
        step("texts", len(dataset.curated.rows))
    whole = {"step": "all", "rows": len(answers), "seconds": round(time.monotonic() - began, 1)}
    whole |= {"cpu_s": round(cpu_s() - spent, 1), "peak_gib": round(most[0], 2)}
    every = Curation(
        test_share=0.001, max_train_rows=2 * rows, max_validation_rows=2 * rows, forget_rows=rows, max_share_per_user=1
    )
    curated = curate(answers, rules(rows, every), likeness)
    trained = {row.inference_id for row in curated.rows}
    print(chosen.exclusions, curated.exclusions, flush=True)
    return [*found, whole | planted(answers, trained, rows)]


def planted(answers: Sequence[AnswerRow], trained: set[Any], rows: int) -> dict[str, Any]:
    """Which near duplicates were found, and which texts have no row though nothing repeats them."""
    kept = {number for number, answer in enumerate(answers) if answer.inference_id in trained}
    hundreds = range(0, rows - rows % 100, 100)
    pairs = [(first + near, first + (near - 80) * 5) for first in hundreds for near in NEAR]
    found = sum(near not in kept or origin not in kept for near, origin in pairs)
    repeated = {(number - 80) * 5 for number in (*NEAR, *EXACT)}
    alone = [first + own for first in hundreds for own in range(80) if own not in repeated]
    false = sum(number not in kept for number in alone)
    return {"found": round(found / len(pairs), 4), "false": round(false / len(alone), 4)}


def main(argv: Sequence[str] | None = None) -> int:
    """Run, print, write."""
    parser = argparse.ArgumentParser(
        prog="make bench-curate", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=1_000_000, help="labelled answers (default %(default)s)")
    options = parser.parse_args(argv)
    if options.rows < 1000:
        parser.error("--rows is 1000 at least")
    home = Path(tempfile.mkdtemp(prefix="headrace-curate-"))
    try:
        with ClickHouseServer(home) as server:
            warehouse = Warehouse.connect(
                Settings(home=home, clickhouse=server.url, database="curate"), CURATED_WITHIN_S
            )
            warehouse.prepare()
            fill(warehouse, options.rows)
            rows = measure(warehouse, options.rows)
            warehouse.close()
    finally:
        shutil.rmtree(home, ignore_errors=True)
    goals = {"seconds_at_most": SECONDS, "gib_at_most": GIB, "found_at_least": FOUND, "false_at_most": FALSE}
    conditions = machine() | {"answers": options.rows} | goals
    rows = [{**row, "found": row.get("found"), "false": row.get("false")} for row in rows]
    tell("curate", conditions, rows)
    print(keep("curate", conditions, rows))
    whole = rows[-1]
    kept = whole["seconds"] <= SECONDS and whole["peak_gib"] <= GIB
    return int(not (kept and whole["found"] >= FOUND and whole["false"] <= FALSE))


if __name__ == "__main__":
    sys.exit(main())
