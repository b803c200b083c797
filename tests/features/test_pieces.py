"""Work in pieces: a rest between them where somebody asked for it, in the thread that asked."""

import threading

from features.pieces import between, in_pieces, resting


def test_a_rest_after_so_many_rows_and_none_outside() -> None:
    rests: list[int] = []
    seen: list[int] = []
    with resting(lambda: rests.append(len(seen))):
        seen.extend(in_pieces(range(5), every=2))  # list.extend asks for one after the other
        between()
    assert list(in_pieces("ab")) == ["a", "b"]
    between()
    assert (seen, len(rests)) == ([0, 1, 2, 3, 4], 3)


def test_another_threads_work_does_not_rest() -> None:
    rests: list[str] = []
    with resting(lambda: rests.append("here")):
        other = threading.Thread(target=lambda: [between(), *in_pieces("abc")])
        other.start()
        other.join()
        assert rests == []
        between()
    assert rests == ["here"]


def test_the_rest_of_before_holds_again_after_one_within() -> None:
    rests: list[str] = []
    with resting(lambda: rests.append("outer")):
        with resting(lambda: rests.append("inner")):
            between()
        between()
    assert rests == ["inner", "outer"]
