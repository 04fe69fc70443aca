"""`make chaos`: real faults on the real stack while events keep coming, and a count of what each of them cost.

stage    the stack under a supervisor       load     events by four ways, counted
faults   what is done to it, a function a kind       round    one fault: inject, wait, count
"""
