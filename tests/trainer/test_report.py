"""The report of a run and the model card: whole, self-contained, and safe whatever the texts in them are."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from markdown_it import MarkdownIt
from test_evaluators import subject

from headrace.contract.findings import Candidate, SuiteResult
from headrace.models.bases import EMBEDDED
from headrace.plan import CandidateSpec
from trainer.curate.rows import Curated
from trainer.evaluate.subject import findings
from trainer.report import files
from trainer.report.blocks import Curves, plain
from trainer.report.markdown import escaped
from trainer.report.plots import curves
from trainer.report.story import Story

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "]](javascript:alert(1)) [x](https://evil.example) ![y](//evil.example/z.png)",
    "| a | b |\n|---|---|\n# not a heading",
    "`code` **bold** www.evil.example me@evil.example <https://evil.example>",
    "</style></svg><a href='https://evil.example'>\u202egnp.exe",
)
JOB = UUID(int=7)
NAMES = ("lora", "probe", "full", "late")


def candidate(name: str, split: str, correct: int, **more: Any) -> Candidate:
    """A row of the table candidates."""
    rows = 100 if correct else 0
    figures = {"n": rows, "correct": correct, "accuracy": correct / 100, "low": correct / 110, "high": 0.99}
    known = {
        "base": "minilm-l6",
        "method": "lora",
        "p50_ms": 3,
        "p95_ms": 5,
        "cost_per_1k": 0.001,
        "parameters": 22_000_000,
    }
    given = {"job_id": JOB, "attempt": 1, "task": "router", "name": name, "at": datetime(2026, 1, 1, tzinfo=UTC)}
    return Candidate.model_validate({**given, "split": split, **figures, **known, **more})


def story(texts: tuple[str, ...] = (), outcome: str = "won") -> Story:
    """A run with three candidates, one of which failed; texts: stand wherever a person's words may."""
    said = (*texts, *("plain",) * 6)[:6]
    truth = ["hr", "it", "out_of_scope"] * 20
    shown = findings(subject(truth, ["hr", "it", "hr"] * 20))
    found = {name: one.model_dump(mode="json", exclude_defaults=True) for name, one in shown.items()}
    for one in found.values():
        one["rows"] = [[said[0] if cell == "it" else cell for cell in row] for row in one.get("rows", [])]
        one["method"] += said[1]
    suite = SuiteResult(
        version="2", n=10, correct=4, accuracy=0.4, minimum=0.5, bad=(f"cases.jsonl:3: {said[2]}",), left_out=1
    )
    detail = {
        "chosen": True, "pareto": True, "curve": {"1": 1.5, "2": 0.7},
        "serving": {"usd_per_hour": 0.05, "busy_s": 0.01},
        "findings": found, "suites": {"house": suite.model_dump(mode="json")},
    }  # fmt: skip
    rows = [
        candidate("lora", "validation", 93, reason=said[3], detail=detail),
        candidate("probe", "validation", 90, reason=said[3]),
        candidate("full", "validation", 0, reason=said[4]),
        candidate("router@0", "test", 80, gate="reference", cost_per_1k=2.0, detail={"requests_per_day": 2500.4}),
        candidate("lora", "test", 92, gate="passed", reason=said[5], detail={"gained": 14, "findings": found}),
    ]
    return Story(
        task="router", version="router@1", live="router@0", run="attempt 1", at=datetime(2026, 1, 1, tzinfo=UTC),
        why=said[4], outcome=outcome, reason=said[5], dataset="d" * 64, tuned_on="d" * 64,
        curated=Curated((), {said[0]: 3}, {"answers": 10, "train": 60}), shown=rows, labels=("hr", said[0]),
        describe={"hr": said[1]}, specs={name: CandidateSpec(method="lora", rank=8) for name in NAMES},
        bases={"minilm-l6": EMBEDDED["minilm-l6"]}, engines={"lora": "", "full": "vllm"}, seed=1, code="sources-1",
        seconds={"training": 3.0},
    )  # fmt: skip


