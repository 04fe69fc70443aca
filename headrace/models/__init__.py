"""A published model, and how it answers.

bundle   a folder that appears whole or not at all, and is what its manifest says
scoring  how a published classifier scores labels, in evaluation as in serving
"""
