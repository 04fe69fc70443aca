"""May the chosen candidate serve?

judgement  the chosen candidate on the test rows
outcomes   rows as outcomes: one a text, with a score for each model that is compared
proof      what the outcomes prove: better, or not worse by the margin
vetoes     why a candidate that is proven must not serve
evidence   all that the gate looks at, and what it says
decision   a pure function of the evidence, and one sentence with the numbers
"""
