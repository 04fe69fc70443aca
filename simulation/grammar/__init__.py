"""A grammar of employees' questions: tables of intents, wordings and named systems, and the seeded draw from them.

world     question i of an era, a function of (seed, era, i)
tables    the grammar's tables, read from the TOML files beside them
template  its notation: choices and slots
chatter   what surrounds a question when people type it
"""

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
