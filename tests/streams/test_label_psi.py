"""Label PSI: calibrated to chi-square, one answer a session, and two of three windows."""

from __future__ import annotations

from datetime import UTC, timedelta

import numpy as np
import pytest
from router_story import START, Story
from scipy import stats

from headrace.contract.topics import INFERENCES
from headrace.plan import Plan, Task
from streams.detectors.detector import Reading, View
from streams.detectors.label_psi import LabelPsi, chi_square_quantile, dispersion
from streams.profiles import Profile
from streams.spans import spans

SAME = {"hr": 0.4, "it": 0.4, "finance": 0.2}
OTHER = {"hr": 0.2, "it": 0.45, "finance": 0.35}
WINDOW = timedelta(minutes=10)


def read(story: Story, task: Task, *mixes: dict[str, float], session: bool = False) -> Reading:
    """A reference of six windows of SAME, then one window of 600 answers for each of `mixes`."""
    promotion = story.promote("router@1", artifact="a")
    for mix in (*[SAME] * 6, *mixes):
        story.tell(600, version="router@1", mix=mix, audited=0.0)
    return LabelPsi().read(View(story.sink, "router", task, promotion, story.now))


@pytest.mark.parametrize("degrees", [2, 4, 9, 30])
@pytest.mark.parametrize("alpha", [0.05, 0.001])
def test_the_quantile_is_close_to_the_exact_one(degrees: int, alpha: float) -> None:
    """Wilson and Hilferty's chi-square quantile is within 3 % of the exact one."""
    assert chi_square_quantile(1 - alpha, degrees) == pytest.approx(stats.chi2.ppf(1 - alpha, degrees), rel=0.03)


def test_windows_are_whole_disjoint_and_closed() -> None:
    """The reference starts at the first whole window after the promotion; a window still open is not tested."""
    found = spans(START + timedelta(minutes=3), START + timedelta(minutes=59), WINDOW, first=2, zone=UTC)
    assert found is not None
    assert found.references == ((START + timedelta(minutes=10), START + timedelta(minutes=20)),) * 2
    assert (found.tested_from, found.tested_to) == (START + timedelta(minutes=30), START + timedelta(minutes=50))
    assert spans(START, START + timedelta(minutes=29), WINDOW, first=2, zone=UTC) is None


def test_the_statistic_is_the_textbooks(story: Story, plan: Plan) -> None:
    """PSI and its p-value equal those computed from the counts, and scipy's chi-square tail within 5 %."""
    reading = read(story, plan.tasks["router"], OTHER)
    counts = {"reference": dict.fromkeys(SAME, 0), "window": dict.fromkeys(SAME, 0)}
    for row in story.sink.rows("SELECT occurred_at, label FROM inferences FINAL"):
        counts["reference" if row["occurred_at"] < START + 6 * WINDOW else "window"][row["label"]] += 1
    # the answer on the stroke of the last window's end belongs to the window after it
    window = reading.inputs["windows"][-1]
    assert window["n"] == sum(counts["reference"].values())
    p_value = stats.chi2.sf(window["statistic"], 2)
    assert window["degrees"] == 2
    assert window["p_value"] == pytest.approx(p_value, rel=0.15)
    pearson = stats.chi2_contingency([list(counts["reference"].values()), list(counts["window"].values())]).statistic
    assert reading.statistic == pytest.approx(pearson, rel=0.1)


@pytest.mark.parametrize("season", [0.0, 0.15])
def test_the_dispersion_is_the_textbooks(season: float) -> None:
    """Pearson's chi-square of windows by labels over its degrees of freedom, at least 1; few windows say nothing."""
    draw = np.random.default_rng(3)
    shares = [np.array([0.4 + season * (place % 3 - 1), 0.4 - season * (place % 3 - 1), 0.2]) for place in range(24)]
    counts = np.array([draw.multinomial(300, share) for share in shares])

    def reference(windows: np.ndarray) -> Profile:
        squares = (windows**2 / windows.sum(axis=1, keepdims=True)).sum(axis=0)
        return Profile(
            sessions=int(windows.sum()),
            labels=dict(zip(SAME, windows.sum(axis=0).tolist(), strict=True)),
            windows=len(windows),
            label_squares=dict(zip(SAME, squares.tolist(), strict=True)),
        )

    found = dispersion(reference(counts))
    assert found == pytest.approx(max(1.0, stats.chi2_contingency(counts).statistic / 46))
    assert (found > 5) == (season > 0)
    assert dispersion(reference(counts[:11])) == 1.0


def test_two_of_three_windows_must_differ(story: Story, plan: Plan) -> None:
    """One shifted window is no alarm; the second is, and it is a soft one."""
    once = read(story, plan.tasks["router"], SAME, OTHER)
    assert once.statistic > once.threshold and not once.fired
    promotion = story.promote("router@1", artifact="a", since=START)
    story.tell(600, version="router@1", mix=OTHER, audited=0.0)
    twice = LabelPsi().read(View(story.sink, "router", plan.tasks["router"], promotion, story.now))
    assert twice.fired and not twice.hard


def test_without_a_shift_p_values_are_uniform(story: Story, plan: Plan) -> None:
    """Of 60 windows without a shift about one in ten has p < .1, and none fires at .001."""
    task = plan.tasks["router"]
    promotion = story.promote("router@1", artifact="a")
    story.tell(6 * 600, version="router@1", mix=SAME, audited=0.0)
    p_values = []
    for _ in range(20):
        story.tell(3 * 600, version="router@1", mix=SAME, audited=0.0)
        reading = LabelPsi().read(View(story.sink, "router", task, promotion, story.now))
        assert not reading.fired
        p_values += [window["p_value"] for window in reading.inputs["windows"]]
    assert len(p_values) == 60
    # One reference is shared by all, so they are not independent: a wide bound.
    assert sum(p < 0.1 for p in p_values) <= 18


def test_a_session_counts_once(story: Story, plan: Plan) -> None:
    """A hundred questions of one session are one answer in the comparison."""
    reading = read(story, plan.tasks["router"], SAME)
    inferences, _ = story.answers(100, version="router@1", every_s=0.0, audited=0.0)
    at = story.now - timedelta(seconds=30)
    story.put(INFERENCES, [i.model_copy(update={"session_id": "one", "occurred_at": at}) for i in inferences])
    promotion = story.promote("router@1", artifact="a", since=START)
    again = LabelPsi().read(View(story.sink, "router", plan.tasks["router"], promotion, story.now))
    assert again.n == reading.n + 1


def test_few_sessions_say_nothing(story: Story, plan: Plan) -> None:
    """With fewer than 30 sessions in the tested windows there is no statistic."""
    promotion = story.promote("router@1", artifact="a")
    story.tell(6 * 600, version="router@1", audited=0.0)
    story.tell(20, version="router@1", every_s=30, audited=0.0)
    reading = LabelPsi().read(View(story.sink, "router", plan.tasks["router"], promotion, story.now))
    assert reading.n == 0 and not reading.fired and "fewer than 30" in reading.reason
