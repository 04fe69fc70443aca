"""A causal model as it is: it is told which labels there are, and asked which of them the question belongs to."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from headrace.models.families.causal import write_prompt


def untuned(names: Mapping[str, str], describe: Mapping[str, str], folder: Path) -> None:
    """Write the candidate's prompt. A label is answered by its text; names: the texts by the labels' ids."""
    texts = {label: text.replace("_", " ") for label, text in names.items()}
    listed = "\n".join(f"- {text}: {describe.get(label, '')}".rstrip(": ") for label, text in texts.items())
    write_prompt(folder, f"Which of these does the question belong to? Answer with its name alone.\n{listed}", texts)
