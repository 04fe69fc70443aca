"""May the chosen candidate serve?

decision  a pure function of the test rows, and one sentence with the numbers
"""
