"""Simulated weeks of a task whose live version broke, which benchmarks/weeks.py sends through the loop's own decisions.

world  labels after a change as they arrive, what can be learned from them, and how right a candidate is
turn   from the alarm to a successor: triggers, waits, looks and candidates of one trial
"""
