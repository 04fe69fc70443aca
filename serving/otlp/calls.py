"""A call of a model out of the attributes and events of a span, or out of log records, by every dialect's table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from headrace.contract.given_ids import chosen
from headrace.contract.nothing import is_none
from headrace.conversations.leniently import texts_of
from headrace.conversations.messages import NO_MESSAGE, Message, answer_of, choice_of, last_of, messages_of, question_of
from headrace.conversations.roles import ASSISTANT, SYSTEM, USER
from headrace.errors import EventError
from serving.otlp.attributes import Attributes, bounded_name, finite, first
from serving.otlp.dialects.conventions import CONVENTIONS
from serving.otlp.dialects.dialect import Kind
from serving.otlp.flattened import flat_messages
from serving.otlp.shapes import FLAT_ANSWERS, FLAT_QUESTIONS, NAMES, NO_CALL, WORDED, Shape, shape_of

MODELS = frozenset({name.partition("/")[0] for field in ("request_models", "response_models") for name in NAMES[field]})
_CONTEXT = frozenset({"session.id", "gen_ai.conversation.id", "user.id", "enduser.id", "enduser.pseudo.id"})


# Not frozen: making one would take twice as long.
@dataclass(slots=True)
class Call:
    """One answer of one model, as one span tells it, or several spans and log records together. It is never changed.

    span, parent, trace: hexadecimal; scope: the instrumentation
    spanned: a span tells it, not log records alone; nested: it may be the same call as the call in its span
    start_ns, end_ns: since 1970, 0 for unknown
    models: that was asked for, that answered; agents: names that may be a task's, the best first
    cost: dollars as headrace.cost says, None where it does not; priced: as an instrumentation says, 0 for none
    cut: of "question" and "answer" those that an exporter's limit cut
    recalled: the answer is what an assistant said before, for want of a choice
    odd: what could not be read, a sentence each
    """

    trace: str
    span: str
    parent: str = ""
    scope: str = ""
    name: str = ""
    spanned: bool = True
    nested: bool = True
    start_ns: int = 0
    end_ns: int = 0
    given_id: str = ""
    task: str = ""
    agents: tuple[str, ...] = ()
    models: tuple[str, str] = ("", "")
    response_id: str = ""
    session: str = ""
    user: str = ""
    question: str = ""
    answer: str = ""
    first_token_ms: float = 0.0
    tokens_in: int = 0
    tokens_out: int = 0
    cost: float | None = None
    priced: float = 0.0
    version: str = ""
    label: str = ""
    consent: bool = True
    cut: tuple[str, ...] = ()
    recalled: bool = False
    odd: tuple[str, ...] = field(default=(), compare=False)

    @property
    def richness(self) -> tuple[bool, bool, bool, bool]:
        """The greater tells more: answer, question, tokens, the rest that only spans know."""
        return bool(self.answer), bool(self.question), bool(self.tokens_in or self.tokens_out), self.spanned


def united(one: Call, other: Call) -> Call:
    """One call that two tell: the richer one's fields, and the other's where it has none."""
    richer, poorer = (other, one) if other.richness > one.richness else (one, other)
    # Times, ids and the name are a span's own, also where log records have the texts.
    body = poorer if poorer.spanned and not richer.spanned else richer
    filled = {
        name: getattr(richer, name) or getattr(poorer, name)
        for name in (
            "given_id", "task", "agents", "response_id", "session", "user", "first_token_ms", "tokens_in", "tokens_out",
            "priced", "version", "label",
        )
    }  # fmt: skip
    texts = [(which, _told_better(which, richer, poorer)) for which in ("question", "answer")]
    asked, answered = (mine or its for mine, its in zip(richer.models, poorer.models, strict=True))
    return replace(
        body,
        **filled,
        **{which: getattr(call, which) for which, call in texts},
        cut=tuple(which for which, call in texts if which in call.cut),
        models=(asked, answered),
        cost=richer.cost if richer.cost is not None else poorer.cost,
        consent=one.consent and other.consent,
        spanned=one.spanned or other.spanned,
        odd=(),
    )


def _told_better(which: str, richer: Call, poorer: Call) -> Call:
    """Which of two tells a text: the richer one, but for one that is cut where the other's is whole."""
    if not getattr(richer, which) or (which in richer.cut and getattr(poorer, which) and which not in poorer.cut):
        return poorer
    return richer


