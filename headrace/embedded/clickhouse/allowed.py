"""What no statement over HTTP may reach: files of the machine, programs and the network. The owner is held to it too.

Three layers:

1. The engine refuses by itself (`configuration` writes this): only PRIVILEGES are granted, and no source is among them;
   tables need a grant for their ENGINE; settings that name files or another language are FIXED.
2. The function `file` asks for no privilege in chdb. `engine` puts a function in its place that always fails.
3. `Allowed.check` refuses what the engine runs without asking: INTO OUTFILE and FROM INFILE, which chdb serves itself
   with its process's rights, and table functions and engines that need no privilege. It also words the refusal.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, Protocol

from headrace.embedded.clickhouse import statement
from headrace.embedded.clickhouse.errors import Refused, refuse

PRIVILEGES = (
    "GRANT SHOW, SELECT, INSERT, CHECK, OPTIMIZE, TRUNCATE, UNDROP TABLE, ALTER TABLE, ALTER VIEW, ALTER DATABASE, "
    "CREATE DATABASE, CREATE TABLE, CREATE VIEW, CREATE TEMPORARY VIEW, CREATE ARBITRARY TEMPORARY TABLE, "
    "DROP DATABASE, DROP TABLE, DROP VIEW, KILL QUERY, SYSTEM MERGES, SYSTEM TTL MERGES, SYSTEM VIEWS, SYSTEM FLUSH, "
    "SYSTEM DROP CACHE ON *.*",
    # FREEZE writes a second copy of a table, FETCH reads one over the network.
    "REVOKE ALTER FREEZE PARTITION, ALTER FETCH PARTITION ON *.*",
    # A session starts in it: without it none would.
    "REVOKE DROP DATABASE ON default.*",
)
_TABLE_ENGINES = """AggregatingMergeTree Buffer CoalescingMergeTree CollapsingMergeTree GenerateRandom
    GraphiteMergeTree Join Log MaterializedView Memory Merge MergeTree Null ReplacingMergeTree Set StripeLog
    SummingMergeTree TinyLog VersionedCollapsingMergeTree View"""
# Of the engine's table functions; all others are off, those of a newer engine too.
_TABLE_FUNCTIONS = """dictionary format generateRandom generateSeries generate_series input loop merge
    mergeTreeAnalyzeIndexes mergeTreeCodecBlockCounts mergeTreeIndex mergeTreeProjection mergeTreeTextIndex null
    numbers numbers_mt primes values view viewExplain viewIfPermitted zeros zeros_mt"""
# Scalar functions that ask a model over the network.
_MODEL_FUNCTIONS = "aiclassify aiembed aiextract aifilter aigenerate airedact aisimilarity aitranslate"
# Settings that name a file, an address or a place on disk, and those that read a statement by another grammar.
_FIXED = """dialect polyglot_dialect format_schema format_schema_source format_template_row format_template_resultset
    format_avro_schema_registry_url output_format_schema input_format_record_errors_file_path url_base
    rename_files_after_processing filesystem_cache_name allow_experimental_eval_table_function
    ai_function_text_default_credentials ai_function_embedding_default_credentials jemalloc_enable_profiler
    merge_tree_disk merge_tree_storage_policy merge_tree_table_disk"""

TABLE_ENGINES = frozenset(_TABLE_ENGINES.split())
DATABASE_ENGINES = frozenset({"Atomic", "Memory"})
TABLE_FUNCTIONS = frozenset(_TABLE_FUNCTIONS.split())
FIXED = _FIXED.split()

# Without a quote, a comment or a line's end: what is left without them is cut into words as the whole was.
_JSON_ARGUMENTS = re.compile(
    rb"(\bJSON)( ?\([A-Za-z0-9_ ,.=]*(?:\([A-Za-z0-9_ ,.=]*\)[A-Za-z0-9_ ,.=]*)*\))", re.IGNORECASE
)
_WORD = re.compile(rb"[a-z_][a-z0-9_]*")


class Parser(Protocol):
    """The engine's own parser; both methods raise Refused (62) where the text is not one statement."""

    def tree(self, sql: bytes) -> Any: ...
    def formatted(self, sql: bytes) -> bytes: ...


