"""Who may do what.

roles.py    the table of rights, and Principal: who asks
keys.py     API keys in one file, digests alone, and the ring of them that a running process looks them up in
events.py   an event as its principal's, or refused
tokens.py   what a web page needs to say something about an answer
proofs.py   how a gateway proves that an answer is its own; siphash.py a hash that ClickHouse has, too
secrets.py  what the parts of one home log in with
"""
