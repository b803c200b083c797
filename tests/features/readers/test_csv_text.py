"""From bytes to cells: encodings, separators, and lines that are broken."""

import gzip
from pathlib import Path

import pytest

from features.readers import csv_text
from features.readers.csv_text import Broken, FileError, check_file, opened, records, sniff


def rows(path: Path, data: bytes, encoding: str = "utf-8") -> list[tuple[int, list[str] | str]]:
    path.write_bytes(data)
    with opened(path, encoding) as lines:
        found = [record for some in records(lines, ",") for record in some]
    return [(line, cells.reason if isinstance(cells, Broken) else cells) for line, cells in found]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_line_ends_of_every_system(tmp_path: Path, end: bytes) -> None:
    assert rows(tmp_path / "a", end.join([b"a,b", b"1,2", b"", b"3,4"])) == [(1, ["a", "b"]), (2, ["1", "2"]), (4, ["3", "4"])]


@pytest.mark.parametrize(
    ("encoding", "data"),
    [
        ("utf-8", "é,1".encode()),
        ("utf-8", "é,1".encode("utf-8-sig")),
        ("utf-8-sig", "é,1".encode()),
        ("cp1252", "é,1".encode("cp1252")),
        ("latin-1", "é,1".encode("latin-1")),
        ("utf-16", "é,1".encode("utf-16")),
        ("utf-16-be", "é,1".encode("utf-16-be")),
        ("utf-16-be", "\ufeffé,1".encode("utf-16-be")),
        ("utf-16-le", "\ufeffé,1".encode("utf-16-le")),
    ],
)
def test_encodings(tmp_path: Path, encoding: str, data: bytes) -> None:
    assert rows(tmp_path / "a", data, encoding) == [(1, ["é", "1"])]


def test_a_quoted_line_break_belongs_to_the_cell(tmp_path: Path) -> None:
    assert rows(tmp_path / "a", b'a,"x\r\ny"\nb,"say ""hi"""\n') == [(1, ["a", "x\ny"]), (3, ["b", 'say "hi"'])]


def test_an_open_quote_costs_its_own_line_and_no_other(tmp_path: Path) -> None:
    good = [(n, [str(n), "x"]) for n in range(2, 400)]
    data = '1,"open\n' + "".join(f"{n},x\n" for n in range(2, 400))
    (line, reason), *rest = rows(tmp_path / "a", data.encode())
    assert (line, reason, rest) == (1, "broken CSV line: a quote is left open", good)


def test_an_open_quote_before_quoted_lines(tmp_path: Path) -> None:
    found = rows(tmp_path / "a", b'"1","open\n"2","x"\n"3","y"\n')
    assert [line for line, _ in found] == [1, 2, 3]
    assert [cells for _, cells in found[1:]] == [["2", "x"], ["3", "y"]]
    assert "broken CSV line" in found[0][1]


def test_a_line_beyond_all_measure_is_read_past(tmp_path: Path) -> None:
    data = b"a,b\n" + b"x" * 10_000_000 + b"\n1,2\n" + b"y" * 2_000_000
    (first, second, third, fourth) = rows(tmp_path / "a", data)
    assert (first, third) == ((1, ["a", "b"]), (3, ["1", "2"]))
    assert second == (2, "the line is longer than 1,000,000 characters")
    assert fourth[0] == 4


def test_lines_are_numbered_across_many_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_text, "_LINES", 3)
    data = 'a\n"b\nb"\nc\nd\n"e\n\ne"\nf\n"open\ng\n'
    found = rows(tmp_path / "a", data.encode())
    assert [(line, cells[0]) for line, cells in found if isinstance(cells, list)] == [
        (1, "a"), (2, "b\nb"), (4, "c"), (5, "d"), (6, "e\n\ne"), (9, "f"), (11, "g"),
    ]  # fmt: skip
    assert [line for line, cells in found if isinstance(cells, str)] == [10]


@pytest.mark.parametrize(
    ("header", "wanted", "separator"),
    [
        ("User ID,When", ["User ID"], ","),
        ("User ID;When, exactly;x", ["User ID"], ";"),
        ("a\tb", ["a", "b"], "\t"),
        ("a|b|c", [], "|"),
        ('"a;b",c', ["c"], ","),
        ("alone", ["alone"], ","),
    ],
)
def test_the_separator_is_found_in_the_header(header: str, wanted: list[str], separator: str) -> None:
    assert sniff(header, wanted) == separator


UGLY = {
    "no such file": (None, "utf-8", "the file does not exist", 0),
    "empty": (b"", "utf-8", "the file is empty", 0),
    "blank": (b"\r\n \n", "utf-8", "the file is empty", 0),
    "utf-16 not said": ("a,b".encode("utf-16"), "utf-8", "give --encoding utf-16", 1),
    "utf-16 said wrongly": (b"a,b\n1,2\n", "utf-16", "not UTF-16; try --encoding utf-8", 1),
    "utf-8 read as cp1252": ("a,b\né,2\n".encode(), "cp1252", "reads as UTF-8 (see line 2), so it is not cp1252", 1),
    "utf-8 read as latin-1": ("é,b\n1,2\n".encode(), "latin-1", "give --encoding utf-8", 1),
}


@pytest.mark.parametrize("what", UGLY)
def test_a_file_that_cannot_be_read_is_seen_at_once(tmp_path: Path, what: str) -> None:
    data, encoding, words, line = UGLY[what]
    if data is not None:
        (tmp_path / "a").write_bytes(data)
    with pytest.raises(FileError) as refused:
        check_file(tmp_path / "a", encoding)
    assert words in str(refused.value)
    assert refused.value.line == line


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="this is a folder"):
        check_file(tmp_path, "utf-8")


def test_utf_16_cut_in_half(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="the text is not utf-16") as refused:
        rows(tmp_path / "a", "a,b\n1,2\n".encode("utf-16")[:-1], "utf-16")
    assert refused.value.line == 2


def test_long_lines_are_taken_a_few_at_a_time(tmp_path: Path) -> None:
    """4,000 lines of the greatest length would be 4 GB."""
    (tmp_path / "a").write_bytes((b"x" * 999_999 + b"\n") * 20)
    with opened(tmp_path / "a", "utf-8") as lines:
        assert [len(lines.take(4_000)) for _ in range(4)] == [8, 8, 4, 0]


@pytest.mark.parametrize(
    ("data", "encoding", "said"),
    [
        (gzip.compress(b"a,b", mtime=0), "utf-8", "this is a packed file"),
        (b"PK\x03\x04...", "cp1252", "this is a spreadsheet"),
        ("learner_id,verb".encode("utf-16-le"), "utf-8", "give --encoding utf-16-le"),
        ("learner_id,verb".encode("utf-16-be"), "utf-8", "give --encoding utf-16-be"),
        ("learner_id,verb".encode("utf-16-le"), "utf-16", "try --encoding utf-16-le"),
    ],
)
def test_what_is_no_text_of_the_encoding_is_named(tmp_path: Path, data: bytes, encoding: str, said: str) -> None:
    (tmp_path / "a").write_bytes(data)
    with pytest.raises(FileError, match=said):
        check_file(tmp_path / "a", encoding)
