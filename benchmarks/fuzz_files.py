"""Mutated files through `headrace import`'s own reading: each ends as events, rejected rows or a refusal in a sentence.

    make bench-fuzz-files           100,000 files; ARGS="--inputs 2000 --seed 7" for others

Files are made from good ones of every kind (CSV, TSV, JSON lines and documents, workbooks, Parquet, Arrow, packed ones)
by mutations of bytes, of lines, and of what is inside a workbook. Each is imported into a sink that keeps nothing. Any
exception but a sentence for the user, a count that does not add up, a file that takes more than 10 s, or more than
1 GiB of memory in all ends the run with the file, which stays in var/bench/files. Writes var/bench/fuzz_files.json.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import io
import json
import random
import resource
import time
import zipfile
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from benchmarks.table import keep, machine, tell
from headrace.contract.events import Event
from headrace.errors import EventError
from headrace.importing import Import, Mapping, Reading, open_rows
from headrace.importing.times import Times

FOLDER = Path("var/bench/files")
MAX_S, MAX_BYTES = 10.0, 1024**3
LOCAL = "b.csv"
AT = datetime(2026, 3, 2, 12, tzinfo=UTC)
MAPPING = Mapping(
    "feedback",
    {"at": "occurred_at", "who": "session_id", "stars": "value"},
    {"source": "user", "signal": "rating"},
    {"value": {"good": "5"}},
    "ticket",
    Times(ZoneInfo("Europe/Berlin")),
)
ROWS: list[dict[str, Any]] = [
    {
        "ticket": f"T-{n}",
        "at": f"2026-03-02 12:0{n}:00",
        "who": f"Gespräch {n}",
        "stars": 1.5 + n / 2,
        "note": 'a "b", c\nd',
    }
    for n in range(6)
]
DICTIONARY = [b'"', b"'", b",", b";", b"\t", b"|", b"\n", b"\r", b"\r\n", b"\0", b"\xff", b"\xfe\xff", b"\xef\xbb\xbf"]
DICTIONARY += [b"{", b"}", b"[", b"]", b":", b"\\", b'\\"', b'""', b"\xed\xa0\x80", b"\xe4", b"1e999", b"-0", b"NaN"]
DICTIONARY += [
    b"9" * 400,
    b"9" * 5000,
    b"[" * 3000,
    b"sep=;\n",
    b"N/A",
    b"13/2/2026",
    b"3/2/2026 1 PM",
    b"25.10.2026 02:30",
]
DICTIONARY += [
    b"GMT+25",
    b"AST",
    b"24:00",
    b"60000",
    b"4,5",
    b"1.234",
    b"-1e308",
    b'{"data": [',
    b"x" * 70_000,
    b"<c r=",
]


def seeds() -> dict[str, bytes]:
    """Good files by their names."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = list(ROWS[0])
    quoted = [[f'"{str(cell).replace(chr(34), chr(34) * 2)}"' for cell in row.values()] for row in ROWS]
    csv = "\n".join([",".join(names), *map(",".join, quoted)]) + "\n"
    local = "\r\n".join(["sep=;", ";".join(names), *(";".join([*row[:3], "4,5", "x"]) for row in quoted)])
    slashed = csv.replace("2026-03-02", "13/2/2026")
    lines = "".join(json.dumps(row) + "\n" for row in ROWS)
    document = json.dumps({"meta": {"page": 1}, "data": ROWS}, indent=1)
    typed = [row | {"at": AT, "ticket": n, "deep": {"a": [{"b": b"\x01"}]}} for n, row in enumerate(ROWS)]
    table, parquet, arrow = pa.Table.from_pylist(typed), io.BytesIO(), io.BytesIO()
    pq.write_table(table, parquet, row_group_size=3)
    with pa.ipc.new_file(arrow, table.schema) as file:
        file.write_table(table)
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.csv", csv)
    return {
        "a.csv": csv.encode(),
        LOCAL: local.encode("cp1252"),
        "c.csv": slashed.encode("utf-8-sig"),
        "d.tsv": csv.replace(",", "\t").encode("utf-16"),
        "e.jsonl": lines.encode(),
        "f.json": document.encode(),
        "g.json": json.dumps(ROWS).encode("utf-16"),
        "h.json": "\n".join(json.dumps(row, indent=1) for row in ROWS).encode(),
        "i.xlsx": _workbook(),
        "j.parquet": parquet.getvalue(),
        "k.arrow": arrow.getvalue(),
        "l.csv.gz": gzip.compress(csv.encode()),
        "m.zip": zipped.getvalue(),
        "n.csv.zst": pa.compress(csv.encode(), "zstd", asbytes=True),
    }


def mutated(name: str, content: bytes, all_seeds: Sequence[bytes], rng: random.Random) -> bytes:
    """A file that is no longer what it was."""
    if name.endswith(".xlsx") and rng.random() < 0.8:
        return _mutated_parts(content, all_seeds, rng)
    if name.endswith(".gz") and rng.random() < 0.7:
        return gzip.compress(_mutated_bytes(gzip.decompress(content), all_seeds, rng))
    return _mutated_bytes(content, all_seeds, rng)


