"""From the plan's candidates to models.

candidates  from the plan's candidates to folders that can be loaded, cheapest to try first
checkpoint  a tuning run on disk, from which it goes on as if it had never stopped
memory      a batch in as many parts as the device's memory takes
method      what a method of tuning is
methods     how a model is tuned, a method a file
gradient    the keys of every method that follows a gradient
fitting     training by gradient descent, for every method and family alike
"""
