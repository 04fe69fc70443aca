"""Simulated tests of candidates, which benchmarks/gate.py sends through the gate.

worlds  outcomes of models on clustered test rows, with a known truth
cases   what is tried, how often the gate says what it must not, and what is allowed
"""
