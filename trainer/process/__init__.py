"""The batch program around the stages: its order, its bounds, what it says.

run        one attempt at one job, from the warehouse to a published artifact
lifecycle  at no moment do two trainers run for one device, and none outlives the consumer that started it
progress   what a running trainer says on standard output
crash      what a crash says on standard error
"""
