"""The demo: the whole loop on real parts, with a simulated company.

run       one run: start the stack and the company, play both acts, write the report
acts      what the company does, and what headrace is waited for to do by itself
traffic   simulated employees at the gateway
screen    what it shows on the terminal
report    its report, every figure by a query that it quotes
plot      the timeline of a run, as PNG and as HTML
compare   several runs side by side
__main__  `python -m simulation.demo`
"""