class Tags(HTMLParser):
    """The tags and attributes of a page, and its words."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.words = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.words += data


def read(page: str) -> Tags:
    """A page, parsed."""
    tags = Tags()
    tags.feed(page)
    return tags


def test_a_report_says_what_was_tried_and_why(tmp_path: Path) -> None:
    """Candidates with intervals and curves, what failed or was never begun and why, suites, costs, data, lineage."""
    written = files.write(story(), tmp_path)
    assert [file.name for file in written] == ["report.html", "report.md", "README.md"]
    page = read((tmp_path / "report.html").read_text("utf-8"))
    assert page.tags.count("svg") >= 4 and page.tags.count("polyline") == 1
    text = (tmp_path / "report.md").read_text("utf-8")
    for said in (page.words, text):
        assert "0.930 (0.845 to 0.990)" in said and "14 and 0" in said and "d" * 64 in said
        assert "the run ended before it" in said and "forbids it" in said and "cases.jsonl:3" in said
        assert "at 2,500 a day" in said and "at 10,000,000 a day" in said and "is production's" in said
        assert "Expected calibration error" in said and "engine vllm, on which full would answer" in said
    assert "| 2 | 0.7 |" in text


def test_a_failed_run_has_a_report_and_no_card(tmp_path: Path) -> None:
    """Where nothing was tuned the report says why; there is no version that a card would be about."""
    empty = story(outcome="not_enough_labels")
    empty = Story(**{**vars(empty), "shown": (), "reason": "not enough labels: 3 more"})
    assert [file.name for file in files.write(empty, tmp_path)] == ["report.html", "report.md"]
    said = (tmp_path / "report.md").read_text("utf-8")
    assert "not enough labels: 3 more" in said and "No candidate was compared" in said


def test_hostile_texts_stay_texts(tmp_path: Path) -> None:
    """Whatever stands in a label, a reason or a suite's line makes no tag, attribute or link; nothing is loaded."""
    files.write(story(), tmp_path)
    usual = {name: read((tmp_path / name).read_text("utf-8")) for name in ("report.html",)}
    render = MarkdownIt("gfm-like", {"html": True, "linkify": False}).render
    plain_md = {name: read(render((tmp_path / name).read_text("utf-8"))) for name in ("report.md", "README.md")}
    files.write(story(HOSTILE), tmp_path)
    page = (tmp_path / "report.html").read_text("utf-8")
    found = read(page)
    assert set(found.tags) == set(usual["report.html"].tags) and "script" not in found.tags
    assert {name for name, _ in found.attributes} <= {name for name, _ in usual["report.html"].attributes}
    assert "<script>alert(1)</script>" in found.words and "\u202e" not in page
    assert "default-src 'none'" in page and "http" not in page.replace("http-equiv", "").replace(
        "https://evil.example", ""
    )
    for name, before in plain_md.items():
        after = read(render((tmp_path / name).read_text("utf-8")))
        assert set(after.tags) - {"hr"} <= set(before.tags) - {"hr"}, name
        assert {"a", "img", "script", "code", "strong"}.isdisjoint(after.tags)


@pytest.mark.parametrize(
    "text", [*HOSTILE, "- item", "1. item", "=== x", "+ y", "a_b*c", "~~no~~", "Größe: 3 & 4", "人事"]
)
def test_markdown_shows_a_text_as_it_is(text: str) -> None:
    """Rendered, the escaped text is the text."""
    rendered = read(MarkdownIt("gfm-like", {"html": True, "linkify": False}).render(escaped(text)))
    assert rendered.words.strip() == plain(text) and set(rendered.tags) <= {"p"}


def test_a_card_has_the_headings_and_its_metadata(tmp_path: Path) -> None:
    """Hugging Face's headings, and front matter whose values are those of the run."""
    files.write(story(), tmp_path)
    front, body = (tmp_path / "README.md").read_text("utf-8").removeprefix("---\n").split("---\n", 1)
    said = {key: json.loads(value) for key, _, value in (line.partition(": ") for line in front.splitlines())}
    assert said["license"] == "apache-2.0" and said["library_name"] == "peft"
    assert said["model-index"][0]["results"][0]["metrics"][0]["value"] == 0.92
    for heading in ("Model Details", "Uses", "Bias, Risks, and Limitations", "How to Get Started with the Model",
                    "Training Details", "Evaluation", "Environmental Impact", "Technical Specifications"):  # fmt: skip
        assert f"\n## {heading}\n" in body
    assert "d" * 64 in body and "rank | 8" in body and "router@0" in body


def test_each_of_many_curves_is_named_within_the_plot() -> None:
    """A name below the lower edge would not be seen."""
    for lines in (1, 40):
        svg = curves(Curves("loss", "epoch", "loss", {f"candidate {n}": [(1, 1.0), (2, 0.5)] for n in range(lines)}))
        height = int(re.search(r'viewBox="0 0 \d+ (\d+)"', svg)[1])
        assert max(float(y) for y in re.findall(r'<text x="[\d.]+" y="([\d.]+)"', svg)) <= height
        assert svg.count("candidate ") == lines
