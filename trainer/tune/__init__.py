"""From the plan's candidates to models.

comparison  the candidates of one attempt: tuned, compared, one of them judged
candidates  from the plan's candidates to folders that can be loaded, cheapest to try first
checkpoint  a tuning run on disk, from which it goes on as if it had never stopped
methods     how a model is tuned
"""
