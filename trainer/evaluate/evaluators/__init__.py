"""What is measured of a candidate beside its accuracy: an evaluator a file (trainer/evaluate/subject.py).

calibration   how far its probabilities can be trusted
labels        precision and recall of each label, and what is taken for what
out_of_scope  how well it tells questions that are meant for no expert
typos         what typing mistakes cost
rewording     what other ways of writing the same question cost
academic      what a causal model shows on the plan's academic benchmarks
chain         cost against accuracy of a chain of models
forgetting    what the live version had right of older questions and the candidate has wrong
"""
