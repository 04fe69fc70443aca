"""How hard the simulated questions are for a real encoder: `python -m simulation.measure`.

Prints one table: accuracy on unseen questions of the untuned base (nearest label description), of the probe (frozen
embeddings, logistic regression, C=30) and of LoRA and full fine-tuning started from the probe, by number of training
rows; how far a model of era 1 falls on the traffic of era 2; and where it stands once rows of both eras train it.
The grammar was fixed on this table and on nothing else.
"""

from __future__ import annotations

import argparse
import os
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from simulation.grammar import DESCRIBE, LABELS, Question, World

if TYPE_CHECKING:
    from headrace.models.encoder_base import Encoder

TEST_ROWS = 1_500
# Test questions start here, so that no row count below trains on one.
TEST_START = 5_000
ERA_2_ROWS = 350
EPOCHS, RANK, BATCH, WARM_UP = 6, 16, 16, 0.1
RATES = {"lora": 1e-3, "full": 1e-4}
THREADS = 2


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table: accuracies are shares of right answers among TEST_ROWS questions of an era."""

    seed: int
    rows: str
    method: str
    era_1: float
    era_2: float
    seconds: float


def measure(seed: int, counts: Sequence[int], methods: Sequence[str]) -> Iterator[Row]:
    """All rows of one seed's world, as they are ready. counts: era-1 training rows; the last is tried with era 2's."""
    from headrace.models.encoder_base import Encoder

    world = World(seed)
    tests = [world.questions(era, TEST_ROWS, TEST_START) for era in (1, 2)]
    sets = {str(count): world.questions(1, count) for count in counts}
    last = str(counts[-1])
    sets[f"{last}+{ERA_2_ROWS}"] = sets[last] + world.questions(2, ERA_2_ROWS)

    def row(name: str, method: str, scores: Sequence[Any], seconds: float) -> Row:
        era_1, era_2 = (_share(score, test) for score, test in zip(scores, tests, strict=True))
        return Row(seed, name, method, era_1, era_2, seconds)

    frozen = Encoder(threads=THREADS)
    embedded = [frozen.embed([q.text for q in test]) for test in tests]
    descriptions = frozen.embed([DESCRIBE[label] for label in LABELS])
    yield row("0", "untuned", [vectors @ descriptions.T for vectors in embedded], 0.0)
    for name, rows in sets.items():
        started = time.perf_counter()
        weight, bias = _probe(frozen, rows)
        seconds = time.perf_counter() - started
        yield row(name, "probe", [vectors @ weight.T + bias for vectors in embedded], seconds)
        for method in methods:
            started = time.perf_counter()
            encoder = Encoder(threads=THREADS)
            tuned_weight, tuned_bias = _fine_tune(encoder, weight, bias, rows, method, seed)
            seconds = time.perf_counter() - started
            scores = [encoder.embed([q.text for q in test]) @ tuned_weight.T + tuned_bias for test in tests]
            yield row(name, method, scores, seconds)


def _probe(encoder: Encoder, questions: Sequence[Question]) -> tuple[Any, Any]:
    from sklearn.linear_model import LogisticRegression

    truth = [LABELS.index(q.label) for q in questions]
    fitted = LogisticRegression(C=30, max_iter=2000).fit(encoder.embed([q.text for q in questions]), truth)
    return fitted.coef_, fitted.intercept_


def _fine_tune(
    encoder: Encoder, weight: Any, bias: Any, questions: Sequence[Question], method: str, seed: int
) -> tuple[Any, Any]:
    """Tune the encoder in place together with the probe's head; the head's weight and bias afterwards."""
    import torch

    torch.manual_seed(seed)
    if method == "lora":
        from peft import LoraConfig, get_peft_model

        config = LoraConfig(r=RANK, lora_alpha=2 * RANK, target_modules=["query", "key", "value", "dense"])
        encoder.module = get_peft_model(encoder.module, config)
    head = torch.nn.Linear(weight.shape[1], weight.shape[0])
    with torch.no_grad():
        head.weight.copy_(torch.tensor(weight))
        head.bias.copy_(torch.tensor(bias))
    tokens = encoder.tokens([q.text for q in questions])
    truth = torch.tensor([LABELS.index(q.label) for q in questions])
    trained = [p for p in (*encoder.module.parameters(), *head.parameters()) if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=RATES[method], weight_decay=0.01)
    steps = EPOCHS * -(-len(tokens) // BATCH)
    warm = WARM_UP * steps
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / warm, max(0.0, (steps - step) / (steps - warm)))
    )
    encoder.module.train()
    for epoch in range(EPOCHS):
        for rows in _batches(tokens, random.Random(f"{seed}/{epoch}")):
            logits = head(encoder.pooled([tokens[row] for row in rows]))
            loss: Any = torch.nn.functional.cross_entropy(logits, truth[rows])
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(trained, 1.0)
            optimizer.step()
            schedule.step()
    return head.weight.detach().numpy(), head.bias.detach().numpy()


def _batches(tokens: Sequence[Sequence[int]], rng: random.Random) -> list[list[int]]:
    """Each row once, rows of like length together within each eight batches: less padding."""
    order = list(range(len(tokens)))
    rng.shuffle(order)
    batches = []
    for start in range(0, len(order), 8 * BATCH):
        near = sorted(order[start : start + 8 * BATCH], key=lambda row: len(tokens[row]))
        batches += [near[at : at + BATCH] for at in range(0, len(near), BATCH)]
    rng.shuffle(batches)
    return batches


def _share(scores: Any, questions: Sequence[Question]) -> float:
    guesses = scores.argmax(axis=1)
    return sum(LABELS[g] == q.label for g, q in zip(guesses, questions, strict=True)) / len(questions)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        prog="python -m simulation.measure", description="Measure the simulated questions with the real encoder."
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--rows", type=int, nargs="+", default=[411, 700], help="era-1 training rows")
    parser.add_argument("--methods", nargs="*", default=["lora", "full"], choices=sorted(RATES))
    given = parser.parse_args()
    console = Console()
    console.print(
        f"Simulated questions; {TEST_ROWS} unseen ones an era; MiniLM-L6, {THREADS} threads of {os.cpu_count()} cores."
    )
    table = Table("seed", "rows", "method", "era 1", "era 2", "seconds")
    for seed in given.seeds:
        for row in measure(seed, given.rows, given.methods):
            cells = (str(row.seed), row.rows, row.method, f"{row.era_1:.3f}", f"{row.era_2:.3f}", f"{row.seconds:.0f}")
            table.add_row(*cells)
            console.print(" ".join(cells))
    console.print(table)


if __name__ == "__main__":
    main()
