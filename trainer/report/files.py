"""The files of a run's report: which there are, and where."""

from __future__ import annotations

from pathlib import Path

from headrace.models.bundle import CARD, REPORT, REPORT_TEXT
from trainer.report.card import card
from trainer.report.html import page
from trainer.report.markdown import text_of
from trainer.report.sections import blocks
from trainer.report.story import Story


def write(story: Story, folder: Path) -> tuple[Path, ...]:
    """Write the report into the attempt's folder, and the model card where a candidate won; the files, report first."""
    told = blocks(story)
    texts = {REPORT: page(f"{story.version}: report", told), REPORT_TEXT: text_of(told)}
    winner = story.judged
    if story.outcome == "won" and winner is not None:
        texts[CARD] = card(story, winner)
    for name, text in texts.items():
        (folder / name).write_text(text, "utf-8")
    return tuple(folder / name for name in texts)
