"""Who may do what, how it is proven, and what is written down of it.

roles     what the holder of an API key may do: the one table that all ways in ask
keys      API keys: one file of digests and rights, changed while everything runs
key_ring  the keys as a process that runs knows them
mac       HMAC-SHA256 of short texts, thousands a second
events    an event as that of who brought it, or refused
tokens    what a web page shows when its user says something about an answer
proofs    how a gateway proves that an answer is its own
siphash   SipHash-2-4 as ClickHouse's sipHash64Keyed, for what both must agree on
secrets   secrets that this machine's home keeps, made at random when they are first asked for
logins    how this machine's parts log in to the embedded servers
tls       TLS from PEM files that settings name
acls      what each part may do on a secured broker
actions   records who did what
telling   the detail of an action in words, for the command line and the console
"""
