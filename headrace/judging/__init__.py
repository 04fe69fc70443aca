"""A language model that judges answers, behind any OpenAI-compatible endpoint.

endpoint  the judge's model, asked a few at a time, with patience for its absence
"""
