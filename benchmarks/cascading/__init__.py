"""Chains of models from cheap to dear, with a known truth and on real questions: benchmarks/cascade.py.

worlds  tiers whose answers are drawn, so that the accuracy of any thresholds is known
"""
