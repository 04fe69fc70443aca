"""`make bench-gpu`: how fast models of 1 and 8 billion parameters are tuned on one GPU, beside TRL on the same card.

make bench-gpu                                        fits ten minutes on one card of 80 GB or more
make bench-gpu ARGS="--shape tiny --device cpu"       seconds, to see that it works

Llama's shapes with random weights in bfloat16; questions and answers of random tokens whose lengths vary as in practice
(log-normal, 512 tokens on average, at most 2,048). headrace tunes them by its own loop: rows of like length together,
the loss on answers alone. TRL's SFTTrainer, with PEFT, gets the same rows packed into sequences of 2,048.
Both have the same tokens to a step, LoRA of rank 16 on all linear layers or every weight, AdamW, and SDPA attention.

tokens_s    read tokens a second, filling not counted, after three steps of warm-up
gib         greatest memory that the device allocated
mfu         share of the card's dense bfloat16 peak: 6 (LoRA: 4) x parameters + 12 (8) x layers x width x mean length
            floating-point operations a token (Chowdhery et al., 2022, appendix B; LoRA computes no gradient of weights)
halved      parts that a batch was read in, where memory ran out
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import importlib.util
import math
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from benchmarks.table import keep, machine, tell
from headrace import kinds
from headrace.models.bases import Base, base_of, resolve
from headrace.models.causal_base import CausalBase
from headrace.models.families.causal import CAN, TunableWriter
from headrace.models.family import LabelSet
from headrace.plan import CandidateSpec
from headrace.plan.methods import keys_of
from trainer.tune.method import Given

READ, MEAN, SPREAD, PROMPT = 2048, 512, 0.6, 0.5
"""Most tokens of a row, their mean, the standard deviation of their logarithm, and the prompt's share of them."""
WARM = 3
PEAKS = {"H200": 989e12, "H100": 989e12, "A100": 312e12, "L40S": 362e12, "L4": 121e12, "B200": 2250e12}
"""Dense bfloat16 operations a second, from the makers' data sheets, by a part of the card's name."""
SHAPES = {
    "1b": {"hidden_size": 2048, "intermediate_size": 8192, "num_hidden_layers": 16, "num_attention_heads": 32},
    "8b": {"hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32, "num_attention_heads": 32},
    "tiny": {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4},
}
METHODS, WAYS = ("lora", "full"), ("headrace", "trl")


class Enough(Exception):
    """So many steps are done."""


@dataclass(slots=True)
class Clock:
    """Seconds and tokens of the steps behind the warm-up."""

    device: str
    steps: int
    tokens: int = 0
    began: float = 0.0
    seconds: float = 0.0

    def step(self, done: int) -> bool:
        """After each step; whether it was the last."""
        if self.device == "cuda":
            torch.cuda.synchronize()
        if done == WARM:
            self.began, self.tokens = time.perf_counter(), 0
        self.seconds = time.perf_counter() - self.began
        return done >= WARM + self.steps


def llama(shape: str, device: str) -> Any:
    """Random weights of Llama's shape, in bfloat16."""
    from transformers import LlamaConfig, LlamaForCausalLM

    tiny = shape == "tiny"
    config = LlamaConfig(
        **SHAPES[shape],
        vocab_size=49_152 if tiny else 128_256,
        num_key_value_heads=2 if tiny else 8,
        tie_word_embeddings=shape != "8b",
        max_position_embeddings=READ,
        attn_implementation="sdpa",
    )
    torch.manual_seed(1)
    kept = torch.get_default_dtype()
    torch.set_default_dtype(torch.bfloat16)
    try:
        with torch.device(device):
            return LlamaForCausalLM(config)
    finally:
        torch.set_default_dtype(kept)


def lengths(rows: int, mean: int, draw: np.random.Generator) -> list[int]:
    """Of whole rows, prompt and answer."""
    drawn = draw.lognormal(math.log(mean) - SPREAD**2 / 2, SPREAD, rows)
    return [int(length) for length in np.clip(drawn, 16, READ)]


class Random(TunableWriter):
    """Prompts and answers of random tokens, so that nothing depends on a tokenizer; counts what it reads."""

    def __init__(self, base: CausalBase, rows: Sequence[Sequence[int]], clock: Clock) -> None:
        super().__init__(base, "random", "", [])
        cut = [int(len(row) * PROMPT) for row in rows]
        self._prompts = [list(row[:at]) for row, at in zip(rows, cut, strict=True)]
        self._tokens = [list(row[at:]) for row, at in zip(rows, cut, strict=True)]
        self._clock = clock

    def prepare(self, texts: Sequence[str]) -> Sequence[Sequence[int]]:
        return self._prompts

    def losses(self, rows: Sequence[Sequence[int]], truth: Sequence[int]) -> Any:
        found = super().losses(rows, truth)
        self._clock.tokens += sum(map(len, rows)) + sum(len(self._tokens[number]) for number in truth)
        return found


def by_headrace(module: Any, tokenizer: Any, method: str, rows: Sequence[list[int]], batch: int, clock: Clock) -> int:
    """Tune by the trainer's own methods; in how many parts a batch was read."""
    writer = Random(CausalBase(module, tokenizer, READ), rows, clock)
    said: list[str] = []

    def step(done: int, total: int) -> None:
        if clock.step(done):
            raise Enough

    with tempfile.TemporaryDirectory() as folder:
        given = Given(
            base=Base("random", "causal", folder, dtype="bfloat16"),
            family=SimpleNamespace(CAN=CAN, writer=lambda *_: writer),  # type: ignore[arg-type]
            labels=LabelSet((), {}, {}),
            texts=[""] * len(rows),
            truth=range(len(rows)),
            weights=[1.0] * len(rows),
            embeddings=lambda: np.zeros((0, 0), dtype=np.float32),
            seed=1,
            threads=0,
            checkpoint=Path(folder) / "checkpoint.safetensors",
            key="bench",
            deadline=math.inf,
            step=step,
            say=said.append,
            answers=["random"],
        )
        spec = CandidateSpec.model_validate({"method": method, "batch": batch, "epochs": 1})
        with contextlib.suppress(Enough):
            kinds.load("methods", method).tune(given, keys_of(spec))
    print("".join(f"  {sentence}\n" for sentence in said), end="", flush=True)
    return 2 ** len(said)


def by_trl(module: Any, tokenizer: Any, method: str, rows: Sequence[list[int]], batch: int, clock: Clock) -> int:
    """Tune by SFTTrainer with packing, sequences of READ tokens, as many tokens to a step."""
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import TrainerCallback
    from trl import SFTConfig, SFTTrainer

    class Told(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> Any:
            control.should_training_stop = clock.step(state.global_step)
            return control

    packed = max(1, round(sum(map(len, rows)) / len(rows) * batch / READ))
    lora = LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM")
    with tempfile.TemporaryDirectory() as folder:
        config = SFTConfig(
            output_dir=folder,
            packing=True,
            max_length=READ,
            per_device_train_batch_size=packed,
            max_steps=WARM + clock.steps,
            learning_rate=1e-4,
            bf16=True,
            gradient_checkpointing=False,
            report_to=[],
            save_strategy="no",
            logging_strategy="no",
            disable_tqdm=True,
            use_cpu=clock.device == "cpu",
        )
        trainer = SFTTrainer(
            model=module,
            args=config,
            train_dataset=Dataset.from_dict({"input_ids": [list(row) for row in rows]}),
            processing_class=tokenizer,
            peft_config=lora if method == "lora" else None,
            callbacks=[Told()],
        )
        filled = np.mean([len(row) for row in trainer.train_dataset["input_ids"]])
        trainer.train()
    clock.tokens = round(clock.steps * packed * float(filled))
    return 1


def measure(shape: str, method: str, way: str, options: argparse.Namespace) -> dict[str, Any]:
    """One row of the table; a way that fails says why and ends nothing else."""
    from transformers import AutoTokenizer

    device = options.device
    if device == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    module = llama(shape, device)
    tokenizer = AutoTokenizer.from_pretrained(str(resolve(base_of("smollm2-135m-q4"))))
    draw = np.random.default_rng(1)
    steps = WARM + options.steps
    rows = [
        draw.integers(100, 40_000, length).tolist() for length in lengths(4 * steps * options.batch, options.mean, draw)
    ]
    parameters = sum(each.numel() for each in module.parameters())
    clock = Clock(device, options.steps)
    run: Callable[..., int] = by_headrace if way == "headrace" else by_trl
    row: dict[str, Any] = {"shape": shape, "method": method, "way": way, "parameters": parameters}
    try:
        parts = run(module, tokenizer, method, rows, options.batch, clock)
    except Exception as error:  # a comparison that fails is a row that says so
        return row | {"tokens_s": None, "gib": None, "mfu": None, "halved": None, "failed": f"{error!r:.200}"}
    rate, peak = clock.tokens / clock.seconds, options.peak or peak_of(device)
    each = operations(shape, method, parameters, options.mean)
    memory = torch.cuda.max_memory_allocated() / 2**30 if device == "cuda" else None
    return row | {
        "tokens_s": round(rate),
        "gib": memory and round(memory, 1),
        "mfu": round(rate * each / peak, 3) if peak else None,
        "halved": parts,
        "failed": "",
    }


def operations(shape: str, method: str, parameters: int, mean: int) -> float:
    """Floating-point operations for one token of training."""
    of_shape, passes = SHAPES[shape], 3 if method == "full" else 2
    attention = of_shape["num_hidden_layers"] * of_shape["hidden_size"] * mean
    return passes * (2.0 * parameters + 4.0 * attention)


def peak_of(device: str) -> float:
    """Of the card; 0 where it is not known, and of a CPU."""
    name = torch.cuda.get_device_name() if device == "cuda" else ""
    return next((peak for part, peak in PEAKS.items() if part in name), 0.0)


def wanted(options: argparse.Namespace) -> Iterator[tuple[str, str, str]]:
    """What is measured, the quickest first, so that a lease that ends early has most of it."""
    for shape in options.shape or ("1b", "8b"):
        for method in options.method or METHODS:
            yield from ((shape, method, way) for way in options.way or WAYS)


def main(argv: Sequence[str] | None = None) -> int:
    """Run, print, write."""
    parser = argparse.ArgumentParser(
        prog="make bench-gpu", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shape", action="append", choices=SHAPES, help="may be repeated (default: 1b and 8b)")
    parser.add_argument("--method", action="append", choices=METHODS, help="may be repeated (default: both)")
    parser.add_argument("--way", action="append", choices=WAYS, help="may be repeated (default: both)")
    parser.add_argument("--batch", type=int, default=16, help="rows to a step (default %(default)s)")
    parser.add_argument("--mean", type=int, default=MEAN, help="tokens of a row on average (default %(default)s)")
    parser.add_argument("--steps", type=int, default=12, help="measured steps (default %(default)s)")
    parser.add_argument("--peak", type=float, help="operations a second, of a card that is not in the list")
    parser.add_argument("--minutes", type=float, default=9.0, help="no way begins after them (default %(default)s)")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda", help="cpu: to see that it works")
    options = parser.parse_args(argv)
    if options.device == "cuda" and not torch.cuda.is_available():
        print(
            "bench-gpu needs a GPU, and torch sees none; --shape tiny --device cpu shows that it works", file=sys.stderr
        )
        return 2
    if options.device == "cpu":
        options.shape = options.shape or ["tiny"]
    began, rows = time.monotonic(), list[dict[str, Any]]()
    card = torch.cuda.get_device_name() if options.device == "cuda" else "cpu"
    conditions = machine() | {
        "card": card,
        "batch": options.batch,
        "steps": options.steps,
        "mean": options.mean,
        "torch": torch.__version__,
    }
    for shape, method, way in wanted(options):
        if way == "trl" and importlib.util.find_spec("trl") is None:
            print("trl is not installed, so that there is nothing to compare with: pip install trl", file=sys.stderr)
        elif time.monotonic() - began > 60 * options.minutes:
            print(f"{shape} {method} {way}: not run, {options.minutes:g} minutes are over", file=sys.stderr)
        else:
            rows.append(measure(shape, method, way, options))
            print(f"{time.monotonic() - began:5.0f} s  {rows[-1]}", flush=True)
            keep("gpu", conditions, rows)
            gc.collect()
    tell("gpu", conditions, rows)
    return int(any(row["failed"] for row in rows if row["way"] == "headrace"))


if __name__ == "__main__":
    sys.exit(main())
