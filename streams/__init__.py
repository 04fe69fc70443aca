"""Monitor: events into ClickHouse, rolling accuracy and drift out of it, triggers.

tables                which table the records of a topic become rows of
decode                from a Kafka record to rows: total, so that no record can stop a worker
packed                the short way of a record of events: checked once, its original bytes passed on to ClickHouse
rules                 what workers hold events to: who may say what, which arms count, what is audited
given_ids             the ids that events get that bear an emitter's own instead
label_ids             a label that an event names by its text becomes its id
bisect                halves a block that ClickHouse refuses until the rows at fault stand alone
store                 records into a table: read them, insert their rows, and say what could not be stored
poison                a partition that is mostly poison stops, rather than drain into dead letters
copier                one topic into its table
worker                the Faust worker: one agent a topic, which acknowledges a record only after its rows are stored
pressure              how many bytes of each topic a worker holds, and which topics it leaves at the broker
patience              how a worker waits for a warehouse that refuses: as long as it takes, with back-off
threads               blocking work beside the event loop, where each kind of work has a thread of its own
watchdog              ends a consumer that has stopped fetching without a word
transport             Faust's Kafka driver, with four changes
unowned               sees to it that each partition is read
health                what a worker says about itself over HTTP
resolver              which answer is this feedback about, where it names something else
window_counts         the windows of traffic, counted anew where something came: what the rolling figures are made of
rolled_up             windows that stay as they were counted, and windows of another size
progress              how far the monitor is with each task
aside                 what fails though ClickHouse answers is put aside for a while, so that the rest goes on
clocks                names the emitters whose clocks are ahead of the warehouse's
spans                 which closed windows are compared with which
audits                the audit's labels, kept beside what was answered
task_labels           the plan's labels in the warehouse
accuracy              the rolling accuracy, of all answers and by version, arm, expert and tenant
estimation            how many answers were right, from labels of some
sampling              which answers experts should label beside the base audit
draws                 draws answers for review beside the base audit, a window at a time
labels                what looks ask of the audit's labels, only where one may have changed
together              answers about tasks, asked of all at once where what they rest on changed
queries               what the monitor asks of the warehouse
situation             what the monitor has to know before it decides
profiles              window profiles: what the detectors that need no labels compare
projection            embeddings of a window's questions as moments that add up: what window_embeddings holds
embedder              embeddings of closed windows, computed beside the monitor
embed                 a process that embeds the questions of closed windows
detectors             what tells that the world, or a model, changed
thresholds            thresholds from what false alarms may cost a task in a year
policy                what to do about a task: a pure function of what the monitor has seen
monitor               one look at a task: rolling figures, detectors, decision
housekeeping          one pass: what waited too long expires, and the balance of events is settled
housekeeping_duties   a worker's duties beside copying
housekeeping_offsets  what came over plain Kafka, proven by offsets
housekeeping_runs     runs of Kafka offsets that no row accounts for, read again from the broker
retention             what is older than the plan keeps anything leaves, by whole months
mutations             deletes rows with never more than one mutation in flight on a table
attempts              steps that must not keep each other from running
__main__              one Faust worker; the one that reads the promotions also runs the monitor
"""
