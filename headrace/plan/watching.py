"""The tables of the plan that say what is watched of a task, and when it is retrained."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, field_validator, model_validator

from headrace import cron
from headrace.plan.section import EventTime, NotNegative, OpenShare, Positive, Section, Word


class Audit(Section):
    """The base audit: a uniform sample of answers, labelled blind; the only evidence of the hard trigger."""

    rate: Annotated[float, Field(ge=0, le=1)] = 0.05
    """Share of live answers drawn, by a hash of the inference id."""
    reviews_per_day: NotNegative = 0.0
    """Answers more a day of event time that experts can label, drawn where they sharpen the accuracy most; 0: none."""
    usd_per_review: NotNegative = 0.0
    """What an expert's label or review costs, for `headrace savings`."""


class Windows(Section):
    """Event-time windows of the rolling figures."""

    size_s: Positive = 3600.0
    """How long a window is: whole milliseconds, as the warehouse counts."""
    lateness_s: EventTime = 60.0
    """The watermark stands this far behind the newest event."""
    rolling: Annotated[int, Field(ge=1, le=10_000)] = 24
    """How many windows the rolling accuracy spans."""
    refresh_s: Positive = 1.0
    """How often the monitor looks, wall clock."""
    time_zone: str = "UTC"
    """Whose hours of the week detectors compare, as `Europe/Berlin`: users keep their hours over summer time."""

    @field_validator("size_s")
    @classmethod
    def _whole(cls, seconds: float) -> float:
        # Of what is too long retention tells.
        if seconds < 1 or seconds % 1:
            size = timedelta(seconds=seconds)
            if not size or size % timedelta(milliseconds=1):
                raise ValueError(f"{seconds:g} s are no whole milliseconds")
        return seconds

    @field_validator("time_zone")
    @classmethod
    def _zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(f"{name!r} is not a time zone of this machine; write it as Europe/Berlin or UTC") from None
        return name


class Triggers(Section):
    """When to retrain."""

    detectors: tuple[Word, ...] = (
        "shiryaev_roberts",
        "label_proportions",
        "label_psi",
        "confidence_shift",
        "confidence_ks",
        "estimated_accuracy",
        "out_of_vocabulary",
        "embedding_centroid",
    )
    """Files of streams/detectors to run, by name."""

    false_alarms_per_year: Positive = 1.0
    """Retrainings for nothing that the task may cost in a year: the hard trigger's threshold follows from it and from
    how many base-audit labels a year the task gets (streams/thresholds.py)."""
    hard_threshold: Positive | None = None
    """Shiryaev-Roberts statistic at which the label trigger fires, in place of false_alarms_per_year."""
    reference_labels: Annotated[int, Field(ge=30)] = 1000
    """Base-audit labels from which a baseline is estimated where no evaluation gives one."""
    false_alarm: OpenShare | None = None
    """Nominal false-alarm probability of one window of one soft detector (two of three must alarm); without it, such
    that audits are drawn for nothing no oftener than false_alarms_per_year."""
    min_labels: Annotated[int, Field(ge=1)] = 50
    """No drift trigger on fewer base-audit labels since the promotion, or since the last trigger."""
    draw_audits: Annotated[int, Field(ge=0, le=100_000)] = 100
    """Answers to draw for audit, uniformly, where two families of label-free detectors alarm; 0: never."""
    cool_down_s: EventTime = 86_400.0
    """No second trigger of a task within this event time after the last one or a promotion; nor a second draw."""
    cheaper_after_labels: Annotated[int, Field(ge=0)] = 1500
    """Base-audit labels at which a cheaper candidate is worth a try while an upstream serves; 0: never."""
    cadence_s: EventTime = 0.0
    """Retrain this long after the last promotion or trigger whatever the detectors say; 0: never."""
    cadence_cron: str = ""
    """Retrain at these times of event time, UTC, as `0 3 * * mon` (headrace/cron.py); empty: never."""

    @field_validator("cadence_cron")
    @classmethod
    def _comes(cls, text: str) -> str:
        if text:
            cron.parse(text)
        return text

    @model_validator(mode="after")
    def _one_cadence(self) -> Self:
        if self.cadence_s and self.cadence_cron:
            raise ValueError("cadence_s and cadence_cron are two cadences; set one of them")
        return self
