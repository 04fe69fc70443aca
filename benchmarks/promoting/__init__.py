"""What `make bench-promotions` is made of.

traffic  people who ask at a steady rate, and try again where a connection breaks
moves    promotions and roll backs, one after the other, and the faults in the middle
record   what Kafka says of them, and what each answer may have been
"""
