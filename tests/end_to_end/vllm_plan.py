"""The plan of the loop with a causal model on vLLM."""

from __future__ import annotations

from pathlib import Path

from reduced_plan import reduced_plan

PYTHON = Path(__file__).parents[2] / ".venv-vllm" / "bin" / "python"
ENGINE = f"""
[engines.adapters]
kind = "vllm"
python = "{PYTHON}"
arguments = ["--enforce-eager", "--max-model-len=4096", "--max-num-seqs=16"]
usd_per_hour = 0.05
start_s = 900.0
hang_s = 300.0
timeout_s = 20.0

[tasks.router.candidates.adapted]
base = "smollm2-135m-q4"
method = "lora"
epochs = 3
engine = "adapters"
"""
INSTEAD = {
    "minutes = 10.0": "minutes = 40.0",
    "max_train_rows = 300": "max_train_rows = 800",
    "max_validation_rows = 150": "max_validation_rows = 400",
    "step_timeout_s = 180.0": "step_timeout_s = 1200.0",
    "canary_shares = [0.25, 0.5]": "canary_shares = [0.5]",
    "refresh_s = 3.0": "refresh_s = 10.0",
    "cheaper_after_labels = 1500": "cheaper_after_labels = 2500",
}


def vllm_plan() -> str:
    """The reduced loop's, with SmolLM2 on vLLM as its one candidate."""
    sections = []
    for section in reduced_plan().split("\n\n"):
        if not any(name in section for name in ("candidates.untuned", "candidates.probe", "candidates.full")):
            sections.append(section)
    text = "\n\n".join(sections)
    for old, new in INSTEAD.items():
        assert old in text
        text = text.replace(old, new)
    return text + ENGINE
