"""Which step of the agent failed behind a complaint? A language model attributes it, once an answer.

complaint  which feedback is a complaint, and what is known of the answer behind it
verdict    what the judge is asked, and which of its answers are taken
lookup     the answers that complaints are about, from the warehouse
offsets    which offsets may be committed while records are worked on out of order
worker     the judge at work: complaints in, verdicts out, each answer once
__main__   `python -m consumers.judge`
"""
