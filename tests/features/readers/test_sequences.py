"""Sequence files: order, and no time."""

from pathlib import Path

import numpy as np
import pytest

from features.readers.sequences import read_histories, read_sequences


def file(folder: Path, text: str | bytes) -> Path:
    path = folder / "log.txt"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_a_line_is_a_learner_and_their_items_in_order(tmp_path: Path) -> None:
    path = file(tmp_path, "u2 c a c\n\nu1 b\n")
    assert read_sequences(path) == (("u2", "u1"), [["c", "a", "c"], ["b"]])
    learners, items, histories = read_histories(path)
    assert (learners.ids, items.ids) == (("u2", "u1"), ("a", "b", "c"))
    assert [histories[row].tolist() for row in range(2)] == [[2, 0, 2], [1]]
    assert np.isnat(histories.at).all()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", r"log\.txt: the file is empty"),
        ("u1 a\nu2\n", r"log\.txt, line 2: learner 'u2' has no items"),
        ("u1 a\nu1 b\n", r"log\.txt, line 2: learner 'u1' stands on line 1 already"),
        (b"u1 a\nu2 \xff\n", r"log\.txt, line 2: the text is not UTF-8"),
        ("u1,a,b\n", r"line 1: learner 'u1,a,b' has no items; a blank parts one id from the next, not ','"),
    ],
)
def test_a_broken_line_is_named(tmp_path: Path, text: str | bytes, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        read_sequences(file(tmp_path, text))


def test_windows_lines_a_byte_order_mark_and_a_no_break_space(tmp_path: Path) -> None:
    path = file(tmp_path, "\ufeffu1 a\u00a01 b\r\n\r\nu2\tb\r\n")
    assert read_sequences(path) == (("u1", "u2"), [["a\u00a01", "b"], ["b"]])
