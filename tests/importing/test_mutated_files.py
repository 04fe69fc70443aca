"""A short run of `make bench-fuzz-files`: every mutated file has a known outcome."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import fuzz_files


def test_mutated_files_end_in_known_outcomes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Events, rejected rows by number, or a refusal in one sentence; in bounded memory and time."""
    monkeypatch.setattr(fuzz_files, "FOLDER", tmp_path)
    monkeypatch.setattr(fuzz_files, "MAX_BYTES", 1 << 40)  # what other tests of this process took counts, too
    ended, _ = fuzz_files.run(210, seed=2)
    assert sum(sum(one.values()) for one in ended.values()) == 210
    assert {"refused", "rejected rows", "all stored"} <= {how for one in ended.values() for how in one}


@pytest.mark.parametrize("name", fuzz_files.seeds())
def test_the_seeds_are_good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """What is mutated is a file whose rows are all stored."""
    monkeypatch.setattr(fuzz_files, "FOLDER", tmp_path)
    (tmp_path / "state").mkdir()
    (tmp_path / name).write_bytes(fuzz_files.seeds()[name])
    assert fuzz_files.outcome(tmp_path / name) == ("all stored", len(fuzz_files.ROWS))
