"""deadletters: look at what could not become a row, send it again, let a stopped partition go on."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headrace.cli import output
from headrace.cli.ask import Json, moment
from headrace.cli.caller import permitted
from headrace.cli.clickhouse import connect
from headrace.errors import HeadraceError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from headrace.contract.topics import Topic
    from headrace.settings import Settings
    from headrace.warehouse import Warehouse

PAGE = 100
# A record may be larger than any emitter's; the broker bounds it as it is compressed.
LARGEST = 2**31 - 1

letters_app = typer.Typer(
    help="Look at records that could not become a row, and send them again.", no_args_is_help=True
)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(letters_app, name="deadletters")


@letters_app.command("list")
def letters_list(
    topic: Annotated[str, typer.Option(help="Only of this topic.")] = "",
    reason: Annotated[str, typer.Option(help="Only with this in their reason.")] = "",
    since: Annotated[str, typer.Option(help="Only from this time on, in UTC.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="How many, newest first.")] = 50,
    as_json: Json = False,
) -> None:
    """The newest dead letters, one line each; the first column is what `show` and `replay` take."""
    settings, _ = permitted("deadletters list", "read")
    chosen = {"topic": _topic(topic).name if topic else "", "reason": reason, "since": moment(since), "rows": limit}
    output.rows(connect(settings).query("cli/deadletters_list", **chosen), as_json, empty="no dead letters")


@letters_app.command("show")
def letters_show(
    place: Annotated[str, typer.Argument(help="topic/partition/offset/index, as `list` prints it.")],
    raw: Annotated[bool, typer.Option("--raw", help="Only the original bytes, for a pipe.")] = False,
) -> None:
    """One dead letter: why it was refused, and its original bytes.

    Where the topic was made again, another may stand at the same place: the newest comes first, --raw prints that one.

    \b
        headrace deadletters show headrace.inferences/3/1042/7 --raw > record.json
    """
    import asyncio
    from base64 import b64decode

    from headrace.cli.originals import original_of
    from headrace.contract.excerpt import Excerpt

    settings, _ = permitted("deadletters show", "read")
    where = _place(place)
    letters = _letters(connect(settings), where)
    if raw:
        sys.stdout.buffer.write(asyncio.run(original_of(settings, letters[0])))
        return
    for found in letters:
        original, excerpt = b64decode(found.pop("original")), found.pop("excerpt")
        for name, value in found.items():
            typer.echo(f"{name:<12} {output.cell(value)}")
        if excerpt:
            whole = Excerpt.model_validate_json(excerpt)
            typer.echo(f"\nits {whole.length} bytes stay in {found['topic']} (--raw reads them); they begin and end:")
            original = b"\n[...]\n".join((b64decode(whole.head), b64decode(whole.tail)))
        typer.echo(f"\n{original.decode(errors='backslashreplace')}")


@letters_app.command("replay")
def letters_replay(
    places: Annotated[
        list[str] | None, typer.Argument(help="topic/partition/offset/index, as `list` prints it.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All that were not sent again and are not stored.")] = False,
    topic: Annotated[str, typer.Option(help="With --all: only of this topic.")] = "",
    to: Annotated[
        str, typer.Option(help="Send them to this topic: headrace.labels, for labels refused in headrace.feedback.")
    ] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be sent.")] = False,
) -> None:
    """Send the original bytes again to their topic and partition, after what refused them was mended.

    An event that then becomes a row is no dead letter any more; one that is refused again is a new dead letter. What
    was too large for a letter is read from the topic that it came from; with --all what is gone there is named and left
    out. With --to you vouch for who wrote them: what is in headrace.labels counts as ground truth.

    \b
        headrace deadletters replay headrace.inferences/3/1042/7
        headrace deadletters replay --all --topic headrace.feedback --dry-run
        headrace deadletters replay headrace.feedback/5/77/0 --to headrace.labels
    """
    import asyncio

    settings, _ = permitted("deadletters replay", "operate")
    if bool(places) == everything:
        raise SettingsError(
            "name the dead letters to replay, as `headrace deadletters list` prints them, or give --all"
        )
    named = [_place(text) for text in places or []]
    warehouse = connect(settings)
    pages = _open(warehouse, _topic(topic).name if topic else "") if everything else _named(warehouse, named)
    sent = asyncio.run(_replay(settings, warehouse, pages, _topic(to) if to else None, dry_run, everything))
    typer.echo(f"{sent} dead letters {'would be' if dry_run else 'were'} sent again")


@letters_app.command("stopped")
def letters_stopped(as_json: Json = False) -> None:
    """Partitions that were stopped because most of what came was poison. Exits 1 where one still stands."""
    settings, _ = permitted("deadletters stopped", "read")
    found = connect(settings).query("shared/deadletters_stopped")
    output.rows(found, as_json, empty="no partition was ever stopped")
    raise typer.Exit(int(any(row["state"] == "stopped" for row in found)))


@letters_app.command("accept")
def letters_accept(
    place: Annotated[str, typer.Argument(help="topic/partition, as `stopped` prints it.")],
    through: Annotated[
        int, typer.Option(help="Below this offset no limit holds; default: all that is there now.")
    ] = -1,
) -> None:
    """Let a stopped partition go on: what is bad in it becomes dead letters, without a limit up to an offset.

    \b
        headrace deadletters accept headrace.inferences/3
    """
    import asyncio
    import json

    from headrace.warehouse import clickhouse_time

    settings, caller = permitted("deadletters accept", "operate")
    warehouse = connect(settings)
    name, slash, number = place.rpartition("/")
    found = [
        row
        for row in warehouse.query("shared/deadletters_stopped")
        if slash and (row["topic"], str(row["partition"])) == (name, number) and row["state"] == "stopped"
    ]
    if not found:
        raise SettingsError(f"{place} is not stopped; `headrace deadletters stopped` shows what is")
    below = through if through >= 0 else asyncio.run(_end(settings, name, int(number)))
    (after,) = warehouse.query("shared/deadletters_next", topic=name, partition=int(number))
    row = {"topic": name, "partition": int(number), "at": clickhouse_time(after["next"]), "state": "accepted",
           "offset": found[0]["offset"], "through": below, "reason": found[0]["reason"], "by": caller.name}  # fmt: skip
    warehouse.insert("stopped_partitions", [json.dumps(row).encode()])
    typer.echo(f"{place} goes on within seconds; below offset {below} no limit holds")


async def _replay(
    settings: Settings,
    warehouse: Warehouse,
    pages: Iterator[list[dict[str, Any]]],
    to: Topic | None,
    dry: bool,
    tolerant: bool,
) -> int:
    """Send page by page, to their own topic or to `to`, and write down where each went; returns how many.

    tolerant: say which large ones cannot be sent, and go on
    """
    import asyncio
    import json

    from headrace.bus.kafka import KafkaProducer
    from headrace.cli.originals import original_of

    producer = KafkaProducer(settings, client_id="headrace-replay", max_request_bytes=LARGEST)
    sent = 0

    async def send(letter: dict[str, Any]) -> bytes:
        topic, original = to or _topic(letter["topic"]), await original_of(settings, letter)
        # The partition that it came from: what belongs to one session stays in order.
        offset = -1 if dry else await producer.send_to(topic, letter["partition"], original)
        place = {name: letter[name] for name in ("topic", "partition", "offset", "record_index", "digest")}
        return json.dumps(place | {"to_partition": letter["partition"], "to_offset": offset}).encode()

    if not dry:
        await producer.start()
    try:
        for page in pages:
            for letter in page:
                _check(letter, to)
            done = await asyncio.gather(*(send(letter) for letter in page if letter["original"]))
            if not dry:
                warehouse.insert("replays", done)
            sent += len(done)
            # One at a time: they are large.
            for letter in (letter for letter in page if letter["excerpt"]):
                try:
                    row = await send(letter)
                except HeadraceError as error:
                    if not tolerant:
                        raise SettingsError(str(error)) from None
                    typer.echo(f"headrace: {error}", err=True)
                    continue
                if not dry:
                    warehouse.insert("replays", [row])
                sent += 1
            if sent > PAGE:
                typer.echo(f"{sent} …", err=True)
    finally:
        if not dry:
            await producer.stop()
    return sent


def _named(warehouse: Warehouse, places: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    yield [letter for place in places for letter in _letters(warehouse, place)[:1]]


def _open(warehouse: Warehouse, topic: str) -> Iterator[list[dict[str, Any]]]:
    """Pages of the dead letters that are there now, and none that replays make."""
    from headrace.warehouse import clickhouse_time

    after: dict[str, Any] = {"after_topic": "", "after_partition": 0, "after_offset": 0}
    after |= {"after_index": -2, "after_digest": 0}
    now = warehouse.query("shared/clock")[0]["now"]
    asked = {"topic": topic, "rows": PAGE, "there_at": clickhouse_time(now)}
    while page := warehouse.query("cli/deadletters_open", **asked, **after):
        last = page[-1]
        yield page
        after = {f"after_{name}": last[name] for name in ("topic", "partition", "offset", "digest")}
        after["after_index"] = last["record_index"]


def _letters(warehouse: Warehouse, place: dict[str, Any]) -> list[dict[str, Any]]:
    """The letters of a place, the newest first."""
    found = warehouse.query("cli/deadletters_show", **place)
    if not found:
        written = "/".join(str(part) for part in place.values())
        raise SettingsError(f"there is no dead letter at {written}; `headrace deadletters list` shows where they are")
    return found


def _place(text: str) -> dict[str, Any]:
    parts = text.rsplit("/", 3)
    if len(parts) != 4 or not all(part.lstrip("-").isdigit() for part in parts[1:]):
        raise SettingsError(f"{text!r} is not a place: write topic/partition/offset/index, as `deadletters list` does")
    topic, partition, offset, index = parts
    return {"topic": topic, "partition": int(partition), "offset": int(offset), "index": int(index)}


def _check(letter: dict[str, Any], to: Topic | None) -> None:
    """Raises SettingsError for a letter that cannot be sent again there."""
    from headrace.cli.originals import check_kept

    topic = _topic(letter["topic"])
    check_kept(letter)
    if to is not None and to.model is not topic.model:
        raise SettingsError(f"{to.name} takes no events of {topic.name}; leave --to out, or name another topic")


def _topic(name: str) -> Topic:
    from headrace.contract.topics import EVENTS, TOPICS

    for topic in EVENTS:
        if topic.name == name:
            return topic
    known = "only events are replayed: " if name in [topic.name for topic in TOPICS] else ""
    raise SettingsError(f"{name!r} is no topic of events; {known}{', '.join(topic.name for topic in EVENTS)}")


async def _end(settings: Settings, name: str, partition: int) -> int:
    from headrace.bus.kafka.lag import lag_reader

    async with lag_reader(settings, "headrace-streams") as reader:
        lags = await reader.read([_topic(name)])
    if (name, partition) not in lags:
        raise SettingsError(f"Kafka at {settings.kafka} has no partition {name}/{partition}")
    return lags[name, partition].end
