"""The gate's keys: a retired one, and the questions that it asks."""

from pathlib import Path

import pytest

from headrace.errors import PlanError
from headrace.plan import Plan, parse
from headrace.plan.upgrade import upgraded

EXAMPLE = (Path(__file__).parents[2] / "flywheel.toml").read_text()
RETIRED = EXAMPLE.replace("margin = 0.03", "margin = 0.03\nreference_accuracy = 0.96")


def test_the_reference_is_a_version_now():
    """The retired key says so where it meant something, is read over in an older plan, and an upgrade removes it."""
    with pytest.raises(PlanError, match=r"gate: reference_accuracy is no longer a key: the reference is a version"):
        parse(RETIRED)
    older = RETIRED.replace("version = 2", "version = 1")
    assert parse(older).task("router").gate == parse(EXAMPLE).task("router").gate
    assert upgraded(older) == upgraded(EXAMPLE.replace("version = 2", "version = 1"))
    # A job file of an older version has the key with its default.
    fields = parse(EXAMPLE).model_dump(mode="json")
    fields["tasks"]["router"]["gate"]["reference_accuracy"] = 0.0
    assert Plan.model_validate(fields) == parse(EXAMPLE)


def test_examples_are_named_by_text_or_id():
    """A label's examples are questions, of one of the plan's labels, given once."""
    given = EXAMPLE + '[tasks.router.examples]\nHR = ["how many days off do I have"]\n'
    assert parse(given).task("router").examples == {"hr": ("how many days off do I have",)}
    with pytest.raises(PlanError, match=r"examples: 'hr' is given twice"):
        parse(given + 'hr = ["pay"]\n')
    with pytest.raises(PlanError, match=r"examples: 'legal' is not one of labels"):
        parse(given + 'legal = ["contract"]\n')
    with pytest.raises(PlanError, match=r"examples"):
        parse(given + "it = []\n")
