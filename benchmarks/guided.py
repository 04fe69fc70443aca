"""The second half of `make bench-fuzz`: inputs that libFuzzer grows by the code they reach (atheris).

A process of its own, since libFuzzer ends the one it runs in: `python -m benchmarks.guided TARGET INPUTS SEED FOLDER`.
It prints outcomes as one JSON line; whatever should not happen ends it with the input that did it, kept in FOLDER.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

LONGEST = 4096


def run(target: str, inputs: int, seed: int, folder: Path) -> Counter[str]:
    """Outcomes of so many inputs. Raises AssertionError with what libFuzzer says of the one that failed."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    argv = [sys.executable, "-m", "benchmarks.guided", target, str(inputs), str(seed), str(folder)]
    ended = subprocess.run(argv, capture_output=True, text=True, check=False)
    if ended.returncode:
        # The exception is on one stream, the place where libFuzzer keeps the input on the other.
        raise AssertionError(f"the {target}, guided, seed {seed}: {ended.stdout[-2000:]} {ended.stderr[-1000:]}")
    return Counter(json.loads(ended.stdout.splitlines()[-1]))


def main(target: str, inputs: int, seed: int, folder: Path) -> None:
    """Fuzz in this process until `inputs` were tried; does not return."""
    import atheris

    with atheris.instrument_imports(include=["serving", "streams", "headrace"]):
        from benchmarks import fuzz

    rng = random.Random(seed)
    corpus = folder / "corpus"
    corpus.mkdir(exist_ok=True)
    for number in range(32):
        (corpus / str(number)).write_bytes(fuzz.body_for(target, number, rng))
    found: Counter[str] = Counter()

    def one(data: bytes) -> None:
        found[fuzz.TARGETS[target](data, rng)] += 1
        if found.total() == inputs:
            print(json.dumps(found), flush=True)
            os._exit(0)

    words = folder / "words"
    words.write_text("".join(map(_word, fuzz.DICTIONARY)))
    # The kernel counts what the parent had when it made this process, so a bound on all of it would be the parent's.
    memory = ["-rss_limit_mb=0", "-malloc_limit_mb=2048"]
    flags = [
        *memory,
        f"-seed={seed}",
        f"-max_len={LONGEST}",
        f"-dict={words}",
        f"-artifact_prefix={folder}/",
        "-verbosity=0",
    ]
    atheris.Setup([sys.argv[0], *flags, str(corpus)], one)
    atheris.Fuzz()


def _word(word: bytes) -> str:
    """An entry of libFuzzer's dictionary."""
    escaped = "".join(f"\\x{byte:02x}" for byte in word)
    return f'"{escaped}"\n'


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))
