"""Everything simulated: a company of employees, their questions, and how its world changes.

company     how simulated employees behave: who asks when, who reacts to an answer, and how
experts     simulated subject-matter experts, who are rarely wrong
complaints  from answers to the rows of ground truth of the case study: feedback, judge, experts
upstreams   a simulated 70B incumbent and a simulated judge
instant     a simulated upstream that answers at once, to measure gateways by
grammar     the questions
measure     how hard they are for a real encoder
demo        the demo, `make demo`
"""
