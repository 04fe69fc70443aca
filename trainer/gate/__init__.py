"""May the chosen candidate serve?

judgement  the chosen candidate on the test rows
decision   a pure function of the test rows, and one sentence with the numbers
"""
