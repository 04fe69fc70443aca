"""The plan: a wrong one names the line, the key and what is allowed."""

from pathlib import Path

import pytest

from headrace.errors import PlanError
from headrace.plan import CandidateSpec, Plan, load, parse
from headrace.plan.methods import keys_of
from headrace.plan.upgrade import upgraded

REPOSITORY = Path(__file__).parents[2]
# The example with a candidate by LoRA, which has keys of its own.
EXAMPLE = (REPOSITORY / "flywheel.toml").read_text()
EXAMPLE = EXAMPLE.replace('full]\nmethod = "full"\n', 'lora]\nmethod = "lora"\nrank = 16\n')


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
        (
            EXAMPLE.replace('method = "lora"', 'method = "magic"'),
            "'magic' is none of the methods that this version knows: chain, distil, few_shot, full, lora, p_tuning,",
        ),
        (
            EXAMPLE.replace('method = "probe"', 'method = "probe"\nrank = 4'),
            "candidates.probe.rank is not a key of the plan; allowed here: base, engine, inverse_regularisation,",
        ),
        (EXAMPLE.replace("rank = 16", "rank = 0"), "candidates.lora.rank is 0; input should be greater than"),
        (EXAMPLE + "\n[budget]\nusd = 3\n", "usd needs usd_per_hour"),
        (EXAMPLE.replace("rank = 16", 'base = ["x"]'), "candidates.lora.base"),
        (
            EXAMPLE + '\n[bases.x]\nfamily = "encoder"\nsource = "/models/x"\ndtype = "bfloat16"\n',
            "bases.x.dtype is 'bfloat16'; a base of family 'encoder' is loaded as float32",
        ),
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
            "lora.base is 'gpt-9', which is not known; there are minilm-l6, smollm2-135m-q4, words",
        ),
        (
            'base = "smollm2-135m-q4"\nmethod = "probe"',
            "'probe' needs a base that takes a head, which smollm2-135m-q4 does not",
        ),
    ],
)
def test_a_base_and_its_methods_go_together(candidate, says):
    """What cannot be tuned is refused with the plan, and not by a trainer at night."""
    with pytest.raises(PlanError, match=says):
        own = candidate if "method" in candidate else f'method = "lora"\n{candidate}'
        parse(EXAMPLE.replace('method = "probe"' if "probe" in own else 'method = "lora"', own))


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
    assert (big.key_env, big.timeout_s, big.capacity, big.model) == ("BIG_KEY", 600.0, 256, "")
    assert (fast.threads, fast.capacity, fast.url, fast.usd_per_hour) == (2, 64, "", None)
    assert plan.task("router").candidates["lora"].engine == "fast"


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        (
            '"openai"',
            '"opennai"',
            "engines.big.kind is 'opennai'; there is no such kind; there are decisions, in_process, onnx, openai",
        ),
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
    assert [line for line in new.splitlines() if line not in old.splitlines()] == [
        "version = 2", 'mode = "auto"', "[privacy]", "pool_tenants = true"
    ]  # fmt: skip
    assert parse(old).pools_tenants is parse(new).pools_tenants is True
    assert parse(new).tasks["router"].model_copy(update={"mode": None}) == parse(old).tasks["router"]


@pytest.mark.parametrize(
    "written", ["[privacy]\nretention_days = 90\n", "[ privacy ] # of people\npool_tenants = false\n"]
)
def test_an_upgrade_keeps_who_trains(written):
    """A table that is there gets the key that is missing; what the plan said stays."""
    tenant = 'tenant = "acme"\n' if "false" in written else ""
    old = EXAMPLE.replace("version = 2", "version = 1").replace('mode = "auto"\n', 'mode = "auto"\n' + tenant) + written
    assert parse(upgraded(old)).pools_tenants is parse(old).pools_tenants is not bool(tenant)


@pytest.mark.parametrize(
    ("pool", "tenant", "says"),
    [
        ("false", "", "tasks.router.tenant is missing: whose rows train it"),
        ("true", 'tenant = "acme"\n', "tasks.router.tenant is 'acme'; it needs privacy.pool_tenants = false"),
    ],
)
def test_a_tenant_is_named_where_tenants_are_kept_apart(pool, tenant, says):
    """The plan's check says whose rows a task lacks, and that a tenant alone keeps nobody's out."""
    text = EXAMPLE.replace('mode = "auto"\n', 'mode = "auto"\n' + tenant)
    with pytest.raises(PlanError, match=says):
        parse(text + f"\n[privacy]\npool_tenants = {pool}\n")


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
    keys = [
        keys_of(CandidateSpec.model_validate(given))
        for given in ({"method": "lora"}, {"method": "full"}, {"method": "full", "learning_rate": 1e-3})
    ]
    assert [found.learning_rate for found in keys] == [1e-3, 1e-4, 1e-3]


