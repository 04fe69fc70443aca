"""Which table the records of a topic become rows of: a topic and its table bear one name.

headrace.dead-letters -> dead_letters; headrace.labels holds feedback, too, and fills that table. A row's columns are
the fields of the topic's model (a field that is an object becomes its JSON text: ClickHouse reads an object into a
String column); events get the columns of their origin too.
"""

from __future__ import annotations

from dataclasses import dataclass

from headrace.contract.events import Event, Record
from headrace.contract.topics import DEAD_LETTERS, FEEDBACK, LABELS, TOPICS, Topic

PREFIX = "headrace."


@dataclass(frozen=True, slots=True)
class Table:
    """One table and the topic it copies.

    packed: a record's value is one JSON object or an array of them, and rows say which record they came from
    """

    name: str
    topic: Topic
    packed: bool

    @property
    def model(self) -> type[Record]:
        return self.topic.model

    @property
    def is_last_resort(self) -> bool:
        """What cannot become a row of this table has no topic left to go to."""
        return self.topic is DEAD_LETTERS


def table_of(topic: Topic) -> Table:
    """The table that `topic` fills."""
    name = (FEEDBACK if topic is LABELS else topic).name.removeprefix(PREFIX).replace("-", "_")
    return Table(name, topic, packed=issubclass(topic.model, Event))


TABLES = tuple(table_of(topic) for topic in TOPICS)
