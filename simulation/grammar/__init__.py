"""A grammar of employees' questions: tables of intents, wordings and named systems, and the seeded draw from them."""

from simulation.grammar.tables import DESCRIBE, EXPERTS, LABELS, OUT_OF_SCOPE, Intent, System
from simulation.grammar.world import ERAS, HORIZON, Question, World

__all__ = [
    "DESCRIBE",
    "ERAS",
    "EXPERTS",
    "HORIZON",
    "LABELS",
    "OUT_OF_SCOPE",
    "Intent",
    "Question",
    "System",
    "World",
]
