"""From a tuned candidate to what gateways load.

artifact  the winner's folder, checked against what was evaluated
"""