def kind_of(said: Mapping[str, Any], shape: Shape) -> Kind | None:
    """What a span is by its own attributes: an answer, something else, unclear, or nothing that this is about."""
    if not shape.known:
        return None
    if said.get("logfire.span_type") == "pending_span":
        return Kind.OTHER
    if shape.no_call:
        return Kind.AROUND
    kinds = [kind for dialect in shape.worded if (kind := dialect.kind_of(said)) is not None]
    told = next((kind for kind in kinds if kind is not Kind.UNKNOWN), None)
    if told is not None:
        return told
    if not shape.looks:
        return Kind.OTHER if kinds else None
    return Kind.UNKNOWN


def kinds_said(said: Mapping[str, Any]) -> str:
    """The words for which a span is not taken, as a sentence has them; "" for none."""
    words = [f"it has {name}" for name in sorted(NO_CALL & said.keys())]
    words += [
        f"{dialect.kind} is {str(said[dialect.kind])[:80]!r}"
        for dialect in WORDED
        if said.get(dialect.kind) and dialect.kind_of(said) is not Kind.ANSWER
    ]
    return " and ".join(words)


def told_around(own: Mapping[str, Any], kind: Kind | None, shape: Shape) -> tuple[str, str]:
    """The session and the user that a span tells which is around calls, or beside them; "" for none."""
    if kind not in (Kind.OTHER, Kind.AROUND) and _CONTEXT.isdisjoint(own):
        return "", ""
    at = Attributes({**_carried(own, shape), **own})
    return at.known_name(*NAMES["sessions"]), at.known_name(*NAMES["users"])


def is_plainly_a_call(call: Call, worded: bool) -> bool:
    """Whether a span of no known kind is one call all the same: it names its model, and what was said or counted."""
    if not any(call.models):
        return False
    said = bool(call.question), bool(call.answer)
    return all(said) if worded else any(said) or bool(call.tokens_in or call.tokens_out)


def read_call(
    own: Mapping[str, Any],
    resource: Mapping[str, Any],
    events: Sequence[tuple[list[Message], list[Message]]] = (),
    **fields: Any,
) -> Call:
    """The call that these attributes tell, and what was said in its events.

    fields: of Call that stand outside the attributes
    Raises EventError where it names no trace and span.
    """
    if not fields["trace"] or not fields["span"]:
        raise EventError("it has no trace_id and span_id")
    said = {**resource, **_carried(own, shape_of(own)), **own}
    at, shape = Attributes(said), shape_of(said)
    names = shape.names
    asked = [message for messages, _ in events for message in messages]
    answered = [message for _, messages in events for message in messages]
    response_id = bounded_name(first(said, names["response_ids"]))
    question, answer = _question(said, names["questions"], asked), _answer(said, names, asked, answered)
    return Call(
        **fields,
        **(_said_by_agent(at) if shape.ours else {}),
        agents=tuple(agent for key in names["agents"] if (agent := at.name(key))),
        models=(at.name(*names["request_models"]), at.name(*names["response_models"])),
        response_id="" if is_none(response_id) else response_id,
        session=at.known_name(*names["sessions"]),
        user=at.known_name(*names["users"]),
        question=question.text,
        answer=answer.text,
        first_token_ms=_first_token_ms(at, names, (fields["end_ns"] - fields["start_ns"]) / 1e6),
        tokens_in=at.count(*names["tokens_in"]),
        tokens_out=at.count(*names["tokens_out"]),
        priced=at.number(*names["costs"]),
        cut=_cut(question, answer) if question.cut or answer.cut else (),
        odd=tuple(at.odd),
    )


