"""The batch program around the stages: its order, its bounds, what it says.

run        one attempt at one job, from the warehouse to a published artifact
by_hand    models of a file of rows, without Kafka and ClickHouse
by_hand_texts  the same where the right answers are texts
by_hand_figures  what its figures say of a version and of each candidate
build      the data set that a job would get now, and nothing else
lifecycle  at no moment do two trainers run for one device, and none outlives the consumer that started it
tuning     the candidates of an attempt, tuned within the plan's budget
rows       the rows of an attempt: curated, taken over, recorded
incumbent  the plan's incumbent as the last tier of a chain
held       a tuned candidate that waits for more test rows, and its next look
pace       how many more labels an attempt asks for, and in how many days they come
reference  the version that cheaper candidates must not be worse than by the margin
report     the rows of the table candidates
telling    the report of an attempt, for people
crash      what a crash says on standard error
"""
