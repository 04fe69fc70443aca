"""SetFit's published procedure (Tunstall et al., 2022), on the same base, with its published settings.

For each row 20 sentences of its label and 20 of other labels make pairs whose cosine should be 1 and 0; the encoder
learns them once, in batches of 16 pairs, at 2e-5 with a tenth of warm-up; logistic regression on its embeddings
follows. Written here because `setfit` 1.2.0, which runs on the versions of this lock, wants datasets and evaluate too.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.routing.asked import Clock, Made, doubt
from benchmarks.routing.rows import Rows
from headrace.models.encoder_base import Encoder
from headrace.models.tensors import Floats

ITERATIONS, BATCH, RATE, WARM_UP = 20, 16, 2e-5, 0.1
MOST_PAIRS = 40_000
"""Of data sets of thousands of rows a sample is learned, as its `max_steps` would do."""


def pairs_of(truth: Sequence[int], draw: random.Random) -> list[tuple[int, int, float]]:
    """Numbers of two rows, and the cosine that they should have."""
    of_label: dict[int, list[int]] = {}
    for row, label in enumerate(truth):
        of_label.setdefault(label, []).append(row)
    found: list[tuple[int, int, float]] = []
    for row, label in enumerate(truth):
        for _ in range(ITERATIONS):
            other = draw.randrange(len(truth))
            while truth[other] == label:
                other = draw.randrange(len(truth))
            found += [(row, draw.choice(of_label[label]), 1.0), (row, other, 0.0)]
    draw.shuffle(found)
    return found[:MOST_PAIRS]


def trained(rows: Rows, seed: int, folder: Path) -> tuple[Made, Clock]:
    """The encoder tuned on pairs, with logistic regression on top."""
    import torch
    from sklearn.linear_model import LogisticRegression

    texts, truth = rows.raw
    torch.manual_seed(seed)
    clock = Clock()
    encoder = Encoder(threads=1)
    tokens = encoder.tokens(texts)
    pairs = pairs_of(truth, random.Random(seed))
    optimizer = torch.optim.AdamW(encoder.module.parameters(), lr=RATE, weight_decay=0.01)
    steps = -(-len(pairs) // BATCH)
    warm = max(1, round(WARM_UP * steps))
    encoder.module.train()
    for step in range(steps):
        batch = pairs[step * BATCH : (step + 1) * BATCH]
        for group in optimizer.param_groups:
            group["lr"] = RATE * ((step + 1) / warm if step < warm else (steps - step) / max(1, steps - warm))
        vectors = encoder.pooled([tokens[row] for one, other, _ in batch for row in (one, other)])
        cosines = (vectors[0::2] * vectors[1::2]).sum(1)
        loss = torch.nn.functional.mse_loss(cosines, torch.tensor([wanted for _, _, wanted in batch]))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(encoder.module.parameters(), 1.0)
        optimizer.step()
    encoder.module.eval()
    head = LogisticRegression(max_iter=2000).fit(encoder.embed(texts), np.array(truth))
    clock.stop()

    def score(asked: Sequence[str]) -> Floats:
        found: Floats = head.predict_proba(encoder.embed(asked)).astype(np.float32)
        return found

    parameters = encoder.parameters + head.coef_.size + head.intercept_.size
    return Made(score, doubt(score), int(parameters), 2 * len(pairs) / clock.core_s), clock
