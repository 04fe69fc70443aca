"""The plan: a wrong one names the line, the key and what is allowed."""

from pathlib import Path

import pytest

from headrace.errors import PlanError
from headrace.plan import CandidateSpec, load, parse
from headrace.plan.upgrade import upgraded

REPOSITORY = Path(__file__).parents[2]
EXAMPLE = (REPOSITORY / "flywheel.toml").read_text()


def test_the_example_is_a_plan():
    """The plan that comes with the project loads."""
    plan = load(REPOSITORY / "flywheel.toml")
    assert plan.task("router").gate.margin == 0.03


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (EXAMPLE.replace("margin = 0.03", "margin = 7"), "tasks.router.gate.margin is 7"),
        (
            EXAMPLE.replace("margin = 0.03", "magrin = 0.03"),
            "tasks.router.gate.magrin is not a key of the plan; allowed here: alpha,",
        ),
        (EXAMPLE.replace('method = "lora"', 'method = "magic"'), "'untuned', 'probe', 'lora' or 'full'"),
        (EXAMPLE.replace('"it", ', '"it", "it", '), "labels names one label twice"),
        (EXAMPLE.replace("rate = 0.05", 'rate = "often"'), "tasks.router.audit.rate is 'often'"),
        (EXAMPLE.replace("version = 2\n", ""), "version is missing"),
        (
            EXAMPLE + "\n[tasks.router.windows]\nrolling = 48\n[privacy]\nretention_days = 1\n",
            "retention_days is 1, but the rolling figures of 'router' span 2 days",
        ),
        (
            EXAMPLE + '\n[tasks.router.windows]\ntime_zone = "Mars/Olympus"\n',
            "'Mars/Olympus' is not a time zone of this machine",
        ),
        ("tasks = ", "is not TOML"),
        ("version = 1", "tasks is missing"),
    ],
)
def test_a_wrong_plan_says_where(text, says):
    """One sentence with the file, the key and what is allowed."""
    with pytest.raises(PlanError) as caught:
        parse(text, "flywheel.toml")
    assert says in str(caught.value)
    assert str(caught.value).startswith("flywheel.toml")
    assert "\n" not in str(caught.value)


def test_the_line_is_the_keys_line():
    """An editor can jump to it."""
    text = EXAMPLE.replace("margin = 0.03", "margin = 7")
    line = 1 + text.splitlines().index("margin = 7")
    with pytest.raises(PlanError, match=f"line {line}:"):
        parse(text)


def test_a_missing_plan_says_how_to_name_one(tmp_path):
    """The sentence names the path and the variable."""
    with pytest.raises(PlanError, match="HEADRACE_PLAN"):
        load(tmp_path / "none.toml")


def test_an_unknown_task_lists_the_tasks():
    """The mistake and the mend in one sentence."""
    with pytest.raises(PlanError, match="no task 'roter'; it has router"):
        parse(EXAMPLE).task("roter")


def test_every_mistake_is_told_at_once():
    """A line each, with its own line number: nobody corrects a plan one run after another."""
    text = (
        EXAMPLE.replace("margin = 0.03", "margin = 7").replace("rate = 0.05", 'rate = "often"') + "\n[alarms]\nx = 1\n"
    )
    with pytest.raises(PlanError) as caught:
        parse(text, "flywheel.toml")
    first, *rest = str(caught.value).splitlines()
    assert first == "flywheel.toml has 3 mistakes:"
    assert [line.split(": ", 1)[1].split(" is ")[0] for line in rest] == [
        "tasks.router.audit.rate",
        "tasks.router.gate.margin",
        "alarms",
    ]
    assert all(line.startswith("  flywheel.toml, line ") for line in rest)


@pytest.mark.parametrize(
    ("candidate", "says"),
    [
        (
            'base = "gpt-9"',
            "lora.base is 'gpt-9', which is not known; there are minilm-l6, smollm2-135m-q4",
        ),
        (
            'base = "smollm2-135m-q4"',
            "lora: 'lora' tunes encoders; smollm2-135m-q4 takes untuned",
        ),
    ],
)
def test_a_base_and_its_methods_go_together(candidate, says):
    """What cannot be tuned is refused with the plan, and not by a trainer at night."""
    with pytest.raises(PlanError, match=says):
        parse(EXAMPLE.replace('method = "lora"', f'method = "lora"\n{candidate}'))


ENGINES = """
[engines.big]
kind = "openai"
url = "http://127.0.0.1:9/v1"
key_env = "BIG_KEY"
[engines.fast]
kind = "in_process"
capacity = 64
threads = 2
"""


