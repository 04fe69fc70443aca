"""An immutable data set: its digest, its files in the work folder, its rows in the warehouse.

Rows and texts lie apart, so that an erasure can empty a row and the data set keeps its name: the digest is made of the
rows' own digests, and these of the texts' SHA-256. In the work folder rows.jsonl has rows and texts.jsonl texts; in the
warehouse `dataset_rows` has rows, and the texts are the answers' (view dataset_texts).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from headrace.contract.job_file import Attempt, write_json
from headrace.warehouse import Sink, Warehouse, clickhouse_time
from trainer.curate.digest import FORMAT, cluster_digest, dataset_digest, row_digest, text_sha256
from trainer.curate.rows import SPLITS, Curated, Row, Rules

INSERT_ROWS = 20_000
# Ids in one statement.
ASKED_ROWS = 2_000
ROWS, TEXTS, MANIFEST = "rows.jsonl", "texts.jsonl", "manifest.json"


@dataclass(frozen=True, slots=True)
class DataSet:
    """Rows under the digest that names them."""

    digest: str
    curated: Curated

    @classmethod
    def of(cls, curated: Curated) -> DataSet:
        """The digest covers all that a row trains or tests by: its split, ids, label, text, weight, cluster."""
        return cls(dataset_digest(row_digest(row, text_sha256(row.text)) for row in curated.rows), curated)

    def split(self, name: str) -> list[Row]:
        """Rows of one split."""
        return self.curated.split(name)

    def write(self, folder: Path) -> None:
        """Rows and texts, and the manifest last, so that a manifest means that both are whole."""
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for name in (ROWS, TEXTS):
            (folder / name).touch(mode=0o600)
        with (folder / ROWS).open("w", encoding="utf-8") as rows, (folder / TEXTS).open("w", encoding="utf-8") as texts:
            for row in self.curated.rows:
                values = asdict(row)
                text = values.pop("text")
                values["text_sha256"] = text_sha256(text)
                rows.write(json.dumps(values, default=str) + "\n")
                texts.write(json.dumps({"row": row_digest(row, values["text_sha256"]), "text": text}) + "\n")
        counts = {"exclusions": self.curated.exclusions, "funnel": self.curated.funnel}
        write_json(folder / MANIFEST, {"dataset": self.digest, "format": FORMAT, **counts})

    @classmethod
    def read(cls, folder: Path) -> DataSet | None:
        """What `write` wrote; None where it is not there whole, or an older version wrote it.

        A text that was taken out since is "", and its row is not allowed any more.
        """
        try:
            manifest = json.loads((folder / MANIFEST).read_text("utf-8"))
            with (folder / TEXTS).open(encoding="utf-8") as file:
                texts = {line["row"]: line["text"] for line in map(json.loads, file)}
            rows, digests = list[Row](), list[str]()
            with (folder / ROWS).open(encoding="utf-8") as file:
                for values in map(json.loads, file):
                    row = _row(values)
                    digests.append(row_digest(row, values["text_sha256"]))
                    row = _row(values | {"text": texts.get(digests[-1], "")})
                    if digests[-1] in texts and text_sha256(row.text) != values["text_sha256"]:
                        return None
                    rows.append(row)
            curated = Curated(tuple(rows), manifest["exclusions"], manifest["funnel"])
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return cls(manifest["dataset"], curated) if dataset_digest(digests) == manifest["dataset"] else None

    def still_allowed(self, warehouse: Warehouse, rules: Rules) -> bool:
        """Whether each row may still be used: its answer kept, its text the same, its consent not taken back."""
        rows = sorted(self.curated.rows, key=lambda row: row.inference_id.int)
        return all(
            _allowed(rows[start : start + ASKED_ROWS], warehouse, rules) for start in range(0, len(rows), ASKED_ROWS)
        )

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
            "format": FORMAT,
        }
        lines = [json.dumps(line).encode() for line in self._lineage()]
        for start in range(0, len(lines), INSERT_ROWS):
            sink.insert("dataset_rows", lines[start : start + INSERT_ROWS])
        # Last, so that a data set that is listed has all its rows.
        sink.insert("datasets", [json.dumps(summary).encode()])

    def _lineage(self) -> Iterator[Mapping[str, Any]]:
        for row in self.curated.rows:
            digest = text_sha256(row.text)
            yield {
                "dataset": self.digest,
                "split": row.split,
                "tenant": row.tenant,
                "inference_id": str(row.inference_id),
                "feedback_id": str(row.feedback_id),
                "source": row.source,
                "rank": row.rank,
                "label": row.label,
                "answered": row.answered,
                "version": row.version,
                "text_digest": row.text_digest,
                "text_sha256": digest,
                "weight": row.weight,
                "cluster": cluster_digest(row.cluster),
                "row_digest": row_digest(row, digest),
            }


def _allowed(rows: Sequence[Row], warehouse: Warehouse, rules: Rules) -> bool:
    found = warehouse.query(
        "trainer/rows_allowed",
        ids=[row.inference_id.int for row in rows],
        oldest=clickhouse_time(rules.now - timedelta(days=rules.privacy.retention_days)),
        tenant=rules.tenant,
        require_consent=rules.privacy.require_consent,
    )
    # The incumbent's own labels train with a consent that was said, whatever the plan requires of others.
    consents = {(one["tenant"], one["inference_id"], one["text_sha256"]): bool(one["consent"]) for one in found}
    said = [consents.get((row.tenant, row.inference_id, text_sha256(row.text))) for row in rows]
    return all(
        consent is not None and (consent or row.source != "teacher") for row, consent in zip(rows, said, strict=True)
    )


def _row(values: Mapping[str, Any]) -> Row:
    known = {"text": ""} | dict(values)
    known["occurred_at"] = datetime.fromisoformat(known["occurred_at"])
    known["inference_id"], known["feedback_id"] = UUID(known["inference_id"]), UUID(known["feedback_id"])
    return Row(**{field.name: known[field.name] for field in fields(Row)})
