"""Requests and responses of language models, in whatever shape programs write them down.

messages   the texts of a conversation
roles      the four roles of a conversation, and how they are spelled
own_json   whether an answer that is JSON is a provider's response, or what a model said in JSON
leniently  the value that a text is written for: JSON, JSON that a limit cut, what is nearly JSON
providers  how the objects of providers look, and what is an application's own
"""
