"""chain.json of a bundle of kind `chain`: its tiers, cheapest first, and at which confidence each of them answers.

A tier is a bundle of its own, in a folder beside the chain's; the last one may be the plan's incumbent instead, which
has no bundle. A tier answers where its probability of its own label is at least its threshold; else the next is asked.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, ValidationError, model_validator

from headrace.contract.events import Name, Optional200, Record, Share, sentence
from headrace.errors import ArtifactError

CHAIN = "chain.json"
OnFailure = Literal["cheaper", "fail"]


class Tier(Record):
    """One model of a chain.

    name: the candidate's in the plan, or `incumbent`; folder: of its bundle, beside the chain's; empty: the incumbent
    digest: of its manifest; empty only while the chain is not published
    threshold: the last tier has none; accuracy: of the incumbent, on the validation rows that it answered: the
        probability that is given for the label that it names
    usd_per_1k: for a thousand requests, as the thresholds were fitted with
    """

    name: Name
    folder: Annotated[str, Field(pattern=r"^([A-Za-z0-9][A-Za-z0-9_.+-]{0,199})?$")] = ""
    digest: Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")] = ""
    threshold: Share | None = None
    accuracy: Share = 0.0
    usd_per_1k: Annotated[float, Field(ge=0)] = 0.0


class ChainPoint(Record):
    """What thresholds showed on the validation rows: a point of the cost-accuracy curve, see trainer.tune.thresholds.

    thresholds: of the tiers but the last, None of one that is left out
    """

    thresholds: tuple[float | None, ...]
    usd_per_1k: float
    escalated: Share
    accuracy: Share
    low: Share
    high: Share
    gained: int
    lost: int
    p_value: float | None = None
    proven: bool = False
    chosen: bool = False


class Chain(Record):
    """tiers: at least two, cheapest first

    incumbent: the version that the last tier is, where that is the plan's incumbent
    on_failure: what is said where a later tier fails or is busy: the answer of the tier before it, or nothing
    usd_per_1k: expected, with the share of requests that each tier is asked
    rows, curve: the validation rows that the thresholds were proven on, and all thresholds that were looked at
    against: what was proven, in words
    """

    tiers: Annotated[tuple[Tier, ...], Field(min_length=2, max_length=8)]
    incumbent: Optional200 = ""
    on_failure: OnFailure = "cheaper"
    usd_per_1k: Annotated[float, Field(ge=0)] = 0.0
    rows: int = 0
    against: Optional200 = ""
    curve: tuple[ChainPoint, ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        *asking, last = self.tiers
        if any(not tier.folder or tier.threshold is None for tier in asking):
            raise ValueError("each tier but the last has a folder and a threshold")
        if bool(last.folder) == bool(self.incumbent) or last.threshold is not None:
            raise ValueError("the last tier is a bundle or the incumbent, and has no threshold")
        if len({tier.folder for tier in self.tiers}) < len(self.tiers):
            raise ValueError("each tier has its own folder")
        return self

    @property
    def bundles(self) -> tuple[Tier, ...]:
        """The tiers that are bundles."""
        return tuple(tier for tier in self.tiers if tier.folder)

    def write(self, folder: Path) -> None:
        """Into a candidate's folder."""
        (folder / CHAIN).write_text(self.model_dump_json(indent=1), "utf-8")

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Of a bundle's folder. Raises ArtifactError."""
        file = folder / CHAIN
        try:
            return cls.model_validate_json(file.read_bytes())
        except OSError as error:
            raise ArtifactError(f"{file} cannot be read: {error.strerror}; publish the artifact again") from None
        except ValidationError as error:
            raise ArtifactError(f"{file} is no chain: {sentence('Chain', error)}; publish the artifact again") from None


def place(chain: Path, tier: Tier) -> Path:
    """The folder of a tier's bundle. chain: the folder of the chain's"""
    return chain.parent / tier.folder