class Allowed:
    """The check before a statement runs.

    functions, engines: the names of table functions, and of table and database engines, that the engine knows
    """

    def __init__(self, parser: Parser, functions: Iterable[str], engines: Iterable[str]) -> None:
        self._parser = parser
        self._functions = {name.lower() for name in {*functions} - TABLE_FUNCTIONS} | {*_MODEL_FUNCTIONS.split()}
        engines_off = {name.lower() for name in {*engines} - TABLE_ENGINES - DATABASE_ENGINES}
        self._suspect = {
            name.encode() for name in self._functions | engines_off | {"outfile", "infile", "disk", "attach"}
        }

    def check(self, sql: bytes) -> None:
        """Raise Refused: 392 for what is off, 48 for INTO OUTFILE and FROM INFILE, 62 for what cannot be read.

        Most statements hold none of the names. Only a quoted name can be spelled otherwise, and that takes a
        backslash: the others need not be parsed a second time.
        """
        if b"\\" not in sql and self._suspect.isdisjoint(_WORD.findall(sql.lower())):
            return
        tree = self._parser.tree(sql)
        # There is no tree of JSON's arguments, and nothing in these.
        if tree is None and (bare := _JSON_ARGUMENTS.sub(self._without_arguments, sql)) != sql:
            tree = self._parser.tree(bare)
        if tree is None:
            self._check_text(self._parser.formatted(sql))
        else:
            self._check_tree(tree)

    def _without_arguments(self, found: re.Match[bytes]) -> bytes:
        suspicious = not self._suspect.isdisjoint(_WORD.findall(found.group(2).lower()))
        return found.group() if suspicious else found.group(1)

    def parse(self, sql: bytes) -> None:
        """Raise Refused (62) where it is not one statement."""
        self._parser.tree(sql)

    def _check_tree(self, tree: Any) -> None:
        for node in _nodes(tree):
            if "out_file" in node:
                raise _no_file("INTO OUTFILE")
            if "infile" in node:
                raise _no_file("FROM INFILE")
            if node.get("has_attach_from_path"):
                raise _no_file("ATTACH TABLE … FROM")
            kind, name = node.get("kind"), node.get("name")
            if kind == "TABLE_ENGINE" and name not in TABLE_ENGINES:
                raise _off(f"The table engine {name}")
            if kind == "DATABASE_ENGINE" and name not in DATABASE_ENGINES:
                raise _off(f"The database engine {name}")
            if node.get("type") == "Function" and str(name).lower() in self._functions:
                raise _off(f"The function {name}")
            value = node.get("value")
            # disk = disk(type = …, path = …)
            if isinstance(value, dict) and value.get("field_type") == "CustomType":
                raise _off(f"The setting {name} with a function as its value")

    def _check_text(self, text: bytes) -> None:
        """As `_check_tree`, of the few harmless kinds of statements of which the engine writes no tree."""
        if not text.startswith((b"DESCRIBE ", b"EXISTS ", b"SHOW ", b"UNDROP ")):
            raise refuse(392, "QUERY_IS_PROHIBITED", "Statements of this kind are off in the embedded ClickHouse")
        for name in statement.called(text):
            if name == "OUTFILE":
                raise _no_file("INTO OUTFILE")
            if name.lower() in self._functions:
                raise _off(f"The function {name}")


def _nodes(tree: Any) -> Iterator[dict[str, Any]]:
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            yield node
            waiting.extend(node.values())
        elif isinstance(node, list):
            waiting.extend(node)


def _off(what: str) -> Refused:
    return refuse(
        392,
        "QUERY_IS_PROHIBITED",
        f"{what} reaches files, programs or the network and is off in the embedded ClickHouse",
    )


def _no_file(clause: str) -> Refused:
    return refuse(48, "NOT_IMPLEMENTED", f"{clause} is not allowed over HTTP")
