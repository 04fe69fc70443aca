"""The model card of a version, under Hugging Face's headings (huggingface.co/docs/hub/model-card-annotated)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from headrace.contract.findings import Candidate
from headrace.models.bases import Base
from headrace.plan import CandidateSpec
from trainer.report.blocks import Block, Heading, Paragraph, Table, interval
from trainer.report.markdown import text_of
from trainer.report.story import Story, findings_of, suites_of

LIBRARIES = {"lora": "peft", "p_tuning": "peft"}


def card(story: Story, winner: Candidate) -> str:
    """README.md of the version. winner: its row on the test split"""
    spec = story.specs[winner.name]
    base = story.bases[winner.base]
    return f"---\n{_metadata(story, winner, base)}---\n\n{text_of(list(_blocks(story, winner, spec, base)))}"


def _metadata(story: Story, winner: Candidate, base: Base) -> str:
    """YAML, each value as JSON, which YAML takes."""
    metric = {"type": "accuracy", "value": round(winner.accuracy, 4), "name": f"accuracy on {winner.n} test rows"}
    result = {
        "task": {"type": "text-classification"},
        "dataset": {"type": story.task, "name": f"headrace data set {story.dataset[:12]}"},
        "metrics": [metric],
    }
    said: dict[str, Any] = {
        "license": base.licence.lower() or "other",
        "base_model": base.source.partition(":")[2] or base.source,
        "library_name": LIBRARIES.get(winner.method, "transformers"),
        "pipeline_tag": "text-classification",
        "tags": ["headrace", base.family, winner.method],
        "model-index": [{"name": story.version, "results": [result]}],
    }
    return "".join(f"{key}: {json.dumps(value)}\n" for key, value in said.items())


def _blocks(story: Story, winner: Candidate, spec: CandidateSpec, base: Base) -> Iterator[Block]:
    yield Heading(1, f"Model card of {story.version}")
    yield Paragraph(
        f"It answers the task {story.task} with one of {len(story.labels)} labels. headrace tuned and tested it, and"
        " wrote this card; report.html beside it has every candidate."
    )
    yield Heading(2, "Model Details")
    yield Heading(3, "Model Description")
    yield _pairs(
        {
            "Model type": f"{base.family}, {winner.parameters:,} parameters, {winner.trained_parameters:,} trained",
            "Finetuned from": f"{base.name} ({base.source}{' at ' + base.revision if base.revision else ''})",
            "Method": winner.method,
            "License of the base": base.licence or "not stated in the plan",
            "Replaces": story.live,
        }
    )
    yield Heading(2, "Uses")
    yield Heading(3, "Direct Use")
    yield Table(("label", "what it stands for"), [(label, story.describe.get(label, "")) for label in story.labels])
    yield Heading(3, "Out-of-Scope Use")
    yield Paragraph(
        "Other tasks, other languages than those of its training rows, and texts longer than"
        f" {base.max_length} tokens, which are cut. It gives no reasons and writes no text."
    )
    yield Heading(2, "Bias, Risks, and Limitations")
    yield Paragraph(
        "Its rows are what this company's users asked and its people labelled; who asks seldom has few of them. The"
        " figures below hold for questions like the test rows. Recall by label shows whom its errors meet."
    )
    weak = _weakest(winner)
    if weak:
        yield Table(("label", "recall (95 %)", "rows"), weak, frozenset({2}))
    yield Heading(2, "How to Get Started with the Model")
    yield Paragraph(
        f"A gateway of headrace serves it once it is promoted: ask the task's name, {story.task}, as the model. In"
        " Python: headrace.models.families.load(folder, digest), whose score(texts) gives probabilities of the labels."
    )
    yield Heading(2, "Training Details")
    yield Heading(3, "Training Data")
    yield Paragraph(
        f"{story.curated.funnel.get('train', 0):,} rows of the data set {story.tuned_on or story.dataset}. A row refers"
        " to an answer; texts stay in the warehouse, where consent, retention and erasures are kept to."
    )
    yield Heading(3, "Training Procedure")
    keys = {"seed": str(story.seed), "dtype of the base": base.dtype}
    yield _pairs(keys | {name: json.dumps(value) for name, value in spec.options.items()})
    yield Paragraph(f"{winner.seconds:.1f} seconds of training. Keys that are not named have the method's defaults.")
    yield Heading(2, "Evaluation")
    yield Heading(3, "Testing Data, Factors & Metrics")
    yield Paragraph(
        f"{winner.n} test rows that neither trained nor chose a candidate, labelled blind or by experts; near"
        " duplicates and sessions of theirs do not train. Accuracy is the share of right answers."
    )
    yield Heading(3, "Results")
    yield Table(("", "value (95 %)", "rows"), list(_results(story, winner)), frozenset({2}))
    yield Heading(3, "Summary")
    yield Paragraph(story.reason)
    yield Heading(2, "Environmental Impact")
    total = sum(story.seconds.values())
    yield Paragraph(f"The run took {total:.0f} seconds with all candidates. Energy was not measured.")
    yield Heading(2, "Technical Specifications")
    yield _pairs(
        {
            "Latency of one question": f"p50 {winner.p50_ms:.1f} ms, p95 {winner.p95_ms:.1f} ms, in the trainer",
            "Price": f"{winner.cost_per_1k:.4g} US dollars for a thousand requests at the task's traffic"
            if winner.cost_per_1k
            else "not known: the task's traffic is not",
        }
    )
    yield Heading(2, "Lineage")
    yield _pairs(
        {"run": story.run, "data set": story.dataset, "code": story.code, "written": f"{story.at:%Y-%m-%d} UTC"}
    )


def _results(story: Story, winner: Candidate) -> Iterator[tuple[str, str, str]]:
    yield "accuracy", interval(winner.accuracy, winner.low, winner.high), str(winner.n)
    if live := story.reference:
        yield f"accuracy of {live.name} on the same rows", interval(live.accuracy, live.low, live.high), str(live.n)
    for candidate in (winner, *(one for one in story.compared if one.name == winner.name)):
        where = "" if candidate is winner else " (validation rows)"
        for name, finding in findings_of(candidate).items():
            for figure, one in finding.figures.items() if name != "labels" else ():
                yield f"{name}: {figure}{where}", interval(one.value, one.low, one.high), str(one.n)
        for name, suite in suites_of(candidate).items():
            shown = suite.failure or interval(suite.accuracy, suite.low, suite.high)
            yield f"suite {name} {suite.version}", shown, str(suite.n)


def _weakest(winner: Candidate) -> list[tuple[str, str, str]]:
    labels = findings_of(winner).get("labels")
    figures = labels.figures.items() if labels else ()
    recalls = [(name.removeprefix("recall "), one) for name, one in figures if name.startswith("recall ")]
    recalls.sort(key=lambda item: item[1].value)
    return [(name, interval(one.value, one.low, one.high), str(one.n)) for name, one in recalls[:5]]


def _pairs(said: Mapping[str, str]) -> Table:
    return Table(("", ""), list(said.items()))
