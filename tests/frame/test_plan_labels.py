"""A plan's labels are any text; each has an id that follows from it."""

import json

import pytest

from headrace.errors import PlanError
from headrace.plan import Plan, parse
from headrace.plan.labels import read_by_models
from headrace.plan.upgrade import upgraded

REST = """
[tasks.router.incumbent]
url = "http://127.0.0.1:9/v1"
model = "big"
[tasks.router.candidates.probe]
method = "probe"
"""


def plan_of(*labels: str, more: str = "") -> str:
    """A plan with these labels and further keys of its task."""
    return f"version = 2\n[tasks.router]\nlabels = {json.dumps(labels)}\n{more}\n{REST}"


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("hr", "hr"),
        ("out-of.scope_2", "out-of.scope_2"),
        (" IT\t", "it"),
        ("Human Resources", "human_resources"),
        ("Finance & Purchasing", "finance_purchasing"),
        ("Büro (Köln)", "buro_koln"),
        ("Außendienst", "aussendienst"),
        ("24/7 Support", "label_24_7_support"),
        ("人事", "label_6ac380cb"),
        ("Y" * 150, "y" * 90 + "_cf04b783"),
    ],
)
def test_an_id_follows_from_the_text(text, label):
    """A Word is its own id; of another text the letters and digits stay, or a digest where none do."""
    task = parse(plan_of("other", text)).task("router")
    assert task.labels[1] == label
    assert dict(task.names) == {"other": "other", task.labels[1]: text.strip()}
    assert task.id_of(f" {text.upper()} ") == task.id_of(label.upper()) == task.labels[1]
    assert task.id_of("nobody") == ""


def test_ids_do_not_depend_on_the_order():
    """Of two texts with one slug both have a digest, whichever comes first; a Word keeps its own id beside them."""
    texts = ["Human Resources", "human-resources!", "human_resources", "Human, Resources"]
    names, reverse = (parse(plan_of(*order)).task("router").names for order in (texts, texts[::-1]))
    assert dict(names) == dict(reverse) and names["human_resources"] == "human_resources"
    assert len(set(names)) == 4 and all(label.startswith("human_resources") for label in names)


@pytest.mark.parametrize(
    ("labels", "read"),
    [
        (["front_desk", "IT_ops", "a_b c"], ["front desk", "IT ops", "a_b c"]),
        (["front desk", "front_desk"], ["front desk", "front_desk"]),
        (["Front Desk", "front_desk", "it_"], ["Front Desk", "front_desk", "it"]),
        (["front_desk", "front__desk"], ["front_desk", "front__desk"]),
    ],
)
def test_no_two_labels_are_one_to_models(labels, read):
    """What models read of an id has blanks for `_`, unless another label's text is the same then."""
    task = parse(plan_of("x", *labels)).task("router")
    assert list(read_by_models(task.names).values()) == ["x", *read]


def test_version_1_names_any_id_out_of_scope():
    """A plan of version 1 is read as it always was; the default and none need not be among the labels in any plan."""
    named = plan_of("IT", "HR", more='out_of_scope = "nobody_home"').replace("version = 2", "version = 1")
    assert parse(named).task("router").out_of_scope == "nobody_home"
    with pytest.raises(PlanError, match="'nobody_home', which is not one of its labels"):
        upgraded(named)
    for more in ("", 'out_of_scope = ""', 'out_of_scope = "out_of_scope"'):
        parse(plan_of("IT", "HR", more=more))


def test_a_plan_that_was_written_and_read_is_the_same():
    """A job's file holds the plan: its trainer knows the texts, too."""
    more = 'describe = {"human resources" = "people", it = "laptops"}\nout_of_scope = "Something else"'
    plan = parse(plan_of("Human Resources", "IT", "Something else", more=more))
    task = plan.task("router")
    assert (task.describe, task.out_of_scope) == ({"human_resources": "people", "it": "laptops"}, "something_else")
    assert Plan.model_validate_json(plan.model_dump_json()) == plan


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            plan_of("IT", "Human Resources", "human resources "),
            "labels: 'Human Resources' and 'human resources' are one",
        ),
        (plan_of("IT", "IT"), "labels names one label twice: 'IT'"),
        (plan_of("IT", "a\nb", "c"), "labels.1 is 'a\\nb'; a label has 1 to 200 characters on one line"),
        (plan_of("IT", " ", "c"), "labels.1 is ' '; a label has"),
        (plan_of("IT", "HR", more='describe = {"Human Resources" = "x"}'), "describe: 'Human Resources' is not one of"),
        (plan_of("IT", "HR", more='describe = {"hr" = "x", "HR" = "y"}'), "describe: 'HR' is described twice"),
        (
            plan_of("IT", "HR", more='out_of_scope = "Who knows"'),
            "out_of_scope is 'Who knows'; it is not one of labels",
        ),
        (
            plan_of("IT", "HR", more='out_of_scope = "nobody_home"'),
            "tasks.router.out_of_scope is 'nobody_home', which is not one of its labels",
        ),
        (plan_of("人事", "label_6ac380cb"), "labels: '人事' and 'label_6ac380cb' get one id"),
    ],
)
def test_mistakes_say_what_was_written(text, says):
    """A sentence quotes the label as it stands in the plan, and nothing else is complained about."""
    with pytest.raises(PlanError) as caught:
        parse(text)
    assert says in str(caught.value) and "\n" not in str(caught.value)
