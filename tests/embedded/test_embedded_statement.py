"""Where a statement ends and an INSERT's data begins."""

from __future__ import annotations

import pytest

from headrace.embedded.clickhouse import statement
from headrace.embedded.clickhouse.errors import Refused


@pytest.mark.parametrize(
    ("text", "sql", "format", "data"),
    [
        (b"INSERT INTO t FORMAT JSONEachRow\n{}", b"INSERT INTO t ", "JSONEachRow", b"{}"),
        (b"insert into t (a) values (1)", b"insert into t (a) ", "Values", b" (1)"),
        (b"INSERT INTO `t values` (`format`) FORMAT CSV\r\n1", b"INSERT INTO `t values` (`format`) ", "CSV", b"1"),
        (b"INSERT /* values */ INTO t -- format x\n FORMAT TSV ;\n\n1", b"INSERT /* values */ INTO t -- format x\n ",
         "TSV", b"\n1"),
        (b"INSERT INTO FUNCTION file('format', 'CSV') FORMAT Native\n\x00\xff",
         b"INSERT INTO FUNCTION file('format', 'CSV') ", "Native", b"\x00\xff"),
        (b"INSERT INTO t SETTINGS async_insert=0 VALUES(';')", b"INSERT INTO t SETTINGS async_insert=0 ", "Values",
         b"(';')"),
        (b"WITH 'SELECT' AS x, (SELECT 1) AS y INSERT INTO t FORMAT CSV\n1;\n", b"INSERT INTO t ", "CSV", b"1;\n"),
        (b"/* WITH */ INSERT t FORMAT CSV\n1", b"INSERT t ", "CSV", b"1"),
        (b"INSERT INTO t FORMAT CSV SETTINGS a = ';', b=-1 ,c = x\n1,2",
         b"INSERT INTO t  SETTINGS a = ';', b=-1 ,c = x", "CSV", b"1,2"),
        (b"INSERT INTO t FORMAT CSV\nSettings,1\n", b"INSERT INTO t ", "CSV", b"Settings,1\n"),
        (b"INSERT INTO a$b$c$b$d VALUES (1)", b"INSERT INTO a$b$c$b$d ", "Values", b" (1)"),
    ],
)  # fmt: skip
def test_data_begins_after_values_or_the_format_s_name(text: bytes, sql: bytes, format: str, data: bytes) -> None:
    """Comments, quotes and brackets hide the words FORMAT and VALUES; one line end after the name belongs to it."""
    insert = statement.insert_at(text)
    assert insert is not None
    found = statement.split_insert(text, insert, final=False)
    assert found is not None and found.data_at is not None
    assert (found.sql, found.format, text[found.data_at :]) == (sql, format, data)


@pytest.mark.parametrize("text", [
    b"SELECT 1", b"WITH 1 AS insert SELECT insert", b"WITH x AS (SELECT 1) SELECT 'INSERT INTO'", b"(INSERT INTO t)",
    b"EXPLAIN INSERT INTO t SELECT 1", b"WITH (INSERT INTO t) AS x", b"-- INSERT INTO t\nSELECT 1", b"",
    b"WITH 1 AS x INS",
])  # fmt: skip
def test_the_word_insert_elsewhere_is_none(text: bytes) -> None:
    """Within brackets, behind another word, as a name or in a comment it begins no INSERT."""
    assert statement.insert_at(text) is None


def test_settings_behind_the_format_may_go_on() -> None:
    """However a piece cuts them off, the data begins behind the last one, or more text is needed."""
    text = b"INSERT INTO t FORMAT CSV SETTINGS a = 'x', b = 12\n3,4\n"
    whole = statement.split_insert(text, 0, final=True)
    assert whole is not None and whole.data_at == text.index(b"3")
    for end in range(len(text)):
        found = statement.split_insert(text[:end], 0, final=False)
        assert found is None or text[found.data_at :].lstrip() == b"3,4\n", text[:end]


def test_an_insert_that_reads_input_has_data_after_its_format() -> None:
    """INSERT … SELECT … FROM input('…') FORMAT name: the data's columns, and a table's name in place of input(…)."""
    text = b"INSERT INTO t SELECT format(a) FROM input('a Enum(\\'x\\'), b String') -- format\nWHERE 1 FORMAT CSV\n1,2"
    found = statement.split_input(text, final=False)
    assert found is not None
    assert found.sql == b"INSERT INTO t SELECT format(a) FROM `_input` -- format\nWHERE 1 "
    assert (found.structure, found.format, text[found.data_at :]) == ("a Enum('x'), b String", "CSV", b"1,2")


