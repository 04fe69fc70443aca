"""Distillation: a shallower student learns what an ensemble of teachers says of the rows (Hinton et al., 2015).

The teachers are the base tuned by `full` on the same rows, each with another seed. What they say of the training rows,
averaged at a temperature, is what the student learns beside the labels. The student is a copy of the base with every
second layer, which answers in about half the time.

Each teacher has a checkpoint of its own: a resumed run tunes no finished teacher again. The epochs of progress, and
those of the loss's curve, are the teachers' one after another and then the student's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, cast

from pydantic import Field

from headrace.plan.section import Positive
from trainer.tune.gradient import Descent
from trainer.tune.method import Batch, Given
from trainer.tune.methods import full

if TYPE_CHECKING:
    from headrace.models.family import Headed

NEEDS = frozenset({"gradient", "head"})
EFFORT = 4
MAKES = "full"
NAMES = True
FEWEST_EPOCHS = 10
"""Of the student: layers were taken from between others, which have to find together."""


class Keys(Descent):
    """Of a candidate with this method. Rate, epochs and batch are the teachers' as well."""

    learning_rate: Positive = 1e-4
    """The optimizer's greatest."""
    teachers: Annotated[int, Field(ge=1, le=10)] = 3
    """How many are tuned, each for as long as a candidate of method `full`."""
    layers: Annotated[int, Field(ge=0, le=1000)] | None = None
    """That the student keeps, spread evenly from the first one on; 0: all; not given: half of them."""
    temperature: Annotated[float, Field(gt=0, le=100)] = 2.0
    """By which logits are divided before they become probabilities: the greater, the more is said of other labels."""
    hard: Annotated[float, Field(ge=0, le=1)] = 0.5
    """The share of the rows' labels in the loss; the rest is the teachers'."""


def tune(given: Given, keys: Keys) -> int:
    """See method.Method. Raises OutOfBudget."""
    import torch

    from trainer.tune import fitting

    of_teacher = fitting.epochs_of(keys.epochs, given.truth, given.checked, full.FEWEST_EPOCHS)
    of_student = fitting.epochs_of(keys.epochs, given.truth, given.checked, FEWEST_EPOCHS)
    whole = keys.teachers * of_teacher + of_student
    said = [_said(_part(given, keys, number, number * of_teacher, whole), keys) for number in range(keys.teachers)]
    targets = torch.stack(said).mean(0)

    student = cast("Headed", given.tunable)
    layers = student.module.config.num_hidden_layers
    student.keep_layers(max(1, layers // 2) if keys.layers is None else keys.layers or layers)
    student.module.get_input_embeddings().requires_grad_(False)
    rows = student.prepare(given.texts)

    def losses(part: Sequence[int]) -> Any:
        logits = student.logits([rows[row] for row in part]).float()
        truth = torch.tensor([given.truth[row] for row in part], device=logits.device)
        hard = torch.nn.functional.cross_entropy(logits, truth, reduction="none")
        soft = -(targets[list(part)].to(logits.device) * (logits / keys.temperature).log_softmax(1)).sum(1)
        # Gradients of softened probabilities shrink with the square of the temperature.
        return keys.hard * hard + (1 - keys.hard) * keys.temperature**2 * soft

    fitting.seed(given)
    embeddings = student.embed(given.texts)
    learner = _told(given, keys, keys.teachers * of_teacher, whole)
    learner = replace(learner, loaded=student, embeddings=lambda: embeddings)
    return fitting.fit(learner, keys, FEWEST_EPOCHS, losses=losses)


def _part(given: Given, keys: Keys, number: int, before: int, whole: int) -> Given:
    """What a teacher is given: the same rows, and a seed and a checkpoint of its own."""
    given.say(f"teacher {number + 1} of {keys.teachers}")
    own = given.part(f"teacher-{number + 1}")
    return replace(_told(given, keys, before, whole), seed=given.seed + number + 1, checkpoint=own)


def _told(given: Given, keys: Keys, before: int, whole: int) -> Given:
    """With progress as a part of all epochs, of which so many come before it."""
    steps = math.ceil(len(given.texts) / keys.batch)

    def heard(done: int, _: int, batch: Batch) -> None:
        given.stepped(before * steps + done, whole * steps, replace(batch, epoch=before + batch.epoch))

    return replace(given, heard=heard)


def _said(teacher: Given, keys: Keys) -> Any:
    """Probabilities of the training rows at the temperature, a torch tensor (rows, labels); tunes the teacher."""
    import torch

    from headrace.models.tensors import by_length

    full.tune(
        teacher, full.Keys.model_validate(keys.model_dump(include=set(full.Keys.model_fields)) | {"neighbours": 0})
    )
    tunable = cast("Headed", teacher.tunable)
    rows = tunable.prepare(teacher.texts)
    out = torch.zeros((len(rows), len(teacher.labels.ids)))
    with torch.inference_mode():
        for part in by_length(rows):
            logits = tunable.logits([rows[row] for row in part]).float()
            out[part] = (logits / keys.temperature).softmax(1).cpu()
    return out
