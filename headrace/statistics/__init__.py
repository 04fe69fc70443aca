"""What numbers can prove: the monitor, the gate, the rollout and the report ask it.

betting         tests of a mean that may be looked at as often as one likes
calibration     how far probabilities can be trusted
disagreements   one version's accuracy below another's, from answers on which they differ
intervals       intervals for proportions
noninferiority  exact tests: an accuracy at least a floor, or not below another by a margin
paired          two models on the same rows
sequences       shares that may be looked at after every draw: the breaker's and the rollout's
significance    P-values of tests on two samples
"""