def test_an_engine_has_its_kinds_keys():
    """The common keys and the kind's own, each with its default."""
    plan = parse(EXAMPLE.replace('method = "lora"', 'method = "lora"\nengine = "fast"') + ENGINES)
    big, fast = plan.engines["big"].keys(), plan.engines["fast"].keys()
    assert (big.key_env, big.timeout_s, big.capacity, big.model) == ("BIG_KEY", 60.0, 256, "")
    assert (fast.threads, fast.capacity, fast.url, fast.usd_per_hour) == (2, 64, "", None)
    assert plan.task("router").candidates["lora"].engine == "fast"


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ('"openai"', '"opennai"', "engines.big.kind is 'opennai'; there is no such kind; there are in_process, openai"),
        ('url = "http://127.0.0.1:9/v1"\n', "", "engines.big.url is missing"),
        ("127.0.0.1", " 127.0.0.1", "engines.big.url is 'http:// 127.0.0.1:9/v1'; string should match pattern"),
        ("capacity = 64", "capacity = 0", "engines.fast.capacity is 0; input should be greater than or equal to 1"),
        ("threads = 2", 'url = "http://x"', "engines.fast.url is 'http://x'; string should have at most 0 characters"),
        (
            "threads = 2",
            "timeout_s = 2",
            "engines.fast.timeout_s is not a key of the plan; allowed here: capacity, kind, queue, threads, url,",
        ),
        ('kind = "in_process"\n', "", "engines.fast.kind is missing"),
    ],
)
def test_a_wrong_engine_says_where(before, after, says):
    """One sentence, with the line of the key or of its table."""
    assert before in ENGINES
    text = EXAMPLE + ENGINES.replace(before, after)
    with pytest.raises(PlanError) as caught:
        parse(text, "flywheel.toml")
    (sentence,) = str(caught.value).splitlines()
    where, _, rest = sentence.partition(": ")
    assert rest.startswith(says), sentence
    line = text.splitlines()[int(where.removeprefix("flywheel.toml, line ")) - 1]
    assert line in ENGINES.replace(before, after).splitlines()


@pytest.mark.parametrize(
    ("engine", "says"),
    [
        ("slow", "engine is 'slow'; the plan has no such engine; it has big, fast"),
        ("big", "engine is 'big'; an engine of kind openai serves no trained models, only its own"),
    ],
)
@pytest.mark.parametrize("key", ['mode = "auto"', 'method = "lora"'])
def test_who_names_an_engine_names_one_that_serves_it(key, engine, says):
    """A task and a candidate alike."""
    assert key in EXAMPLE
    with pytest.raises(PlanError, match=says):
        parse(EXAMPLE.replace(key, f'{key}\nengine = "{engine}"') + ENGINES)


def test_mistakes_of_engines_are_told_with_the_others():
    """Also where the rest of the plan is wrong, and each once."""
    text = EXAMPLE.replace("margin = 0.03", "margin = 7") + ENGINES.replace("= 64", "= -1").replace("= 2", '= "x"')
    with pytest.raises(PlanError) as caught:
        parse(text, "flywheel.toml")
    first, *rest = str(caught.value).splitlines()
    assert first == "flywheel.toml has 3 mistakes:"
    assert [line.split(": ", 1)[1].split(" is ")[0] for line in rest] == [
        "tasks.router.gate.margin",
        "engines.fast.capacity",
        "engines.fast.threads",
    ]


def test_a_plan_of_version_1_does_the_same_in_version_2():
    """Comments and order stay; each task says auto, which is what it did; twice is once."""
    old = EXAMPLE.replace("version = 2", "version = 1").replace('mode = "auto"\n', "")
    new = upgraded(old)
    assert parse(old).mode("router") == parse(new).mode("router") == "auto"
    assert (parse(old).version, parse(new).version) == (1, 2) and upgraded(new) == new
    assert [line for line in new.splitlines() if line not in old.splitlines()] == ["version = 2", 'mode = "auto"']
    assert parse(new).tasks["router"].model_copy(update={"mode": None}) == parse(old).tasks["router"]


def test_a_new_plan_observes():
    """Nobody's models are retrained because a key was forgotten."""
    assert parse(EXAMPLE.replace('mode = "auto"\n', "")).mode("router") == "observe"


def test_a_plan_that_cannot_be_upgraded_says_what_to_do():
    """A task that is written in one line is a person's to change."""
    text = (
        'version = 1\ntasks.router = {labels = ["a", "b"], incumbent = {url = "http://x", model = "m"}, candidates = '
    )
    with pytest.raises(PlanError, match=r"has no table \[tasks.router\]"):
        upgraded(text + '{probe = {method = "probe"}}}\n')


def test_each_method_has_its_own_learning_rate():
    """Full fine-tuning does not inherit LoRA's."""
    specs = [
        CandidateSpec(method="lora"),
        CandidateSpec(method="full"),
        CandidateSpec(method="full", learning_rate=1e-3),
    ]
    assert [spec.rate for spec in specs] == [1e-3, 1e-4, 1e-3]
