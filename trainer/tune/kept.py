"""What an attempt leaves for the next one, wherever that runs: copies of its checkpoints in the artifact store.

A store that is away costs nothing but that: the attempt goes on, and says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from trainer.progress import Progress
from trainer.tune import checkpoint
from trainer.tune.method import PART
from trainer.tune.notes import Notes

CHECKPOINTS = "checkpoints"
MAX_STORED_BYTES = 8 * 1024**3
"""A larger checkpoint stays on the machine that wrote it."""


@dataclass(slots=True)
class Kept:
    """Checkpoints of one attempt.

    work: the attempt's own folder; earlier: folders of earlier attempts and of the store, the newest first
    store: the job's place in the artifact store (headrace.contract.job_file.kept_in); None: nothing is stored
    """

    work: Path
    earlier: Sequence[Path]
    store: Path | None
    progress: Progress
    _copied: dict[Path, tuple[int, int]] = field(default_factory=dict)

    def checkpoint_of(self, name: str) -> Path:
        """The candidate's own file."""
        return self.work / CHECKPOINTS / f"{name}.safetensors"

    def take_over(self, name: str, key: str, stage: str) -> Notes:
        """Take over the candidate's newest checkpoint of the same run, and what was noted beside it."""
        own = self.checkpoint_of(name)
        found = [folder / CHECKPOINTS / own.name for folder in self.earlier]
        try:
            for part in {part.name for file in found for part in _parts(file)}:
                checkpoint.take_over(own.with_name(part), [file.with_name(part) for file in found], key)
            newest = checkpoint.take_over(own, found, key)
        except OSError as error:
            newest = None
            self.progress.say(stage, f"an earlier attempt's checkpoint could not be copied: {error.strerror}")
        if newest is not None:
            self.progress.say(stage, f"goes on from the checkpoint in {newest.parent.parent}")
        notes = Notes.read(_notes(own), key)
        if not notes.curve and not notes.scores:
            said = [Notes.read(_notes(file), key) for file in found]
            most = max(said, key=lambda one: (len(one.scores), len(one.curve)), default=notes)
            notes.scores, notes.curve, notes.seconds = dict(most.scores), dict(most.curve), most.seconds
        return notes

    def keep(self, name: str, stage: str) -> None:
        """Copy the candidate's checkpoint and notes into the store, where they have changed."""
        if self.store is None:
            return
        own = self.checkpoint_of(name)
        try:
            for file in (*_parts(own), own, _notes(own)):
                stat = file.stat() if file.exists() else None
                if stat is None or self._copied.get(file) == (stat.st_mtime_ns, stat.st_size):
                    continue
                if stat.st_size <= MAX_STORED_BYTES:
                    checkpoint.copy(file, self.store / CHECKPOINTS / file.name)
                self._copied[file] = (stat.st_mtime_ns, stat.st_size)
        except OSError as error:
            self.progress.say(stage, f"its checkpoint stays on this machine, since the store is away: {error.strerror}")


def _notes(file: Path) -> Path:
    return file.with_suffix(".json")


def _parts(file: Path) -> list[Path]:
    """Checkpoints of what a method trains beside the candidate itself (Given.part)."""
    return sorted(file.parent.glob(f"{file.stem}{PART}*.safetensors"))
