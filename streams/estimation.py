"""How many answers were right, from labels of some: stratified, weighted by how likely each was to be drawn. Pure.

Strata are what is known of every answer whether it was labelled or not: what its user volunteered (a correction, a
complaint, nothing, thanks) and how confident the model was. Within a stratum the labelled answers were drawn with known
probabilities, so their weighted mean is fair to it; the strata are put together by how many answers each has. So what
people volunteer sharpens the figure and cannot bias it, however few of them speak and whoever they are.

    share of errors    sum over strata of N_h / N x (sum of w e) / (sum of w), w = 1 / inclusion probability
                       (Hajek within poststrata: Sarndal, Swensson and Wretman, Model Assisted Survey Sampling, 1992,
                       ch. 5.7 and 7.6; the regression, "prediction-powered" estimator of a categorical covariate)
    its variance       sum of (N_h / N)^2 (1 - f_h) p_h (1 - p_h) / n_h, n_h Kish's effective size (sum w)^2 / sum w^2,
                       f_h the share that is labelled: the figure is about these answers, not about a larger world
    its interval       Wilson's score interval at the sample size that a simple random sample of this variance has
                       (Franco, Little, Louis and Slud, J. Survey Statistics and Methodology 2019): it holds near 1.0,
                       where a symmetric one does not

Answers whose truth is known for a reason of their own (an outcome, an expert's verdict on a complaint) are no sample
of anything: they are counted as they are, and the sample speaks for the rest. `make bench-coverage` measures the lot.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from headrace.statistics.intervals import wilson

# Labels below which a stratum cannot speak for itself and joins its neighbour.
MIN_LABELS = 10
# A stratum's error rate is taken for its variance as if this many labels had the rate of all, a fiftieth of what there
# is while that is less: none wrong of ten is no proof that none can be.
PRIOR_LABELS = 3.0
PRIOR_SHARE = 0.02


@dataclass(frozen=True, slots=True)
class Sample:
    """Answers of one stratum that were drawn with one probability.

    probability: that an answer is drawn at all, above 0 and up to 1
    drawn: of which labelled have their label by now, and errors of those are wrong
    """

    probability: float
    drawn: int
    labelled: int
    errors: int


@dataclass(frozen=True, slots=True)
class Stratum:
    """answers: how many there are, drawn or not; those whose truth is known otherwise are not among them."""

    answers: int
    samples: tuple[Sample, ...] = ()

    @property
    def labelled(self) -> int:
        return sum(sample.labelled for sample in self.samples)


@dataclass(frozen=True, slots=True)
class Estimate:
    """The accuracy of all answers, with its 95 % interval; 0, 0 and 1 where nothing is labelled.

    effective: labels that a simple random sample would need to be as sharp, 0 where everything is known
    """

    value: float
    low: float
    high: float
    effective: float


@dataclass(frozen=True, slots=True)
class _Mean:
    """A stratum's weighted mean: of `answers`, a share `rate` is wrong, as from `size` labels; fpc: 1 - f_h."""

    answers: int
    rate: float
    size: float
    fpc: float


def estimate(strata: Sequence[Stratum], known: int = 0, known_errors: int = 0) -> Estimate:
    """The accuracy of the answers of all strata and of the `known` ones together.

    strata: in an order in which neighbours are alike, for those that are too small
    """
    answers = sum(stratum.answers for stratum in strata)
    if not answers:
        value = 1 - known_errors / known if known else 0.0
        return Estimate(value, value, value if known else 1.0, 0.0)
    means = [_mean(stratum) for stratum in pooled(strata)]
    if not means:
        # Nothing says anything about the rest.
        low, high, share = 0.0, 1.0, known / (known + answers)
        right = (known - known_errors) / known if known else 0.0
        return Estimate(right, share * right + (1 - share) * low, share * right + (1 - share) * high, 0.0)
    wrong, size = _together(means)
    low, high = wilson(size * (1 - wrong), size)
    rest, right = answers / (answers + known), (known - known_errors) / (answers + known)
    return Estimate(right + rest * (1 - wrong), right + rest * low, right + rest * high, size)


def pooled(strata: Iterable[Stratum]) -> list[Stratum]:
    """Strata with at least MIN_LABELS labels each, small ones joined with the next; none where nothing is labelled."""
    found: list[Stratum] = []
    waiting = Stratum(0)
    for stratum in strata:
        waiting = Stratum(waiting.answers + stratum.answers, waiting.samples + stratum.samples)
        if waiting.labelled >= MIN_LABELS:
            found.append(waiting)
            waiting = Stratum(0)
    if waiting.answers and found:
        last = found.pop()
        waiting = Stratum(last.answers + waiting.answers, last.samples + waiting.samples)
    return [*found, waiting] if waiting.labelled else found


def _mean(stratum: Stratum) -> _Mean:
    total = squares = wrong = 0.0
    for sample in stratum.samples:
        if sample.labelled:
            # The unlabelled rest of those drawn is spoken for by the labelled ones.
            weight = sample.drawn / sample.labelled / sample.probability
            total += weight * sample.labelled
            squares += weight * weight * sample.labelled
            wrong += weight * sample.errors
    fpc = max(0.0, 1 - stratum.labelled / stratum.answers)
    return _Mean(stratum.answers, wrong / total, total * total / squares, fpc)


def _together(means: Sequence[_Mean]) -> tuple[float, float]:
    """The share of errors, and the size of the simple random sample that knows it as well."""
    answers = sum(mean.answers for mean in means)
    labelled = sum(mean.size for mean in means)
    wrong = sum(mean.answers * mean.rate for mean in means) / answers
    # Half an error in one label more: no error so far is no proof that there is none.
    prior = (wrong * labelled + 0.5) / (labelled + 1)
    borrowed = min(PRIOR_LABELS, PRIOR_SHARE * labelled)
    rates = [(mean.rate * mean.size + prior * borrowed) / (mean.size + borrowed) for mean in means]
    overall = sum(mean.answers * rate for mean, rate in zip(means, rates, strict=True)) / answers
    variance = sum(
        (mean.answers / answers) ** 2 * mean.fpc * rate * (1 - rate) / mean.size
        for mean, rate in zip(means, rates, strict=True)
    )
    # Where all are labelled there is no doubt left.
    return wrong, overall * (1 - overall) / max(variance, 1e-12)
