"""A language model that judges answers, behind any OpenAI-compatible endpoint.

endpoint  such an endpoint as batch work asks it: a few questions at a time, with patience for its absence
"""
