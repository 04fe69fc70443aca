"""Is everything as it should be.

findings     what a check found
checks       the checks of `headrace doctor`, in the order in which one fault explains the next
whereabouts  did my event arrive: what the warehouse has of an id, or else where it may still be
"""
