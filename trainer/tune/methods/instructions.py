"""A causal model as it is: it is told which labels there are, and asked which of them the question belongs to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from headrace.models.families.causal import write_prompt


def untuned(labels: Sequence[str], describe: Mapping[str, str], folder: Path) -> None:
    """Write the candidate's prompt. A label is answered by its name in words."""
    texts = {label: label.replace("_", " ") for label in labels}
    listed = "\n".join(f"- {text}: {describe.get(label, '')}".rstrip(": ") for label, text in texts.items())
    write_prompt(folder, f"Which of these does the question belong to? Answer with its name alone.\n{listed}", texts)
