"""One question: who answers it, and what is recorded of it.

gateway  choose, answer, fall back, record
asking   what comes beside a question: who asks, in which session and trace, until when
routing  which arm answers a session, decided alike by every replica
breaker  when a failing candidate leaves the traffic without waiting for anybody
shadow   candidates that answer beside the live version, for nobody
"""
