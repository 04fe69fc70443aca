"""`make chaos`: real faults on the real stack while events keep coming, and a count of what each of them cost.

stage    the stack under a supervisor               load     events by four ways, counted
scene    what a fault has at hand                   round    one fault: inject, wait, count, check
faults   of the parts and of events, a function     changes  of what surrounds the workers: idle tasks, topics, clocks,
         a kind; all kinds by name                           hosts
topics   Kafka's topics and the proof by offsets    hosts    a worker as another machine runs it
"""
