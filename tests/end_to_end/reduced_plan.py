"""The demo's plan for a test: fewer rows and one short tuning."""

from __future__ import annotations

from importlib import resources

# The gate is wider because there are fewer rows: 27 of 585 were out of scope.
REDUCED = {
    "cheaper_after_labels = 2000": "cheaper_after_labels = 1500",
    "rate = 0.4": "rate = 0.9",
    "test_share = 0.6": "test_share = 0.5",
    "min_train_rows = 300": "min_train_rows = 200",
    "min_test_rows = 1000": "min_test_rows = 240",
    "max_train_rows = 1500": "max_train_rows = 300",
    "max_validation_rows = 400": "max_validation_rows = 150\nforget_rows = 150",
    # Each candidate is tuned, opened and timed.
    '[tasks.router.candidates.untuned]\nmethod = "untuned"\n\n': "",
    "margin = 0.05": "margin = 0.15\nforgetting_drop = 0.15",
    "per_label_drop = 0.2": "per_label_drop = 0.5",
    # On a fast machine hundreds of labels come within it.
    "cool_down_s = 20.0": "cool_down_s = 5.0",
    "shadow_requests = 100": "shadow_requests = 40",
    "max_accuracy_drop = 0.1": "max_accuracy_drop = 0.25",
    "canary_requests = 60": "canary_requests = 30",
    # Thirty of a tenth would be three hundred.
    "canary_shares = [0.1, 0.5]": "canary_shares = [0.25, 0.5]",
}


def reduced_plan() -> str:
    """Its text."""
    plan = (resources.files("simulation.demo") / "flywheel.toml").read_text("utf-8")
    for old, new in REDUCED.items():
        assert old in plan
        plan = plan.replace(old, new)
    return plan
