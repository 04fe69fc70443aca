"""Which step of the agent failed behind a complaint? A language model attributes it, once an answer.

Read in this order: `complaint` (what counts as one), `verdict` (what is asked and which answers are taken), `endpoint`
(the model), `lookup` (the answer complained about), `offsets` (what may be committed), `bench` (all of it at work).
"""
