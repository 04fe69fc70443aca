"""What the parts say to each other, and how it is read: the one thing that all of them share.

events        what agents emit: inferences and feedback
control       what the parts tell each other: triggers, jobs, promotions, acknowledgements
actions       who did what to the flywheel
topics        Kafka's topics
ids           ids of events, which carry their time
contexts      ids of traces and spans, spelled alike
given_ids     ids that emitters give their events, of any kind
nothing       what programs write where there is no id or name
elements      a record's value or a request's body taken apart into events
framing       what producers put before and behind the JSON of a value, and what a value without JSON is
envelopes     an event inside what a bus, a change stream or a log shipper puts around it
mongodb       numbers and ids as MongoDB's Extended JSON writes them
fields        an event's fields on their way to its model: what is unset, unknown, or cannot be carried
parsing       from fields to an event: as its model reads them, or mended
values        fields that a model refuses, read as what they say
texts         texts and names that are too long, or hold characters that cannot be carried
moments       a time, however a client's language writes it
meanings      what the number of a thumb, a rating or a resolution means
scores        scores as classifiers give them
plain         values of Python's libraries as JSON has them
literals      Python's repr of lists and dicts
fast_reading  events read fast, exactly as their models would read them
reading       the one reading of events by collector and workers
letters       a dead letter, whoever writes it
excerpt       the original of a dead letter, as much of it as fits
bounds        from where on a topic holds one kind of event alone
compacted     what a compacted topic says of each key
findings      what the monitor saw at a look, and what a candidate showed, as rows of the warehouse
choice        how a model that writes text is asked for a label, and which one its answer names
decisions     a choice among labels, as a decision endpoint is asked for one
completions   what a model says apart from what it thinks, and the parameters that it takes
suite         questions of an institution that every candidate is asked, as a folder
job_file      what a trainer is told, and how it answers
verdict       what the gate said of an attempt without a winner
precedence    which trigger ends a job that waits for labels
json_schema   all of it as JSON Schema
"""
