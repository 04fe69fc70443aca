"""A task of kind generate says what writes its texts, by hand."""

from __future__ import annotations

import pytest
from test_plan import EXAMPLE, WRITER

from headrace.errors import PlanError
from headrace.plan import parse


def test_what_trains_texts_by_hand_stands_in_the_plan():
    """Candidates that write, what they are told and who compares them; of labels no such table."""
    keys = """
candidates = {tuned = {method = "lora", base = "smollm2-135m-q4"}}
judge = {url = "http://127.0.0.1:9/v1", model = "j"}
writing = {instructions = "Answer.", max_tokens = 20}
"""
    task = parse(EXAMPLE + WRITER + keys).task("writer")
    assert (task.candidates["tuned"].method, task.writing.max_tokens) == ("lora", 20)
    with pytest.raises(PlanError, match="writing is of the kind generate"):
        parse(EXAMPLE + '[tasks.router.writing]\ninstructions = "Answer."\n')
