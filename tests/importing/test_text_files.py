"""Delimited text as people's machines write it: encodings, delimiters, headers, quotes, numbers of a country."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from ratings_files import HEADER, RATING, ROWS, checked, ratings, text

from headrace.contract.events import Feedback
from headrace.errors import EventError
from headrace.importing import Mapping

RIGHT = [("gespräch-7", 4.5), ("gespräch-8", 1.0)]


@pytest.mark.parametrize(
    ("content", "reading"),
    [
        (text().encode("utf-8"), {}),
        (text().encode("utf-8-sig"), {}),
        (text().encode("utf-16"), {}),
        (b"\xfe\xff" + text().encode("utf-16-be"), {}),
        (text().encode("utf-32"), {}),
        (text().encode("utf-16-le"), {}),
        (text().encode("utf-16-be"), {}),
        (text().encode("cp1252"), {}),
        (text().encode("mac-roman"), {}),
        (text().encode("cp1252"), {"encoding": "windows-1252"}),
        (text().encode("cp850"), {"encoding": "cp850"}),
        (text().encode("utf-16-le"), {"encoding": "utf-16"}),
        (text(delimiter="\t").encode("utf-16"), {}),
        (text(delimiter="|").encode(), {}),
        (text(end="\r").encode(), {}),
        (text(end="\n").encode().rstrip(), {}),
        (("sep=;\r\n" + text()).encode("utf-8-sig"), {}),
        (("sep=;\r\n" + text()).encode("utf-16"), {}),
        (text(end="\r\n\r\n").encode(), {}),
        (("\ufeff" + text() + "\ufeff" + text([])).encode(), {}),
        (text(header=[*HEADER, "", "", ""]).encode(), {}),
        (text(header=[" \ufeffTicket ", '"Erledigt"', "GESPRÄCH\u00a0", "zufriedenheit"]).encode(), {}),
        (text(header=["Ticket", "Erledigt", "Gespra\u0308ch", "Zufriedenheit"]).encode(), {}),
        (("Bericht: Tickets\r\nStand;2.3.2026\r\n\r\n" + text()).encode(), {}),
        (("Bericht\r\n" + text()).encode(), {"header_row": 2}),
        (text().encode() + b"\0" * 512, {}),
        (text().encode() + b"\x1a", {}),
        (text([ROWS[0], ["", " ", "", ""], ROWS[1], [""] * 6]).encode(), {}),
    ],
)
def test_a_file_reads_the_same_however_it_is_written(tmp_path: Path, content: bytes, reading: dict[str, Any]) -> None:
    """Encoding, delimiter, line ends and what stands around the header make no difference."""
    path = tmp_path / "umfrage.csv"
    path.write_bytes(content)
    assert ratings(path, **reading) == RIGHT


def zipped(content: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("umfrage.csv", content)
        for name in ("__MACOSX/._umfrage.csv", ".DS_Store", "Umfrage/.DS_Store", "Thumbs.db"):
            archive.writestr(name, b"\0")
    return file.getvalue()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv.gz", gzip.compress(text().encode())),
        ("a.csv.gz", gzip.compress(text(ROWS[:1]).encode()) + gzip.compress(text(ROWS[1:]).encode())),
        ("a.csv.bz2", bz2.compress(text().encode())),
        ("a.csv.xz", lzma.compress(text().encode())),
        ("a.csv.zst", pa.compress(text().encode(), "zstd", asbytes=True)),
        ("a.zip", zipped(text().encode("utf-16"))),
    ],
    # The archives hold their time, which would differ from process to process.
    ids=["gzip", "two of gzip", "bz2", "xz", "zstd", "zip"],
)
def test_a_packed_file_is_unpacked(tmp_path: Path, name: str, content: bytes) -> None:
    """By its first bytes; a zip holds one file, but for what Finder adds."""
    (tmp_path / name).write_bytes(content)
    assert ratings(tmp_path / name) == RIGHT


def test_an_encoding_that_is_not_known_is_asked_for(tmp_path: Path) -> None:
    """The refusal comes before a row is sent, also for a byte after many rows, and shows what it would read."""
    path = tmp_path / "a.csv"
    mapping = Mapping(
        "feedback", {"at": "occurred_at", "who": "session_id"}, {"source": "user", "signal": "thumb", "value": "1"}
    )
    rows = [f"{1772452800 + n},conversation-{n}\n" for n in range(60)]
    path.write_bytes("".join(["at,who\n", *rows, "1772452800,Gespräch\n", "1772452801,Prüfung\n"]).encode("cp1252"))
    with pytest.raises(EventError) as caught:
        checked(path, mapping)
    said = str(caught.value)
    assert "is not UTF-8, and nothing is sent: 2 lines of 63 have other bytes. Line 62 reads" in said
    assert "'conversation" not in said and "Gespräch' as Windows-1252 (Western European)" in said
    assert "--encoding windows-1252" in said
    assert checked(path, mapping, encoding="windows-1252")[0].events == 62


@pytest.mark.parametrize(
    "content", [b"\x80", b"\x80\x80\x80", b"\x80" * 5, b"\xc3", b"\xe2\x82", b"\xf0", b"\xff", b"\x80\n"]
)
def test_a_few_bytes_that_are_no_character_are_one_sentence(tmp_path: Path, content: bytes) -> None:
    """Also where the whole file is the middle of a character."""
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(EventError, match=r"a\.csv is (not UTF-8, and nothing is sent|no text and no kind of file)"):
        checked(tmp_path / "a.csv", RATING)


def test_every_reading_of_an_encoding_names_its_option(tmp_path: Path) -> None:
    """As the right one may be any of them."""
    rows = [["T-1", "02.03.2026 13:00", "会話", "4,5"]]
    (tmp_path / "a.csv").write_bytes(text(rows, header=["Ticket", "at", "who", "stars"]).encode("shift_jis"))
    columns = {"at": "occurred_at", "who": "session_id", "stars": "value"}
    with pytest.raises(EventError, match="'会話' as Shift JIS, --encoding shift_jis") as caught:
        checked(tmp_path / "a.csv", replace(RATING, columns=columns))
    assert str(caught.value).count("--encoding ") >= 2


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_without_a_mark_in_japanese(tmp_path: Path, encoding: str) -> None:
    """It is found by the zero bytes of its line ends."""
    names = {"時刻": "occurred_at", "会話": "session_id", "評価": "value"}
    rows = [[f"票{n}", "2026年3月2日 13:00", "一番目の会話について" * 3, "4"] for n in range(9)]
    (tmp_path / "a.csv").write_bytes(text(rows, header=["票", *names]).encode(encoding))
    mapping = replace(RATING, columns=names, id_column="票")
    assert ratings(tmp_path / "a.csv", mapping)[0] == ("一番目の会話について" * 3, 4)


@pytest.mark.parametrize(
    ("encoding", "says"),
    [
        ("klingon", "--encoding klingon: there is no such encoding; as in utf-8"),
        ("base64", "--encoding base64: there is no such encoding"),
        ("windows-1252", "begins with the byte order mark of UTF-16-LE; leave the option out"),
    ],
)
def test_a_wrong_encoding_is_one_sentence(tmp_path: Path, encoding: str, says: str) -> None:
    """Before anything is sent."""
    (tmp_path / "a.csv").write_bytes(text().encode("utf-16"))
    with pytest.raises(EventError) as caught:
        checked(tmp_path / "a.csv", encoding=encoding)
    assert says in str(caught.value)


def test_another_reading_of_the_header_is_asked_for(tmp_path: Path) -> None:
    """Where two encodings have the columns and differ in the cells, neither is taken."""
    (tmp_path / "a.csv").write_bytes(text([["T-1", "02.03.2026 13:00", "señal", "4,5"]]).encode("cp1252"))
    with pytest.raises(EventError, match="Line 1 reads 'Gespräch' as Windows-1252"):
        checked(tmp_path / "a.csv")
    assert ratings(tmp_path / "a.csv", encoding="cp1252") == [("señal", 4.5)]


PAIR = Mapping(
    "feedback", {"at": "occurred_at", "who": "session_id", "team": "label"}, {"source": "outcome", "signal": "label"}
)


def test_text_of_postgresql_copy(tmp_path: Path) -> None:
    """Where a cell is \\N, backslashes stand for line ends and tabs, and a quote is a sign as any other."""
    lines = [
        "at\twho\tteam\tsaid",
        '1772452800\ta\tit\tthe\\nscreen\\tis "blue',
        "1772452801\tb\thr\t\\N",
        "1772452802\tc\tC:\\\\new\tx",
        "\\.",
    ]
    content = "\n".join(lines) + "\n"
    (tmp_path / "a.tsv").write_text(content)
    mapping = replace(PAIR, columns=PAIR.columns | {"said": "comment"})
    summary, events = checked(tmp_path / "a.tsv", mapping)
    said = [(one.label, one.comment) for one in events if isinstance(one, Feedback)]
    assert said == [("it", 'the\nscreen\tis "blue'), ("hr", ""), ("C:\\new", "x")]
    assert summary.rejected == 0 and "backslashes as COPY writes them" in summary.found
    (tmp_path / "b.tsv").write_text("at\twho\tteam\n1772452800\ta\tC:\\new\n")
    assert checked(tmp_path / "b.tsv", PAIR)[1][0].label == "C:\\new"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("content", "labels"),
    [
        ("at,who,team,Labels,Labels\n1772452800,a,it,x,y\n", ["it"]),
        ('at,who,team\n1772452800,"a\nb, c",it\n1772452801,d,hr\n', ["it", "hr"]),
        ('at,who,team\n1772452800,"a ""b""",it\n', ["it"]),
        ('at,who,team\n1772452800,"a \\"b\\", c",it\n', ["it"]),
        ('at,who,team\n1772452800,5" screen,it\n1772452801,6",hr\n', ["it", "hr"]),
        ('at, who, team\n1772452800, "a, b", it\n', ["it"]),
        ("at,who,team\n1772452800,a,it,,,\n1772452801,b,hr\n", ["it", "hr"]),
        ("at,who,team\n1772452800,a,it\nat,who,team\n1772452801,b,hr\n", ["it", "hr"]),
        ("at,who,team\r1772452800,a,it\r\n1772452801,b,hr\n", ["it", "hr"]),
        ("at\twho\tteam\n1772452800\ta,b\tit\n", ["it"]),
        (
            'at,who,team\n"When; was it?",Who,Which\n"{""ImportId"":""a""}","{""ImportId"":""b""}",'
            '"{""ImportId"":""c""}"\n1772452800,a,it\n',
            ["it"],
        ),
    ],
)
def test_rows_of_every_make(tmp_path: Path, content: str, labels: list[str]) -> None:
    """Quotes, blanks, repeated headers, Qualtrics' three headers, and a line end of each kind."""
    (tmp_path / "a.csv").write_text(content, newline="")
    summary, events = checked(tmp_path / "a.csv", PAIR)
    assert [event.label for event in events if isinstance(event, Feedback)] == labels
    assert (summary.rejected, summary.left) == (0, "")


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ({"Labels": "label"}, "--map Labels=label: a.csv has 2 columns 'Labels'; say which, as 'Labels (1)'"),
        ({"labels (3)": "label"}, "has no column 'labels (3)'; it has at, who"),
        ({"taem": "label"}, "has no column 'taem'; it has at, who, Labels (1), Labels (2), team, comment (1)"),
        ({"team": "label"}, "comment: a.csv has 2 columns 'comment'; say which, as 'comment (1)', in --map"),
    ],
)
def test_a_repeated_column_is_refused_where_it_is_mapped(tmp_path: Path, columns: dict[str, str], says: str) -> None:
    """By its name, and the sentence says how to name one of them."""
    (tmp_path / "a.csv").write_text("at,who,Labels,Labels,team,comment,comment\n1772452800,a,x,y,it,thanks,\n")
    mapping = Mapping(
        "feedback", {"at": "occurred_at", "who": "session_id"} | columns, {"source": "user", "signal": "comment"}
    )
    with pytest.raises(EventError) as caught:
        checked(tmp_path / "a.csv", mapping)
    assert says in str(caught.value)
    told_apart = Mapping(
        "feedback",
        {"at": "occurred_at", "who": "session_id", "Labels (2)": "label", "comment (1)": "comment"},
        {"source": "user", "signal": "comment"},
    )
    assert checked(tmp_path / "a.csv", told_apart)[1][0].label == "y"  # type: ignore[attr-defined]


