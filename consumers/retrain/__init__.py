"""A trigger becomes a job, a job becomes a trained model or a reason why there is none.

table     the states of a job
claim     which triggers become jobs
outcome   what the end of a trainer means
folders   where attempts work, and what is left there
progress  the trainer's standard output as Progress records: bounded lines, garbage tolerated
child     the trainer's process, which dies with its parent
attempt   one run of the trainer: its folder, its bounds, its progress, its outcome
waiting   how long a job waits for labels
labels    how many blind labels a waiting job could test on by now
timings   how often and how long
owner     the jobs of one partition, brought to an end
__main__  `python -m consumers.retrain`
"""