def _first_token_ms(at: Attributes, names: Mapping[str, Sequence[str]], span_ms: float) -> float:
    found = 1000 * at.number(*names["seconds"])
    # Strands writes milliseconds under OpenLIT's name for seconds; no first token comes long after the last.
    return (found / 1000 if 0 < 10 * span_ms < found else found) or at.number(*names["milliseconds"])


def _said_by_agent(at: Attributes) -> dict[str, Any]:
    """What `headrace.*` attributes say."""
    said_id = at.text("headrace.inference_id")
    given_id = chosen(said_id)
    if said_id and not given_id:
        at.odd.append(f"headrace.inference_id names no event: {said_id[:80]!r}")
    cost = finite(at.said.get("headrace.cost"))
    if "headrace.cost" in at.said and (cost is None or cost < 0):
        at.odd.append(f"headrace.cost is no number from 0 on: {str(at.said['headrace.cost'])[:80]!r}")
        cost = None
    return {
        "given_id": given_id,
        "task": at.name("headrace.task"),
        "cost": cost,
        "version": at.name("headrace.version"),
        "label": at.name("headrace.label"),
        "consent": at.flag("headrace.consent", default=True, odd=False),
    }


def _cut(question: Message, answer: Message) -> tuple[str, ...]:
    return tuple(name for name, message in (("question", question), ("answer", answer)) if message.cut)


def _question(said: Mapping[str, Any], names: Sequence[str], events: list[Message]) -> Message:
    instructions: list[Message] = []
    for messages in _asked(said, names, events):
        if found := last_of(messages, USER):
            return found
        instructions += messages
    found = question_of(instructions)
    return found if found.text else question_of(messages_of(said.get("gen_ai.system_instructions"), SYSTEM))


def _asked(said: Mapping[str, Any], names: Sequence[str], events: list[Message]) -> Iterator[list[Message]]:
    yield from (messages_of(said[name], USER) for name in CONVENTIONS.questions if said.get(name))
    yield flat_messages(said, FLAT_QUESTIONS, USER)
    yield events
    yield from (messages_of(value, USER) for name in names if (value := _value(said, name)))


def _answer(
    said: Mapping[str, Any], names: Mapping[str, Sequence[str]], asked: list[Message], answered: list[Message]
) -> Message:
    for name in CONVENTIONS.answers_in:
        if said.get(name) and (found := choice_of(messages_of(said[name], ASSISTANT))).text:
            # Spring AI has texts alone in lists, questions and answers alike.
            listed = texts_of(said[name]) if texts_of(said.get("gen_ai.prompt")) else ()
            return Message(ASSISTANT, listed[0]) if listed else found
    if text := first(said, names["said"]):
        return Message(ASSISTANT, text)
    for found in flat_messages(said, FLAT_ANSWERS, ASSISTANT):
        if found.text:
            return found
    if (found := answer_of(answered)).text:
        return found
    for name in names["answers_in"]:
        if (value := _value(said, name)) and (found := choice_of(messages_of(value, ASSISTANT))).text:
            return found
    # Where nothing is called an answer, it is what an assistant said at the end.
    return asked[-1] if asked and asked[-1].role == ASSISTANT else NO_MESSAGE


def _value(said: Mapping[str, Any], name: str) -> Any:
    value = said.get(name)
    # A text that says it is no JSON is taken as it is.
    plain = said.get(name.replace(".value", ".mime_type")) == "text/plain"
    return [{"role": USER if name.startswith("input") else ASSISTANT, "content": value}] if plain and value else value


def _carried(own: Mapping[str, Any], shape: Shape) -> dict[str, Any]:
    """An agent's own properties by their own names."""
    return {short: value for name, short in shape.carried if (value := own[name]) not in (None, "")}
