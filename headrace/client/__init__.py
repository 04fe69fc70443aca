"""The SDK of an agent frontend: say what was answered and what came back; it never blocks or breaks the caller.

    from headrace.client import Client

    client = Client(url="http://127.0.0.1:8080", key="…", emitter="helpdesk")    # or kafka="127.0.0.1:9092"
    answer = client.inference(task="router", version="router@12", input="My VPN is down", label="it")
    client.feedback(inference_id=answer, source="user", signal="thumb", value=-1)

`inference` and `feedback` take the fields of contract/events.py (or such an event) and return its id. A wrong field (an
unknown one, none where one is required, a thumb of 5) raises EventError at once: that is a bug of the caller, named in
one sentence. What users typed never raises, however long or odd it is: what its signal cannot mean (a rating of
`great`, a correction without a word) is dropped, counted and warned of. Everything after that happens in the
background: events wait up to 25 ms for company, are packed and sent, and sent again until they are acknowledged.
While nothing answers they wait in a bounded buffer; when it is full new ones are dropped, counted and warned of once.
A retried event has the same id, so it is stored once.

With `spool="/some/folder"` each event is on local disk before `inference` or `feedback` returns: it outlives a SIGKILL
and a Kafka that is away, and the next client on that folder ships what was left (headrace.spool, docs/events.md).

The end of the program flushes for up to five seconds; `close()`, or `with Client(…) as client`, does so earlier, and
`flush(timeout_s)` says whether everything arrived. A forked child starts a sender of its own at its first event (what
the parent had buffered stays the parent's); multiprocessing ends its children without their exit handlers, so those
call `close()` themselves.

AsyncClient is the same inside an event loop (`async with AsyncClient(…) as client`); its `await client.send(events)` is
for those who must know that events are stored before they go on. It does not outlive its loop or a fork.

Over Kafka the client also publishes how many events it has sent (headrace.emitters), which `headrace reconcile`
compares with what was stored; over HTTP the gateway counts.

synchronous   the client for programs without an event loop: a daemon thread runs one for it
asynchronous  the client inside an event loop
options       what a caller gives a client, checked
typed         what a program hands over as an event, whatever its users typed
buffer        what waits to be sent, bounded in events and in bytes; any thread may add
packing       events into records: a session stays in order, a record is worth its overhead
sender        the background half: takes what waits, packs it, sends it until it is acknowledged
shipping      entries on their way: packed, sent until they are taken or refused, each outcome counted
source        where the sender finds events: in memory, or in a journal of the spool
transport     where records go: Kafka itself, or the gateway over HTTP
waiters       coroutines that wait until so many frames of the spool are dealt with
recovery      what a dead process had kept, sent by its successor
counts        how many events an emitter has sent
reports       what an emitter says of its counts, and its successor after it
"""

from headrace.client.asynchronous import AsyncClient
from headrace.client.synchronous import Client

__all__ = ["AsyncClient", "Client"]