def test_a_nameless_column_is_called_by_its_place(tmp_path: Path) -> None:
    """So that it can be mapped."""
    (tmp_path / "a.csv").write_text("at,,team\n1772452800,a,it\n")
    mapping = Mapping("feedback", PAIR.columns | {"column 2": "session_id"}, PAIR.constants)
    columns = {column: name for column, name in mapping.columns.items() if column != "who"}
    assert checked(tmp_path / "a.csv", Mapping("feedback", columns, PAIR.constants))[0].events == 1


@pytest.mark.parametrize(
    ("ticket", "kept"),
    [
        ("12345.0", "12345"),
        ("007", "007"),
        ('="00123"', "00123"),
        ('"=""00123"""', "00123"),
        ("'00124", "00124"),
        ("7e12", "7e12"),
        ("1E5", "1E5"),
        (" HELP-1\u00a0", "HELP-1"),
        ("12345.5", "12345.5"),
    ],
)
def test_an_id_is_the_other_systems(tmp_path: Path, ticket: str, kept: str) -> None:
    """Without the fraction that an integer gets in a column with gaps."""
    (tmp_path / "a.csv").write_text(text([[ticket, "02.03.2026 13:00", "g", "1"]]))
    assert checked(tmp_path / "a.csv")[1][0].extra == {"foreign_id": kept}


