"""docs/warehouse.md: its questions are asked, and its tables are those of the database."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from analyst_story import CHANGE, AnalystStory

from headrace.statistics.intervals import wilson
from headrace.warehouse import Warehouse
from headrace.warehouse.documentation import markdown

pytestmark = pytest.mark.stack

REPOSITORY = Path(__file__).parents[2]
PAGE = (REPOSITORY / "docs" / "warehouse.md").read_text("utf-8")
QUESTION = re.compile(r"^### (\d+)\. (.*?)\n.*?```sql\n(.*?)```", re.MULTILINE | re.DOTALL)
QUESTIONS = {int(number): (title, sql) for number, title, sql in QUESTION.findall(PAGE)}
GENERATED = "not this text. -->\n\n"


@pytest.fixture(scope="module")
def story(warehouse: Warehouse) -> AnalystStory:
    told = AnalystStory(warehouse)
    told.tell()
    return told


@pytest.fixture(scope="module")
def ask(story: AnalystStory) -> Callable[[int], list[dict[str, Any]]]:
    """The rows that answer a question of the page."""

    def answers(number: int) -> list[dict[str, Any]]:
        sql = QUESTIONS[number][1]
        given = {"version": "router@1", "feedback_id": story.feedback_id, "day": story.day(CHANGE).date()}
        return story.warehouse.rows(sql, **{name: given[name] for name in re.findall(r"\{(\w+):", sql)})

    return answers


def test_page_has_the_columns_that_there_are(warehouse: Warehouse) -> None:
    """The second half of the page is what `headrace schema warehouse` prints."""
    written, mark, _ = PAGE.partition(GENERATED)
    wanted = f"{written}{mark}{markdown(warehouse)}\n"
    if wanted != PAGE:
        present = REPOSITORY / "var" / "warehouse.md"
        present.parent.mkdir(exist_ok=True)
        present.write_text(wanted, "utf-8")
    assert wanted == PAGE, "docs/warehouse.md is out of date: cp var/warehouse.md docs/warehouse.md"


def test_nothing_is_without_a_word(warehouse: Warehouse) -> None:
    """Every table, view and column says what it means."""
    rows = warehouse.query("warehouse/schema_columns")
    assert len(rows) > 400
    assert [f"{row['table']}.{row['name']}" for row in rows if not row["comment"]] == []
    assert {row["table"] for row in rows if not row["about"]} == set()


@pytest.mark.parametrize("number", QUESTIONS, ids=lambda number: QUESTIONS[number][0])
def test_question_is_answered(number: int, ask: Callable[[int], list[dict[str, Any]]]) -> None:
    """Each question of the page runs as it stands, and the story has an answer to it."""
    assert ask(number)


def test_answers_are_those_of_the_story(ask: Callable[[int], list[dict[str, Any]]], story: AnalystStory) -> None:
    """What the story did is what the questions find."""
    assert len(QUESTIONS) >= 20 and list(QUESTIONS) == list(range(1, len(QUESTIONS) + 1))
    assert ask(3)[0]["expert"] == "finance" and ask(3)[0]["errors_after"] > ask(3)[0]["errors_before"] + 0.2
    assert sum(row["feedback"] for row in ask(4)) == len(story.lineage)
    assert [(row["split"], row["version"], row["live_since_generation"]) for row in ask(5) if row["version"]] == [
        ("train", "router@1", 4)
    ]
    # The story's first and last week have as many days as the calendar leaves them.
    weeks = [row for row in ask(6) if row["audited"] >= 80]
    assert len(weeks) >= 7 and all(row["thumbs_say"] < row["audit_says"] for row in weeks)
    saved = ask(7)[0]
    assert saved["version"] == "router@1" and saved["usd_saved"] == pytest.approx(1440 * 0.00198, abs=0.1)
    assert {row["version"]: row["p99_ms"] > 500 for row in ask(8)} == {"router@0": True, "router@1": False}
    assert sum(row["drift"] for row in ask(13)) == 2 and sum(row["for_nothing"] for row in ask(13)) <= 1
    assert {row["gate"] for row in ask(14)} == {"failed", "not_selected"}
    assert [row["missing"] + row["duplicated"] for row in ask(24)] == [0] * len(ask(24))
    turned = [row["hours_to_promotion"] for row in ask(20) if row["version"]]
    assert turned == [36]
    assert [(row["old"], row["new"], row["asked_by"]) for row in ask(30)] == [("router@0", "router@1", "retrain")]


def test_intervals_are_wilsons(ask: Callable[[int], list[dict[str, Any]]]) -> None:
    """The interval that the page computes in SQL is the one that the loop computes."""
    for row in ask(1):
        assert (row["low"], row["high"]) == pytest.approx(wilson(row["correct"], row["audited"]), abs=0.002)