@pytest.mark.parametrize(
    "text",
    [b"INSERT INTO t SELECT input FROM u FORMAT CSV\n", b"INSERT INTO t SELECT * FROM input('a Int8')",
     b"INSERT INTO t SELECT * FROM (SELECT * FROM input('a Int8') FORMAT CSV", b"INSERT INTO t SELECT 'input(''a'')'"],
)  # fmt: skip
def test_other_inserts_from_a_select_read_no_input(text: bytes) -> None:
    """A column called input, a text, a statement that is not complete: none of them is split."""
    assert statement.split_input(text, final=True) is None


def test_a_format_s_name_may_go_on() -> None:
    """A piece that ends within the name of the format is not split there."""
    text = b"INSERT INTO t SELECT * FROM input('a Int8') FORMAT JSONEach"
    assert statement.split_input(text, final=False) is None
    assert statement.split_input(text, final=True) is not None


@pytest.mark.parametrize("text", [b"INSERT INTO t FORMAT JSONEa", b"INSERT INTO t FORM", b"INSERT INTO t (a"])
def test_a_word_at_the_end_of_what_was_read_may_go_on(text: bytes) -> None:
    """A piece that ends inside the statement is not split there."""
    assert statement.split_insert(text, 0, final=False) is None


@pytest.mark.parametrize(
    "text", [b"INSERT INTO t SELECT 1 FORMAT Null", b"INSERT INTO t (a) WITH 1 AS x SELECT x", b"INSERT INTO t"]
)
def test_an_insert_from_a_select_has_no_data(text: bytes) -> None:
    """INSERT … SELECT goes to the engine whole."""
    assert statement.split_insert(text, 0, final=True) is None


@pytest.mark.parametrize(
    ("text", "format"),
    [
        (b"SELECT 1 FORMAT JSON", "JSON"),
        (b"SELECT 1 format CSVWithNames ;\n", "CSVWithNames"),
        (b"SELECT 1 FORMAT TSV SETTINGS max_threads = 1", "TSV"),
        (b"SELECT 'x FORMAT JSON'", None),
        (b"SELECT format('{}', 'JSON')", None),
        (b"SELECT 1 -- FORMAT JSON", None),
        (b"SELECT (SELECT 1) AS format FROM t", None),
    ],
)
def test_the_format_is_the_one_the_statement_ends_with(text: bytes, format: str | None) -> None:
    """FORMAT counts at the end or before SETTINGS, never in a text, a comment or as a name."""
    assert statement.read(text).format == format


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (b"SELECT 1; DROP TABLE t", 62),
        (b"   -- nothing", 62),
    ],
)
def test_what_http_does_not_allow_is_refused(text: bytes, code: int) -> None:
    """Several statements and no statement have ClickHouse's codes."""
    with pytest.raises(Refused) as refused:
        statement.read(text)
    assert refused.value.code == code


@pytest.mark.parametrize(
    ("sql", "target"),
    [
        (b"INSERT INTO t", ("t", "", "")),
        (b'INSERT INTO TABLE `d`."t t" (a, `b c`, n.x)', ('`d`."t t"', "(a, `b c`, n.x)", "")),
        (b"insert into t (a) settings x = 1, y='z', n=-1", ("t", "(a)", "settings x = 1, y='z', n=-1")),
        (b"INSERT INTO FUNCTION null('a Int8')", None),
        (b"INSERT INTO t (* EXCEPT a)", ("t", "", "")),
        (b"INSERT INTO t (a) SETTINGS x = 1 FROM INFILE 'y'", None),
        (b"INSERT INTO t FROM INFILE 'y'", None),
        (b"INSERT INTO t (a) SETTINGS x = disk(type = local)", None),
        (b"INSERT INTO t (a); SELECT 1", None),
    ],
)
def test_data_goes_to_a_table_and_no_further(sql: bytes, target: tuple[str, str, str] | None) -> None:
    """A name, columns and settings are taken apart; with anything more there is no target."""
    found = statement.target(sql)
    assert (found and (found.table, found.columns, found.settings)) == target


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (b"DESCRIBE TABLE file('x')", ["file"]),
        (b"DESCRIBE TABLE (SELECT `python`(a), 'url(1)', b AS file FROM t)", ["TABLE", "python"]),
        (b"SHOW CREATE TABLE t INTO OUTFILE 'x'", ["OUTFILE"]),
    ],
)
def test_calls_are_names_before_a_parenthesis(text: bytes, names: list[str]) -> None:
    """Texts and other names are none."""
    assert list(statement.called(text)) == names
