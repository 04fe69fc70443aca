"""From the plan's candidates to models.

race        which candidates are tuned, in which order, and which of them are given up early
halving     successive halving: of candidates that compete for one place the worse half ends early
budget      when tuning ends, so that what is finished can be judged
candidates  from a candidate of the plan to a folder that can be loaded
checkpoint  a tuning run on disk, from which it goes on as if it had never stopped
notes       what a tuning run has shown so far, beside its checkpoint
kept        copies of checkpoints in the artifact store, for an attempt on another machine
memory      a batch in as many parts as the device's memory takes
method      what a method of tuning is
methods     how a model is tuned, a method a file
naming      what labels are called, as rows, where rows are few
gradient    the keys of every method that follows a gradient
thresholds  the confidence at which a tier of a chain answers, so that its accuracy holds
precision   as which type a device multiplies matrices while it trains
fitting     training by gradient descent, for every method and family alike
"""
