"""Training by gradient descent, for every method and family alike: AdamW, a warm-up, a checkpoint after each epoch.

A base that takes a head starts from the fitted probe: a cold one spends the first epochs moving the encoder towards
noise. On CLINC's ten domains with 411 rows LoRA gets .854 from a cold head and .885 from the probe's.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import torch

from headrace.models.bases import device
from trainer.heads import balance, probe
from trainer.tune import checkpoint
from trainer.tune.gradient import Descent
from trainer.tune.memory import Parts
from trainer.tune.method import Batch, Diverged, Given, OutOfBudget
from trainer.tune.precision import products

WARM_UP = 0.1
HEAD = "head."
"""How the names of a head's parameters begin."""
WEIGHT_DECAY = 0.01
CLIP = 1.0
ENOUGH_SEEN = 5_000
"""Where most rows are a teacher's, about so many are shown: thousands need one epoch, and the next
one learns by heart what is wrong in them (docs/log.md)."""
OF_TEXTS = 3
"""Epochs of rows that are answered with texts, where the plan gives none: more learn them by heart."""
OF_A_LABEL, MOST_EPOCHS = 100, 10
"""Where the plan gives no epochs, so many rows of each label are shown, and no row more often than in ten epochs."""


def seed(given: Given) -> None:
    """Have what a method draws before it trains follow from the run's seed."""
    torch.manual_seed(given.seed)


def linear_layers(module: Any) -> list[str]:
    """The names of a transformer's linear layers, each once, the one that makes its output left out."""
    output = module.get_output_embeddings()
    linear = [
        name for name, layer in module.named_modules() if isinstance(layer, torch.nn.Linear) and layer is not output
    ]
    return sorted({name.rpartition(".")[2] for name in linear})


def fit(
    given: Given,
    keys: Descent,
    fewest_epochs: int = 6,
    consistent: bool = False,
    losses: Callable[[Sequence[int]], Any] | None = None,
    head_rate: float | None = None,
) -> int:
    """Train what of `given.tunable` may be trained; the number of parameters. Raises OutOfBudget and Diverged.

    fewest_epochs: where the plan gives none; consistent: with R-Drop, of a family that CAN do `head`
    losses: of rows by their numbers, a torch tensor of one a row; None: the tunable's own of their labels
    head_rate: the greatest learning rate of a head; None: that of the other parameters
    """
    tunable = given.tunable
    has_head = "head" in given.family.CAN
    if has_head:
        head = probe(given.embeddings(), given.truth, len(given.labels.ids), weights=given.weights)
        tunable.set_head(head.weight, head.bias)
    parameters = tunable.trainable()
    rows = tunable.prepare(given.texts)
    if given.answers:
        epochs = keys.epochs or OF_TEXTS
    else:
        epochs = epochs_of(keys.epochs, given.truth, given.checked, fewest_epochs)
    on_cpu = all(parameter.device.type == "cpu" for parameter in parameters.values())
    rates = dict.fromkeys(parameters, keys.learning_rate)
    if has_head and head_rate is not None:
        rates |= {name: head_rate for name in parameters if name.startswith(HEAD)}
    groups = [
        {"params": [parameters[name] for name in parameters if rates[name] == rate], "greatest": rate}
        for rate in dict.fromkeys(rates.values())
    ]
    optimizer = torch.optim.AdamW(groups, lr=keys.learning_rate, weight_decay=WEIGHT_DECAY, fused=on_cpu or None)
    per_epoch = math.ceil(len(rows) / keys.batch)
    total = per_epoch * epochs
    of_label = balance(given.truth)
    weight_of = [of_label[label] * weight for label, weight in zip(given.truth, given.weights, strict=True)]
    parts = Parts(tunable.module, list(parameters.values()), given.say)
    multiplied = products()

    def own(part: Sequence[int]) -> Any:
        of_labels = tunable.consistent_losses if consistent else tunable.losses
        return of_labels([rows[row] for row in part], [given.truth[row] for row in part])

    losses_of = losses or own

    def share_of(whole: float, part: Sequence[int]) -> Any:
        """The part's share of the loss of a batch whose rows weigh `whole`."""
        with torch.autocast(device().type, torch.bfloat16, enabled=multiplied == "bfloat16"):
            found = losses_of(part)
        weights = torch.tensor([weight_of[row] for row in part], device=found.device)
        return (found * weights).sum() / whole

    done_epochs = checkpoint.load(given.checkpoint, given.key, parameters, optimizer)
    tunable.module.train()
    for epoch in range(done_epochs, given.epochs_now(epochs)):
        torch.manual_seed(given.seed * 1_000 + epoch + 1)
        for number, batch in enumerate(_batches(rows, keys.batch, given.seed * 1_000 + epoch)):
            if time.monotonic() > given.deadline:
                raise OutOfBudget
            step = epoch * per_epoch + number
            for group in optimizer.param_groups:
                group["lr"] = group["greatest"] * _schedule(step, total)
            loss = parts.backward(batch, partial(share_of, sum(weight_of[row] for row in batch)))
            torch.nn.utils.clip_grad_norm_(parameters.values(), CLIP)
            optimizer.step()
            rate = optimizer.param_groups[0]["lr"]
            given.stepped(step + 1, total, Batch(epoch, len(batch), loss, rate))
        # Asked of the weights as they are now, and before they become a checkpoint that a resumed run would go on from.
        with torch.no_grad():
            known = bool(torch.isfinite(share_of(1.0, batch[:1])))
        if not known:
            raise Diverged(
                f"diverged in epoch {epoch + 1} of {epochs}: its loss is not a number any more; give it a learning_rate"
                f" below {keys.learning_rate:g}"
            )
        checkpoint.save(given.checkpoint, given.key, epoch + 1, parameters, optimizer)
    tunable.module.eval()
    if has_head and keys.neighbours:
        tunable.remember(given.texts, given.truth, given.weights, keys.neighbours)
    return sum(tensor.numel() for tensor in parameters.values())


def epochs_of(planned: int, truth: Sequence[int], checked: Sequence[bool], fewest: int) -> int:
    """The plan's epochs, or where it gives 0 as many as the rows need: more, the fewer there are of a label.

    Fewer than either where most rows are a teacher's (see Given) and so many that fewer epochs show enough of them.
    """
    needed = math.ceil(OF_A_LABEL * len(set(truth)) / max(1, len(truth)))
    epochs = planned or min(MOST_EPOCHS, max(fewest, needed))
    if 2 * sum(not by_a_person for by_a_person in checked) <= len(truth):
        return epochs
    return min(epochs, max(1, round(ENOUGH_SEEN / len(truth))))


def _schedule(step: int, total: int) -> float:
    """Linear warm-up, then linear decay to 0, as a share of the learning rate."""
    warm = max(1, round(total * WARM_UP))
    return (step + 1) / warm if step < warm else max(0.0, (total - step) / max(1, total - warm))


def _batches(tokens: Sequence[Sequence[int]], size: int, seed: int) -> Iterator[list[int]]:
    """Each row once, in a seeded order, rows of like length together within each eight batches: less padding."""
    order = list(range(len(tokens)))
    shuffle = random.Random(seed)
    shuffle.shuffle(order)
    batches: list[list[int]] = []
    for start in range(0, len(order), 8 * size):
        near = sorted(order[start : start + 8 * size], key=lambda row: len(tokens[row]))
        batches += [near[at : at + size] for at in range(0, len(near), size)]
    shuffle.shuffle(batches)
    return iter(batches)