@pytest.mark.parametrize(
    ("content", "reading", "says"),
    [
        ("a,b\n", {"delimiter": "ab"}, "--delimiter ab: it takes one character"),
        ("a,b\n1,2\n", {"header_row": 9}, "--header-row 9: "),
        ("\n \n,,\n", {}, "has no header: a line before the rows names the columns"),
    ],
)
def test_a_wrong_option_of_a_text_is_one_sentence(
    tmp_path: Path, content: str, reading: dict[str, Any], says: str
) -> None:
    """It names the option and what there is."""
    (tmp_path / "a.csv").write_text(content)
    with pytest.raises(EventError) as caught:
        checked(tmp_path / "a.csv", **reading)
    assert says in str(caught.value) and "\n" not in str(caught.value)


def test_a_misspelt_column_is_told_of_the_right_header(tmp_path: Path) -> None:
    """Also where a title stands before it."""
    (tmp_path / "a.csv").write_text("Bericht;vom;2.3.\n" + text())
    columns = {"Erledigt": "occurred_at", "Gespraech": "session_id"}
    with pytest.raises(
        EventError, match="has no column 'Gespraech'; it has Ticket, Erledigt, Gespräch, Zufriedenheit; is"
    ):
        checked(tmp_path / "a.csv", Mapping("feedback", columns, RATING.constants, times=RATING.times))
