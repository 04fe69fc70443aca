"""An immutable data set: its digest, its files in the work folder, its rows in the warehouse."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from headrace.contract.job_file import Attempt, write_json
from headrace.warehouse import Sink
from trainer.curate.rows import SPLITS, AnswerRow, Curated, Row, Rules
from trainer.curate.selection import forbidden
from trainer.curate.text import digest, normal

INSERT_ROWS = 20_000


@dataclass(frozen=True, slots=True)
class DataSet:
    """Rows under the digest that names them."""

    digest: str
    curated: Curated

    @classmethod
    def of(cls, curated: Curated) -> DataSet:
        """The digest covers every row's split, identity, label and text, in a fixed order."""
        sha = hashlib.sha256()
        for row in sorted(curated.rows, key=lambda row: (SPLITS.index(row.split), row.inference_id.int, row.tenant)):
            line = (row.split, row.tenant, str(row.inference_id), row.label, row.text)
            sha.update(json.dumps(line).encode() + b"\n")
        return cls(sha.hexdigest(), curated)

    def split(self, name: str) -> list[Row]:
        """Rows of one split."""
        return self.curated.split(name)

    def write(self, folder: Path) -> None:
        """rows.jsonl, and manifest.json last, so that a manifest means that the rows are whole."""
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        rows = folder / "rows.jsonl"
        rows.touch(mode=0o600)
        with rows.open("w", encoding="utf-8") as file:
            for row in self.curated.rows:
                file.write(json.dumps(asdict(row), default=str) + "\n")
        counts = {"exclusions": self.curated.exclusions, "funnel": self.curated.funnel}
        write_json(folder / "manifest.json", {"dataset": self.digest, **counts})

    @classmethod
    def read(cls, folder: Path) -> DataSet | None:
        """What `write` wrote; None where it is not there whole."""
        try:
            manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
            with (folder / "rows.jsonl").open(encoding="utf-8") as file:
                rows = tuple(_row(json.loads(line)) for line in file)
            found = cls.of(Curated(rows, manifest["exclusions"], manifest["funnel"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return found if found.digest == manifest.get("dataset") else None

    def still_allowed(self, answers: Sequence[AnswerRow], rules: Rules) -> bool:
        """Whether each row may still be used: its answer was not erased and its consent not taken back."""
        rows = {(row.tenant, row.inference_id): row.text_digest for row in self.curated.rows}
        for answer in answers:
            name = (answer.tenant, answer.inference_id)
            if rows.get(name) == (answer.text_digest or digest(normal(answer.text))) and not forbidden(answer, rules):
                del rows[name]
        return not rows

    def store(self, sink: Sink, attempt: Attempt) -> None:
        """Rows of the tables datasets and dataset_rows. Stored twice, they are there once."""
        summary = {
            "dataset": self.digest,
            "job_id": str(attempt.job_id),
            "attempt": attempt.number,
            "task": attempt.task,
            "at": datetime.now(UTC).isoformat(),
            **{name: self.curated.funnel[name] for name in SPLITS},
            "exclusions": self.curated.exclusions,
            "funnel": self.curated.funnel,
        }
        lines = [json.dumps(line).encode() for line in self._lineage()]
        for start in range(0, len(lines), INSERT_ROWS):
            sink.insert("dataset_rows", lines[start : start + INSERT_ROWS])
        # Last, so that a data set that is listed has all its rows.
        sink.insert("datasets", [json.dumps(summary).encode()])

    def _lineage(self) -> Iterator[Mapping[str, Any]]:
        for row in self.curated.rows:
            yield {
                "dataset": self.digest,
                "split": row.split,
                "tenant": row.tenant,
                "inference_id": str(row.inference_id),
                "feedback_id": str(row.feedback_id),
                "source": row.source,
                "label": row.label,
                "text_digest": row.text_digest,
                "weight": row.weight,
            }


def _row(values: dict[str, Any]) -> Row:
    values["occurred_at"] = datetime.fromisoformat(values["occurred_at"])
    values["inference_id"], values["feedback_id"] = UUID(values["inference_id"]), UUID(values["feedback_id"])
    return Row(**{field.name: values[field.name] for field in fields(Row)})
