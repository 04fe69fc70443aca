"""The case study on real questions, which benchmarks/case_study.py runs.

split       who trains on which questions, and which are asked
incumbent   the model whose answers get feedback, really trained
rows        the rows that a candidate is given, from feedback to ground truth
candidates  how each candidate is made and measured
verdicts    the published criterion and the gate, side by side
costs       what a model costs at a given traffic; models of 8 and 1 billion parameters by arithmetic
tables      the tables, and the goals
"""
