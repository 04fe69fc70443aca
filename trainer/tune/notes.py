"""What a tuning run has shown so far, beside its checkpoint: a resumed run knows it, and the report draws it."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from headrace.contract.job_file import write_json
from trainer.tune.method import Batch


@dataclass(slots=True)
class Notes:
    """Of one candidate.

    key: names the run, as its checkpoint's
    scores: accuracy on the validation rows by rung, the share of the epochs that were trained then
    curve: mean loss on the training rows by epoch, from 1
    seconds: of tuning, of all attempts and rungs that came to an end
    """

    path: Path
    key: str
    scores: dict[str, float] = field(default_factory=dict)
    curve: dict[int, float] = field(default_factory=dict)
    seconds: float = 0.0

    @classmethod
    def read(cls, path: Path, key: str) -> Self:
        """Empty ones where there are none of the same run."""
        try:
            said: dict[str, Any] = json.loads(path.read_text("utf-8"))
            if said["key"] == key:
                curve = {int(epoch): float(loss) for epoch, loss in said["curve"].items()}
                scores = {str(rung): float(seen) for rung, seen in said["scores"].items()}
                return cls(path, key, scores, curve, float(said["seconds"]))
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            pass
        return cls(path, key)

    def write(self) -> None:
        """Replace the file: the old one or the new one, whatever happens."""
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_json(self.path, {"key": self.key, "scores": self.scores, "curve": self.curve, "seconds": self.seconds})
        self.path.chmod(0o600)


@dataclass(slots=True)
class Pace:
    """How fast a run trains, and how its loss falls: told of each batch."""

    notes: Notes
    _started: float = 0.0
    _first: int = -1
    _rows: int = 0
    _epoch: int = -1
    _losses: list[Any] = field(default_factory=list)

    def heard(self, done: int, batch: Batch) -> bool:
        """One more batch. Whether an epoch has ended before it, so that a checkpoint of it is there."""
        ended = batch.epoch != self._epoch and self._epoch >= 0
        if ended:
            self.end_epoch()
        if self._first < 0:
            # From here on: before it the base was loaded and the rows embedded, which is no part of the pace.
            self._first, self._started = done, time.monotonic()
        else:
            self._rows += batch.rows
        self._epoch = batch.epoch
        self._losses.append(batch.loss)
        return ended

    def end_epoch(self) -> None:
        """Note the mean loss of the epoch. Losses are read here, once: reading one waits for the device."""
        if self._losses:
            losses = [float(loss) for loss in self._losses]
            self.notes.curve[self._epoch + 1] = round(sum(losses) / len(losses), 6)
            self._losses.clear()
            self.notes.write()

    def metrics(self, done: int, total: int, batch: Batch) -> dict[str, float]:
        """loss, learning_rate; from the second batch on rows_per_s, and eta_s: seconds until the end at that pace."""
        said = {"loss": round(float(batch.loss), 6), "learning_rate": batch.learning_rate}
        if done <= self._first:
            return said
        took = max(time.monotonic() - self._started, 1e-9)
        return said | {
            "rows_per_s": round(self._rows / took, 2),
            "eta_s": round((total - done) * took / (done - self._first), 1),
        }