def outcome(path: Path) -> tuple[str, int]:
    """How the import of a file ends, and how many rows it had. Raises what is no known outcome."""
    events = 0

    async def store(batch: Sequence[Event]) -> None:
        nonlocal events
        events += len(batch)

    state = FOLDER / "state" / "state.json"
    state.unlink(missing_ok=True)
    try:
        encoding = "windows-1252" if path.name == LOCAL else ""
        rows = open_rows(path, Reading(encoding, wanted=MAPPING.names))
        mapping = MAPPING.completed(path.name, rows.columns)
        one = Import(path, rows, mapping, state, state.with_suffix(".rejected"), None)
        summary = asyncio.run(one.run(store))
    except EventError as error:
        said = str(error)
        if "\n" in said or len(said) > 4000 or not said.isprintable():
            raise AssertionError(f"the refusal is no sentence: {said[:500]!r}") from error
        return "refused", 0
    reported = [json.loads(line) for line in state.with_suffix(".rejected").read_bytes().splitlines()]
    named = all(line["row"] and line["reason"] for line in reported)
    if not named or summary.events != events or summary.rejected != len(reported):
        raise AssertionError(f"{summary} does not add up with {events} events and {len(reported)} reported rows")
    if summary.rows != summary.events + summary.rejected:
        raise AssertionError(f"{summary}: a row is neither an event nor rejected")
    ending = "rejected rows" if summary.rejected else "all stored"
    return ending + (", one left" if summary.left else ""), summary.rows


def run(inputs: int, seed: int) -> tuple[dict[str, Counter[str]], float]:
    """How the files of each kind ended, and the longest time that one took, seconds."""
    (FOLDER / "state").mkdir(parents=True, exist_ok=True)
    rng, files = random.Random(seed), seeds()
    ended: dict[str, Counter[str]] = {name: Counter() for name in files}
    longest = 0.0
    for number in range(inputs):
        name = list(files)[number % len(files)]
        path = FOLDER / name
        path.write_bytes(mutated(name, files[name], list(files.values()), rng))
        began = time.monotonic()
        how, _ = outcome(path)
        took = time.monotonic() - began
        longest = max(longest, took)
        ended[name][how] += 1
        used = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        if took > MAX_S or used > MAX_BYTES:
            raise AssertionError(f"{path} took {took:.1f} s, and {used / 1024**2:.0f} MiB are used in all")
    return ended, longest


def _workbook() -> bytes:
    import openpyxl

    book, file = openpyxl.Workbook(), io.BytesIO()
    sheet = book.active
    assert sheet is not None
    for row in [list(ROWS[0]), *(list((row | {"at": AT.replace(tzinfo=None)}).values()) for row in ROWS)]:
        sheet.append(row)
    book.save(file)
    return file.getvalue()


def _mutated_bytes(content: bytes, all_seeds: Sequence[bytes], rng: random.Random) -> bytes:
    out = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        at = rng.randrange(len(out) + 1)
        end = min(len(out), at + rng.choice((1, 2, 8, 64)))
        kind = rng.randrange(8)
        if kind == 0:
            out[at:at] = rng.choice(DICTIONARY)
        elif kind == 1:
            out[at:end] = rng.choice(DICTIONARY)
        elif kind == 2:
            del out[at:end]
        elif kind == 3:
            out[at:at] = out[at:end] * rng.choice((1, 3, 200))
        elif kind == 4:
            del out[at:]
        elif kind == 5:
            other = rng.choice(all_seeds)
            out[at:end] = other[: rng.randrange(len(other))][-200:]
        elif kind == 6:
            lines = bytes(out).split(b"\n")
            rng.shuffle(lines)
            out = bytearray(b"\n".join(lines))
        elif out:
            out[at % len(out)] ^= 1 << rng.randrange(8)
    return bytes(out)


def _mutated_parts(content: bytes, all_seeds: Sequence[bytes], rng: random.Random) -> bytes:
    """A workbook whose parts are changed and packed again."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as good, zipfile.ZipFile(file, "w") as bad:
        names = good.namelist()
        chosen = {rng.choice(names) for _ in range(rng.choice((1, 1, 2)))}
        if rng.random() < 0.6:
            chosen = {"xl/worksheets/sheet1.xml"}
        for name in names:
            part = good.read(name)
            if rng.random() < 0.02:
                continue
            bad.writestr(name, _mutated_bytes(part, all_seeds, rng) if name in chosen else part)
    return file.getvalue()


def main() -> None:
    """Run, print the table and keep it."""
    parser = argparse.ArgumentParser(prog="make bench-fuzz-files", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--inputs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    began = time.monotonic()
    ended, longest = run(given.inputs, given.seed)
    conditions = machine() | {"inputs": given.inputs, "seed": given.seed, "seconds": round(time.monotonic() - began)}
    conditions |= {
        "longest s": round(longest, 2),
        "MiB in all": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }
    kinds = sorted({how for one in ended.values() for how in one})
    rows = [{"file": name} | {how: one[how] for how in kinds} | {"anything else": 0} for name, one in ended.items()]
    tell("fuzz-files", conditions, rows)
    print(keep("fuzz_files", conditions, rows))


if __name__ == "__main__":
    main()
