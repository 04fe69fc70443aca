"""transformers.Trainer as it comes: all of its defaults, with PEFT's default LoRA and with all weights trained."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.routing.asked import Clock, Made, doubt
from benchmarks.routing.rows import Rows
from headrace.models.bases import base_of, resolve
from headrace.models.tensors import Floats

RECIPE = {"learning_rate": 1e-4, "num_train_epochs": 6, "per_device_train_batch_size": 16}
"""Of `trainer-full`: the defaults (5e-5, 3 epochs, batches of 8) leave it far behind at 411 rows."""


def trained(rows: Rows, seed: int, folder: Path, lora: bool) -> tuple[Made, Clock]:
    """A sequence classifier on the same base."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer, Trainer, TrainingArguments, set_seed

    set_seed(seed)
    base = base_of("minilm-l6")
    where = str(resolve(base))
    tokenizer = AutoTokenizer.from_pretrained(where, local_files_only=True)
    clock = Clock()
    model: Any = AutoModelForSequenceClassification.from_pretrained(
        where, num_labels=len(rows.labels), local_files_only=True
    )
    if lora:
        from peft import LoraConfig, TaskType, get_peft_model

        model = get_peft_model(model, LoraConfig(task_type=TaskType.SEQ_CLS))
    texts, truth = rows.raw

    class Encoded(torch.utils.data.Dataset[dict[str, Any]]):
        def __len__(self) -> int:
            return len(texts)

        def __getitem__(self, row: int) -> dict[str, Any]:
            return tokenizer(texts[row], truncation=True, max_length=base.max_length) | {"labels": truth[row]}

    arguments = TrainingArguments(
        str(folder), seed=seed, report_to=[], save_strategy="no", logging_strategy="no", use_cpu=True,
        disable_tqdm=True, **({} if lora else RECIPE),
    )  # fmt: skip
    trainer = Trainer(model, arguments, train_dataset=Encoded(), processing_class=tokenizer)
    loop = Clock()
    trainer.train()
    clock.stop()
    shown = len(texts) * arguments.num_train_epochs / loop.core_s
    model.eval()

    def score(asked: Sequence[str]) -> Floats:
        with torch.inference_mode():
            read = tokenizer(
                list(asked), truncation=True, max_length=base.max_length, padding=True, return_tensors="pt"
            )
            found: Floats = model(**read).logits.softmax(1).numpy().astype(np.float32)
            return found

    parameters = sum(int(tensor.numel()) for tensor in model.parameters())
    return Made(score, doubt(score), parameters, shown), clock