def test_a_candidate_of_version_1_keeps_keys_that_its_method_never_looked_at():
    """`epochs` of a probe was no mistake then, and changes nothing now; in version 2 it is one."""
    old = EXAMPLE.replace("version = 2", "version = 1").replace('method = "probe"', 'method = "probe"\nepochs = 6')
    assert parse(old).tasks["router"].candidates["probe"].options == {}
    with pytest.raises(PlanError, match=r"candidates\.probe\.epochs is not a key"):
        parse(old.replace("version = 1", "version = 2"))
    assert parse(upgraded(old)).version == 2 and upgraded(old).count("epochs = 6") == old.count("epochs = 6") - 1
    # As the job file of such a version has every candidate.
    flat = {"method": "probe", "epochs": 6, "learning_rate": None, "rank": 16, "batch": 16}
    assert keys_of(CandidateSpec.model_validate(flat)) == keys_of(CandidateSpec(method="probe"))


@pytest.mark.parametrize(
    ("keys", "gpus", "bound"),
    [
        ("minutes = 30", 0, (1800, "30 minutes")),
        ("minutes = 600\ngpu_hours = 2", 4, (1800, "2 GPU hours")),
        ("minutes = 600\ngpu_hours = 2", 0, (36000, "600 minutes")),
        ("minutes = 600\nusd = 3\nusd_per_hour = 6", 0, (1800, "3 dollars")),
    ],
)
def test_the_nearest_bound_of_a_budget_ends_tuning(keys, gpus, bound):
    """Minutes, GPU hours by the number of GPUs, money by the machine's price."""
    assert parse(f"{EXAMPLE}\n[budget]\n{keys}\n").budget.bound(lambda: gpus) == bound


WRITER = """
[tasks.writer]
kind = "generate"
mode = "observe"
incumbent = {url = "http://127.0.0.1:9/v1", model = "prose-70b"}
"""


def test_a_task_of_texts_needs_no_labels_and_no_candidates():
    """It stands beside others, and no gateway answers it; a job's file, which holds every key, is read again."""
    plan = parse(EXAMPLE + WRITER)
    assert (plan.task("writer").labels, plan.task("router").kind) == ((), "classify")
    assert list(plan.served) == ["router"] and Plan.model_validate_json(plan.model_dump_json()) == plan


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ('labels = ["a", "b"]', 'kind = "generate" with labels is not served yet: texts are stored'),
        ('candidates = {tuned = {method = "lora"}}', "needs a base that writes text, which minilm-l6 does not"),
        ("gate = {margin = 0.05}\naudit = {rate = 0.5}", 'kind = "generate" with audit, gate is not served yet'),
        ('engine = "gpu"\n[engines.gpu]\nkind = "in_process"', 'kind = "generate" with engine is not served yet'),
        (
            'candidates = {tuned = {method = "probe", base = "smollm2-135m-q4"}}',
            "'probe' needs a base that takes a head",
        ),
    ],
)
def test_what_is_not_built_for_texts_is_refused(keys, says):
    """One sentence names the combination that is not served yet."""
    with pytest.raises(PlanError) as caught:
        parse(EXAMPLE + WRITER + keys + "\n")
    assert says in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("mode", ["propose", "auto"])
def test_texts_are_observed_alone(mode):
    """A loop that nothing can judge does not turn, in a plan of version 1 neither."""
    says = f'tasks.writer: kind = "generate" with mode = "{mode}" is not served yet'
    with pytest.raises(PlanError, match=says):
        parse(EXAMPLE + WRITER.replace("observe", mode))
    with pytest.raises(PlanError, match='with mode = "auto" is not served yet'):
        parse(EXAMPLE.replace("version = 2", "version = 1") + WRITER.replace('mode = "observe"\n', ""))


@pytest.mark.parametrize("key", ["labels", "candidates"])
def test_a_task_of_labels_still_needs_its_keys(key):
    """What a task of kind generate may leave out is missing in any other."""
    rest = {"labels": 'labels = ["a", "b"]\n', "candidates": 'candidates = {probe = {method = "probe"}}\n'}
    rest.pop(key)
    with pytest.raises(PlanError, match=f"tasks.writer.{key} is missing"):
        parse(EXAMPLE + WRITER.replace('kind = "generate"\n', "") + "".join(rest.values()))
